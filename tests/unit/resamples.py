"""Resamples of accuracies, as the bootstrap of a session would give them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workflow.evo.evaluation.bootstrap import Resampled

NUMBER = 2000


def resampled(value: float, spread: float = 0.01, seed: int = 0) -> Resampled:
    """Return an accuracy that differs between resamples by a standard deviation of ``spread``."""
    values = value + spread * np.random.default_rng(seed).standard_normal(NUMBER)
    return Resampled(value, values)


def resamples(values: Mapping[str, float], spread: float = 0.01) -> dict[str, Resampled]:
    """Return accuracies of variants that vary independently."""
    return {name: resampled(value, spread, seed) for seed, (name, value) in enumerate(values.items())}
