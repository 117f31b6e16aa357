"""How often the 95 % interval holds the truth: ``python -m tools.coverage --trials 500 --images 150``.

Detections are drawn from a model whose accuracy is known: objects of three classes per image, found or not and placed
well or badly as the image is hard or easy, and false ones. What an endless number of images would give is measured on
many; each trial is a small set, from which the interval is computed as the report does.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from workflow.evo.evaluation import bootstrap
from workflow.evo.evaluation.matches import IOUS, Matches
from workflow.evo.host.progress import track

CLASSES = 3
OBJECTS = 5.0
"""Mean number of objects of an image."""

FALSE = 20.0
"""Mean number of false detections of an image."""

SEED_SPREAD = 0.35
"""Standard deviation of what one training finds better or worse than another, in logits of the chance to find."""


@dataclass(frozen=True)
class Scenes:
    """Images with their objects: how easy each image is, and of each object its image and its class."""

    ease: np.ndarray
    owner: np.ndarray
    kind: np.ndarray

    @classmethod
    def drawn(cls, images: int, generator: np.random.Generator) -> Scenes:
        owner = np.repeat(np.arange(images), generator.poisson(OBJECTS, images))
        return cls(generator.normal(0, 0.7, images), owner, generator.integers(0, CLASSES, len(owner)))


def detections(scenes: Scenes, generator: np.random.Generator, skill: float = 0.0) -> Matches:
    """Return what a detector finds; ``skill`` is how much better than usual it finds and places, in logits."""
    images = len(scenes.ease)
    truths = np.zeros((images, CLASSES), np.int32)
    np.add.at(truths, (scenes.owner, scenes.kind), 1)
    found = generator.random(len(scenes.owner)) < 1 / (1 + np.exp(-(1.5 + scenes.ease[scenes.owner] + skill)))
    owner, kind = scenes.owner[found], scenes.kind[found]
    ease = scenes.ease[owner]
    quality = np.clip(generator.normal(6 + 2 * ease + 2 * skill, 2.5), 1, IOUS).astype(int)
    right = 1 / (1 + np.exp(-generator.normal(1 + ease + skill, 1)))
    false_owner = np.repeat(np.arange(images), generator.poisson(FALSE, images))
    wrong = 1 / (1 + np.exp(-generator.normal(-2, 1, len(false_owner))))
    return Matches(
        np.arange(images).astype(np.str_),
        truths,
        np.concatenate([owner, false_owner]).astype(np.int32),
        np.concatenate([kind, generator.integers(0, CLASSES, len(false_owner))]).astype(np.int32),
        np.concatenate([right, wrong]).astype(np.float32),
        np.concatenate([(1 << quality) - 1, np.zeros(len(false_owner), int)]).astype(np.uint16),
    ).needed()


def map50_95(matches: Matches) -> float:
    """Return the accuracy on the images as they are."""
    return float(bootstrap.average_precision(matches).mean())


def true_accuracy(spread: float) -> float:
    """Return the accuracy on very many images, the mean over trainings whose skill has this standard deviation."""
    generator = np.random.default_rng(1)
    number = 25 if spread else 1
    skills = [spread * NormalDist().inv_cdf((index + 0.5) / number) for index in range(number)]
    drawn = (detections(Scenes.drawn(60_000 // len(skills) + 4_000, generator), generator, one) for one in skills)
    return float(np.mean([map50_95(one) for one in drawn]))


def covered(trials: int, images: int, trainings: int, variants: int, resamples: int) -> tuple[float, float]:
    """Return the share of trials in which the interval of the first variant holds the truth, and its mean width.

    Args:
        trials: number of trials.
        images: of each trial.
        trainings: of each variant; with several, they differ as seeds do.
        variants: of each trial, equally good ones.
        resamples: of each interval.
    """
    spread = SEED_SPREAD if trainings > 1 else 0.0
    truth = true_accuracy(spread)
    hits, widths = 0, []
    for trial in track(range(trials), trials, "coverage", show=True):
        generator = np.random.default_rng([7, trial])
        scenes = Scenes.drawn(images, generator)
        evidence = {
            f"v{variant}": [detections(scenes, generator, generator.normal(0, spread)) for _ in range(trainings)]
            for variant in range(variants)
        }
        low, high = bootstrap.resample(evidence, resamples)[0]["v0"].interval
        hits += low <= truth <= high
        widths.append(high - low)
    return hits / trials, float(np.mean(widths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--trainings", type=int, default=1, help="trainings of each variant (default: 1)")
    parser.add_argument("--variants", type=int, default=1, help="variants of each trial (default: 1)")
    parser.add_argument("--resamples", type=int, default=bootstrap.RESAMPLES)
    arguments = parser.parse_args()
    share, width = covered(**vars(arguments))
    print(
        f"{100 * share:.1f} % of {arguments.trials} intervals hold the truth "
        f"({arguments.images} images, {arguments.trainings} trainings, {arguments.variants} variants, "
        f"{arguments.resamples:,} resamples; mean width {width:.3f})"
    )


if __name__ == "__main__":
    main()
