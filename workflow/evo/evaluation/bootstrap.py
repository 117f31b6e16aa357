"""How sure an accuracy is: map50 and map50_95 over resamples of the images and of the trainings.

The method, its sources and how well it does are in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .matches import IOUS, Matches

RESAMPLES = 2000
SEED = 0
POINTS = 100
"""Average precision is taken at recalls of 0, 0.01, …, 1, as COCO and Ultralytics do."""

BLOCKS = 256
"""Matches of a class are taken together in at most so many blocks of neighbours in confidence."""

GROUPS = 1000
"""Of the jackknife: more images are left out in groups."""

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Resampled:
    """An accuracy, and what it is on resamples.

    Attributes:
        estimate: on the images as they are, the mean over the trainings.
        values: on each resample, the same resamples of images for every variant, without the bias of resampling and
            as widely spread as few images and trainings leave it; (resamples,).
    """

    estimate: float
    values: np.ndarray

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The bounds of the 95 % interval, within 0 and 1."""
        low, high = interval(self.values)
        return max(low, 0.0), min(high, 1.0)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the bounds that hold 95 % of resampled values."""
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def beats(one: Resampled, other: Resampled) -> float:
    """Return the share of the resamples in which ``one`` is more accurate than ``other``; of a tie, half."""
    return float(np.mean(one.values > other.values) + 0.5 * np.mean(one.values == other.values))


def difference_interval(one: Resampled, other: Resampled) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of how far ``one`` is ahead of ``other``."""
    return interval(one.values - other.values)


def resample(
    evidence: Mapping[str, Sequence[Matches]], number: int | None = None
) -> tuple[dict[str, Resampled], dict[str, Resampled]]:
    """Return map50_95 and map50 of variants over resamples.

    Args:
        evidence: by variant, what the evaluation of each of its trainings kept of one split.
        number: of resamples; `RESAMPLES` where it is not given.

    Returns:
        Both by variant. Left out are variants without objects, and those evaluated on other images than most.
    """
    number = RESAMPLES if number is None else number
    groups = _of_the_same_images(evidence)
    if not groups:
        return {}, {}
    images = len(next(iter(groups.values()))[0].images)
    weights = np.hstack([image_weights(images, number), _left_out(images)])
    point, moved = {}, {}
    for name, trainings in groups.items():
        both = [on_resamples(one, weights) for one in trainings]
        point[name] = np.array([exact for exact, _ in both])  # (trainings, 2)
        moved[name] = np.mean([values for _, values in both], axis=0)  # (2, resamples and groups)
    spread, freedom = _seed_spread(point.values())
    found: tuple[dict[str, Resampled], dict[str, Resampled]] = ({}, {})
    for name, values in moved.items():
        noise = np.random.default_rng([SEED, *name.encode()]).standard_normal(number)
        for metric in range(2):
            estimate = float(point[name][:, metric].mean())
            variance = spread[metric] ** 2 / len(point[name])
            drawn, without = values[metric, :number], values[metric, number:]
            found[metric][name] = Resampled(estimate, _calibrated(estimate, drawn, without, variance, freedom, noise))
    return found


def _calibrated(
    estimate: float, drawn: np.ndarray, without: np.ndarray, variance: float, freedom: int, noise: np.ndarray
) -> np.ndarray:
    """Return resampled values without the bias of resampling, with the spread that holds for few images and trainings.

    A bootstrap of few images takes their variance for the true one and is too narrow: its deviations are scaled to the
    standard error of the jackknife. What seeds add is normal. Both spreads are only estimated, so all is widened as
    Student's interval is wider than the normal one, with the degrees of freedom of Welch and Satterthwaite.

    Args:
        estimate: on the images as they are.
        drawn: on the resamples of the images, (resamples,).
        without: with one group of images left out at a time, (groups,).
        variance: of a mean over as many trainings, due to seeds.
        freedom: its degrees of freedom.
        noise: standard normal, (resamples,).
    """
    from scipy.stats import norm, t

    centre, spread, squares = drawn.mean(), drawn.std(), np.square(without - without.mean())
    if not spread or not squares.any():
        return 2 * estimate - centre + (drawn - centre) + np.sqrt(variance) * noise
    error = np.sqrt((len(without) - 1) / len(without) * squares.sum())
    kurtosis = np.square(squares).mean() / squares.mean() ** 2
    known = max(2 * len(without) / max(kurtosis - 1, 1e-9), 1.0)  # degrees of freedom of the error
    unknown = error**4 / known + (variance**2 / freedom if variance else 0.0)
    tail = (1 + LEVEL) / 2
    wider = t.ppf(tail, (error**2 + variance) ** 2 / unknown) / norm.ppf(tail)
    return 2 * estimate - centre + wider * ((drawn - centre) * error / spread + np.sqrt(variance) * noise)


def _left_out(images: int) -> np.ndarray:
    """Return weights that leave out one group of images at a time: (images, groups).

    A group is one image, or one of `GROUPS` random groups of about the same size.
    """
    groups = min(images, GROUPS)
    member = np.random.default_rng([SEED, images]).permutation(images) % groups
    return (member[:, None] != np.arange(groups)).astype(np.float32)


def image_weights(images: int, number: int) -> np.ndarray:
    """Return how often each image is in each resample: (images, resamples), the same for the same arguments."""
    drawn = np.random.default_rng(SEED).integers(0, images, (number, images))
    return np.array([np.bincount(row, minlength=images) for row in drawn], dtype=np.float32).T.copy()


def _of_the_same_images(evidence: Mapping[str, Sequence[Matches]]) -> dict[str, list[Matches]]:
    """Return the evidence of the variants whose images are those of most trainings, if these have objects."""
    keys = {name: {_key(one) for one in trainings} for name, trainings in evidence.items()}
    every = [key for found in keys.values() for key in found]
    if not every:
        return {}
    most = max(every, key=every.count)
    groups = {name: list(evidence[name]) for name, found in keys.items() if found == {most}}
    return {name: trainings for name, trainings in groups.items() if trainings[0].truths.any()}


def _key(matches: Matches) -> tuple[bytes, bytes]:
    return matches.images.tobytes(), matches.truths.tobytes()


def _seed_spread(points: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """Return the standard deviation between the trainings of a variant, by metric, and its degrees of freedom.

    It is taken from all variants together: three trainings of one alone say little. 0 where no variant has several.
    """
    several = [found for found in points if len(found) > 1]
    freedom = sum(len(found) - 1 for found in several)
    squares = sum((np.square(found - found.mean(axis=0)).sum(axis=0) for found in several), np.zeros(2))
    return np.sqrt(squares / max(freedom, 1)), freedom


def average_precision(matches: Matches) -> np.ndarray:
    """Return the average precision by class that has objects, and IoU: (classes, 10), as Ultralytics computes it."""
    rows = [_precision(_of_class(matches, kind), _once(matches)) for kind in _kinds(matches)]
    return np.array(rows)[:, :, 0] if rows else np.full((1, IOUS), np.nan)


def on_resamples(matches: Matches, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return map50_95 and map50 on the images as they are, (2,), and on each resample, (2, resamples).

    A class of which a resample has no object is left out of its mean, as Ultralytics does. Of many matches, neighbours
    in confidence are taken together: the values are moved by what that changes on the images as they are.

    Args:
        matches: of one training in one split, with objects.
        weights: how often each image is in each resample, (images, resamples).
    """
    once, exact, rows, present = _once(matches), [], [], []
    for kind in _kinds(matches):
        one = _of_class(matches, kind)
        exact.append(_precision(one, once))
        moved = 0.0
        if one.blocks > BLOCKS:
            one = _of_class(matches, kind, BLOCKS)
            moved = exact[-1] - _precision(one, once)  # (10, 1)
        rows.append(_precision(one, weights) + moved)
        present.append(one.truths @ weights > 0)
    precision, there = np.array(rows), np.array(present)[:, None]  # (classes, 10, resamples), (classes, 1, resamples)
    means = np.where(there, precision, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    point = np.mean(exact, axis=0)[:, 0]
    return np.array([point.mean(), point[0]]), np.array([means.mean(axis=0), means[0]])


def _kinds(matches: Matches) -> np.ndarray:
    """Return the classes that have objects."""
    return np.flatnonzero(matches.truths.sum(axis=0))


def _once(matches: Matches) -> np.ndarray:
    """Return the weights of the images as they are."""
    return np.ones((len(matches.images), 1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Class:
    """The detections of one class, the most confident first, in blocks that end with a match.

    Attributes:
        truths: objects by image.
        blocks: number of blocks.
        counts: by image, sparse: the detections of each block, then its matches at each IoU; (11 x blocks, images).
    """

    truths: np.ndarray
    blocks: int
    counts: Any


def _of_class(matches: Matches, kind: int, limit: int | None = None) -> _Class:
    """Return the detections of a class in a block for each match, or in ``limit`` blocks."""
    from scipy.sparse import csr_array

    mine = np.flatnonzero(matches.kind == kind)
    mine = mine[np.argsort(-matches.confidence[mine], kind="stable")]
    ends = np.flatnonzero(matches.mask[mine])
    if limit is not None:
        ends = ends[np.linspace(0, len(ends) - 1, limit + 1).round().astype(int)[1:]]
    mine = mine[: ends[-1] + 1] if len(ends) else mine[:0]
    blocks = max(len(ends), 1)
    block, image = np.searchsorted(ends, np.arange(len(mine))), matches.image[mine]
    matched, iou = np.nonzero(matches.mask[mine, None] >> np.arange(IOUS) & 1)
    rows = np.concatenate([block, (iou + 1) * blocks + block[matched]])
    columns = np.concatenate([image, image[matched]])
    shape = ((1 + IOUS) * blocks, len(matches.images))
    counts = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    return _Class(matches.truths[:, kind].astype(np.float32), blocks, counts)


def _precision(one: _Class, weights: np.ndarray) -> np.ndarray:
    """Return the average precision of a class at each IoU in each resample: (10, resamples).

    The envelope of the precision is a step function of the recall: between two matches it has the value at the second.
    So the mean over the grid of recalls is a sum over the matches: that value, times the grid points that it holds for.
    """
    objects = np.maximum(one.truths @ weights, 1e-9)
    detections, *matched = (one.counts @ weights).reshape(1 + IOUS, one.blocks, -1).cumsum(axis=1)
    result = np.empty((IOUS, weights.shape[1]))
    for iou, true in enumerate(matched):  # (blocks, resamples)
        precision = true / np.maximum(detections, 1e-9)
        envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        reached = np.ceil(np.minimum(POINTS * true / objects, POINTS) - 1e-4)  # grid points below the recall
        steps = np.diff(reached, axis=0, prepend=0)
        half = 0.5 * envelope[0] * (true[-1] > 0)  # the first point counts half
        result[iou] = ((envelope * steps).sum(axis=0) - half) / POINTS
    return result
