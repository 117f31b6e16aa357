"""The 95 % interval holds the truth about as often as it says."""

from __future__ import annotations

import pytest

from tools.coverage import covered


@pytest.mark.long
@pytest.mark.parametrize(("trainings", "variants"), [(1, 1), (3, 4)])
def test_the_interval_holds_the_truth_in_95_of_100_trials(trainings, variants):
    share, _ = covered(500, 150, trainings, variants, 1000)
    assert 0.93 <= share <= 0.97


def test_the_interval_holds_the_truth_in_most_of_a_few_trials():
    share, width = covered(20, 60, 1, 1, 200)
    assert share >= 0.8
    assert 0.05 < width < 0.2
