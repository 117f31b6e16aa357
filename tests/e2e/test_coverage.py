"""Intervals: their accuracies are Ultralytics' own, and they hold the truth about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.test_bootstrap import some
from tools.coverage import covered
from workflow.evo.evaluation.bootstrap import average_precision, image_weights, on_resamples
from workflow.evo.evaluation.matches import IOUS, Matches


def by_ultralytics(matches: Matches, weights: np.ndarray) -> np.ndarray:
    """Return the average precision by class and IoU on a dataset in which each image is there so many times."""
    from ultralytics.utils.metrics import ap_per_class

    times = weights.astype(int)
    rows = np.repeat(np.arange(len(matches.image)), times[matches.image])
    truths = (matches.truths * times[:, None]).sum(axis=0)
    tp = (matches.mask[rows, None] >> np.arange(IOUS) & 1).astype(bool)
    target = np.repeat(np.arange(len(truths)), truths)
    return ap_per_class(tp, matches.confidence[rows], matches.kind[rows], target)[5]


def test_the_average_precision_is_that_of_ultralytics():
    for seed in range(5):
        matches = some(seed=seed)
        ones = np.ones(len(matches.images))
        assert average_precision(matches) == pytest.approx(by_ultralytics(matches, ones), abs=1e-6)


def test_a_resample_is_the_dataset_with_images_repeated_and_left_out():
    matches = some()
    weights = image_weights(len(matches.images), 6)
    values = on_resamples(matches, weights)[1]
    for index in range(6):
        expected = by_ultralytics(matches, weights[:, index])
        assert values[:, index] == pytest.approx([expected.mean(), expected[:, 0].mean()], abs=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(("trainings", "variants"), [(1, 1), (3, 4)])
def test_the_interval_holds_the_truth_in_95_of_100_trials(trainings, variants):
    share, _ = covered(500, 150, trainings, variants, 1000)
    assert 0.93 <= share <= 0.97


def test_the_interval_holds_the_truth_in_most_of_a_few_trials():
    share, width = covered(20, 60, 1, 1, 200)
    assert share >= 0.8
    assert 0.05 < width < 0.2
