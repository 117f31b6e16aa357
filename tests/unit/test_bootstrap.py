"""Accuracy on resamples of the images and of the trainings."""

from __future__ import annotations

import numpy as np
import pytest

from tools.coverage import Scenes, detections
from workflow.evo.evaluation import bootstrap
from workflow.evo.evaluation.bootstrap import (
    average_precision,
    beats,
    difference_interval,
    image_weights,
    on_resamples,
    resample,
)
from workflow.evo.evaluation.matches import IOUS, Matches


def some(images: int = 40, seed: int = 0, skill: float = 0.0, scenes: int = 0) -> Matches:
    drawn = Scenes.drawn(images, np.random.default_rng(scenes))
    return detections(drawn, np.random.default_rng(seed), skill)


def by_definition(matches: Matches, weights: np.ndarray) -> np.ndarray:
    """Return the average precision by class and IoU on a dataset in which each image is there so many times."""
    times, rows = weights.astype(int), []
    for kind in np.flatnonzero(matches.truths.sum(axis=0)):
        objects = (matches.truths[:, kind] * times).sum()
        mine = np.flatnonzero(matches.kind == kind)
        mine = np.repeat(mine, times[matches.image[mine]])
        mine = mine[np.argsort(-matches.confidence[mine], kind="stable")]
        row = []
        for iou in range(IOUS):
            hit = matches.mask[mine] >> iou & 1
            recall, precision = np.cumsum(hit) / objects, np.cumsum(hit) / np.arange(1, len(hit) + 1)
            above = [precision[recall > point / 100].max(initial=0) for point in range(101)]
            row.append(np.trapezoid(above, dx=0.01))
        rows.append(row)
    return np.array(rows)


def test_the_average_precision_is_as_defined():
    matches = some()
    assert average_precision(matches) == pytest.approx(by_definition(matches, np.ones(len(matches.images))), abs=1e-6)


def test_a_resample_is_the_dataset_with_images_repeated_and_left_out():
    matches = some()
    weights = image_weights(len(matches.images), 3)
    values = on_resamples(matches, weights)[1]
    for index in range(3):
        expected = by_definition(matches, weights[:, index])
        assert values[:, index] == pytest.approx([expected.mean(), expected[:, 0].mean()], abs=1e-6)


def test_blocks_of_matches_change_little(monkeypatch):
    matches = some(500)
    weights = image_weights(500, 8)
    blocked = on_resamples(matches, weights)[1]
    monkeypatch.setattr(bootstrap, "BLOCKS", 10**6)
    exact = on_resamples(matches, weights)[1]
    assert not np.array_equal(exact, blocked)
    assert blocked == pytest.approx(exact, abs=0.002)


def test_a_class_without_objects_in_a_resample_is_left_out_of_its_mean():
    truths = np.array([[1, 0], [1, 0], [0, 1]], np.int32)
    image, kind = np.array([0, 1], np.int32), np.array([0, 0], np.int32)
    every = np.uint16(2**IOUS - 1)
    found = Matches(np.array(["a", "b", "c"]), truths, image, kind, np.array([0.9, 0.8], np.float32), np.full(2, every))
    weights = np.array([[1, 1, 1], [2, 1, 0]], np.float32).T
    both, without = on_resamples(found, weights)[1][0]
    assert without == pytest.approx(0.995), "the first class alone, all of it found"
    assert both == pytest.approx(0.995 / 2)


def test_the_same_images_are_drawn_for_every_variant_whatever_else_there_is():
    one, other, further = some(seed=1), some(seed=2), some(seed=3)
    two = resample({"a": [one], "b": [other]}, 200)[0]
    three = resample({"c": [further], "b": [other], "a": [one]}, 200)[0]
    for name in ("a", "b"):
        assert np.array_equal(two[name].values, three[name].values)
    again = resample({"a": [one], "b": [one]}, 200)[0]
    assert np.array_equal(again["a"].values, again["b"].values)
    assert beats(again["a"], again["b"]) == 0.5
    assert difference_interval(again["a"], again["b"]) == (0, 0)


def test_a_paired_difference_is_surer_than_two_intervals():
    found = resample({"good": [some(80, 1, 0.6)], "bad": [some(80, 1, 0.0)]}, 500)[0]
    low, high = difference_interval(found["good"], found["bad"])
    assert low > 0 and beats(found["good"], found["bad"]) > 0.99
    widths = [np.diff(found[name].interval)[0] for name in ("good", "bad")]
    assert high - low < sum(widths) / 2


def test_the_estimate_is_exact_and_lies_in_its_interval():
    matches = some()
    for metric, found in zip((slice(None), 0), resample({"a": [matches]}, 500), strict=True):
        assert found["a"].estimate == pytest.approx(average_precision(matches)[:, metric].mean())
        low, high = found["a"].interval
        assert low < found["a"].estimate < high


def test_trainings_that_differ_widen_the_interval_and_their_mean_is_the_estimate():
    alike = [some(seed=seed) for seed in (1, 2, 3)]
    apart = [some(seed=seed, skill=skill) for seed, skill in ((1, -0.6), (2, 0.0), (3, 0.6))]
    one, three, wide = (resample({"a": trainings}, 500)[0]["a"] for trainings in (alike[:1], alike, apart))
    assert wide.estimate == pytest.approx(np.mean([average_precision(one).mean() for one in apart]))
    assert np.diff(wide.interval)[0] > 2 * np.diff(three.interval)[0]
    assert np.diff(one.interval)[0] > 0


def test_the_spread_of_trainings_is_taken_from_all_variants():
    apart = [some(seed=seed, skill=skill) for seed, skill in ((1, -0.6), (2, 0.6))]
    alone = resample({"a": [some(seed=5)]}, 500)[0]["a"]
    beside = resample({"a": [some(seed=5)], "b": apart}, 500)[0]["a"]
    assert np.diff(beside.interval)[0] > 1.5 * np.diff(alone.interval)[0], "one training says nothing of the next"


def test_evidence_of_other_images_is_not_compared():
    found = resample({"a": [some(40)], "b": [some(40, 1)], "c": [some(30)]}, 100)[0]
    assert sorted(found) == ["a", "b"]
    assert resample({}, 100) == ({}, {})
    empty = Matches(*(np.zeros(0) for _ in range(6)))
    nothing = Matches(
        np.array(["a"]), np.zeros((1, 2), np.int32), empty.image, empty.kind, empty.confidence, empty.mask
    )
    assert resample({"a": [nothing]}, 100) == ({}, {})


def test_a_detector_that_finds_nothing_is_worth_nothing():
    matches = some()
    none = Matches(
        matches.images, matches.truths, matches.image[:0], matches.kind[:0], matches.confidence[:0], matches.mask[:0]
    )
    found = resample({"a": [none]}, 100)[0]["a"]
    assert (found.estimate, found.interval) == (0, (0, 0))
