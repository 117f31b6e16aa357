"""What trainings are expected to take: always an estimate, always with its basis."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from ..config.session import Session
from ..config.variants import Variant
from ..data.source import training_images
from ..host import environment
from ..results.history import read_times
from ..results.read import read_if_there
from ..training import disk
from ..training.checkpoints import Checkpoint, CheckpointStore

UNKNOWN = "unknown until the first epoch"


@dataclass(frozen=True)
class Pace:
    """Expected time of an epoch.

    Attributes:
        seconds: per epoch; None when unknown.
        basis: what the estimate is based on.
    """

    seconds: float | None
    basis: str


@dataclass(frozen=True)
class Conditions:
    """What two trainings must have in common for the time of an epoch to be comparable."""

    imgsz: int
    batch: int
    data_hash: str
    device: str


def device_name(session: Session) -> str:
    """Return the device of a training as ``training.json`` names it: the first GPU of the host, or its processor."""
    gpus = environment.gpus() if session.may_use_gpu else []
    return gpus[0]["name"] if gpus else environment.cpu_name()


def pace(
    session: Session, variant: Variant, conditions: Conditions, checkpoint: Checkpoint | None, checked: bool
) -> Pace:
    """Return what an epoch of a variant is expected to take.

    Args:
        session: the session.
        variant: the variant.
        conditions: how it will train.
        checkpoint: the checkpoint that it resumes from.
        checked: whether environment.json is up to date with these settings.
    """
    facts = read_if_there(session.layout.environment, "environment")[0]
    here = facts is not None and _recorded_device(facts) == conditions.device
    if here and checkpoint is not None and checkpoint.batch == conditions.batch:
        epochs = read_times(checkpoint.folder / "results.csv")
        if epochs:
            return Pace(median(epochs), "the median of its own epochs so far")
    others = [other for other in session.variants if other != variant]
    nearest = sorted(others, key=lambda other: other.activation != variant.activation)
    for source in (variant, *nearest):
        training = read_if_there(session.layout.variant(source.name).training, "training")[0]
        if training and (seconds := measured(training, conditions)) is not None:
            whose = "its own earlier run" if source == variant else source.name
            return Pace(seconds, f"measured in {whose}, {training['finished'][:10]}")
    expected = facts["expected"] if facts is not None and facts["device"] == "cpu" else None
    if checked and expected is not None and "seconds_per_image" in expected:
        seconds = expected["seconds_per_image"] * training_images(session)
        return Pace(seconds, "a few steps timed by check_environment, without validation and data loading")
    return Pace(None, UNKNOWN)


def measured(training: Mapping[str, Any], conditions: Conditions) -> float | None:
    """Return the seconds per epoch of a finished training; None if it ran under other conditions."""
    arguments = training["arguments"]
    found = (arguments["imgsz"], training["data_hash"], training["environment"]["device"])
    seconds = [epoch["seconds"] for epoch in training["epochs"] if epoch["batch"] == conditions.batch]
    if found != (conditions.imgsz, conditions.data_hash, conditions.device) or not seconds:
        return None
    return mean(seconds)


def _recorded_device(facts: Mapping[str, Any]) -> str:
    return facts["gpus"][0]["name"] if facts["device"] == "gpu" and facts["gpus"] else facts["host"]["cpu"]


def disk_to_write(session: Session, variant: Variant, afresh: bool) -> int | None:
    """Return how many bytes a training has yet to write at most; None while its parameters are not counted."""
    layout = session.layout.variant(variant.name)
    model = read_if_there(layout.model, "model")[0]
    if model is None:
        return None
    return disk.predict(model["parameters"], CheckpointStore(layout.checkpoints), afresh=afresh).total


def disk_free(folder: Path) -> int:
    """Return the free bytes of the file system of a folder, which need not exist yet."""
    return shutil.disk_usage(next(path for path in (folder, *folder.absolute().parents) if path.exists())).free
