"""Resamples of accuracies, as the bootstrap of a session would give them, and evidence to make them from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tools.coverage import Scenes, detections
from workflow.evo.config.session import Session
from workflow.evo.evaluation.bootstrap import Resampled
from workflow.evo.evaluation.matches import write_matches
from workflow.evo.files import read_json

NUMBER = 2000


def resampled(value: float, spread: float = 0.01, seed: int = 0) -> Resampled:
    """Return an accuracy that differs between resamples by a standard deviation of ``spread``."""
    values = value + spread * np.random.default_rng(seed).standard_normal(NUMBER)
    return Resampled(value, values)


def resamples(values: Mapping[str, float], spread: float = 0.01) -> dict[str, Resampled]:
    """Return accuracies of variants that vary independently."""
    return {name: resampled(value, spread, seed) for seed, (name, value) in enumerate(values.items())}


def write_evidence(session: Session, skills: Mapping[str, float], images: int = 12) -> None:
    """Write what the evaluations of variants kept, of detectors that are more or less skilled (logits)."""
    for seed, (name, skill) in enumerate(skills.items()):
        layout = session.layout.variant(name)
        scenes = Scenes.drawn(images, np.random.default_rng(0))
        found = {split: detections(scenes, np.random.default_rng(seed), skill) for split in ("val", "test")}
        for path, metrics, schema in (
            (layout.matches, layout.metrics, "metrics"),
            (layout.matches_int8, layout.metrics_int8, "metrics_int8"),
        ):
            write_matches(path, read_json(metrics, schema)["evaluation"]["weights_sha256"], found)
