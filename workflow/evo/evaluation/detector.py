"""Trained weights as a detector that can be evaluated, or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import EvoError
from ..files import sha256_file
from ..models.checkpoint_loader import RefusedCheckpoint, guard_ultralytics

REPUBLISH = "delete training.json next to it and run snakemake again: the weights are published from their checkpoint"
"""How to get trained weights back without training, as long as their checkpoint exists. Deleting the weights themselves
means training again."""


def check_unchanged(best: Path, expected_sha256: str) -> str:
    """Return the SHA-256 of ``best``.

    Raises:
        EvoError: the file is missing, or is not the one that training wrote.
    """
    if not best.is_file():
        raise EvoError("trained weights not found", where=best.resolve(), hint="run the rule `train` first")
    found = sha256_file(best)
    if found != expected_sha256:
        raise EvoError(
            f"the file was changed after training (SHA-256 {found[:12]}…, training.json says {expected_sha256[:12]}…)",
            where=best.resolve(),
            hint="restore it, or " + REPUBLISH,
        )
    return found


def load_detector(best: Path) -> Any:
    """Open a checkpoint through the restricted loader and return its ``YOLO``.

    Call `workflow.evo.host.ultralytics_env.prepare` first.

    Raises:
        EvoError: the file is missing, damaged, refused by the restricted loader, or not a detector.
    """
    from ultralytics import YOLO

    best = Path(best).resolve()
    if not best.is_file():
        raise EvoError("trained weights not found", where=best, hint="run the rule `train` first")
    guard_ultralytics()
    try:
        model = YOLO(str(best))
    except RefusedCheckpoint as error:
        raise EvoError(error.what, where=best, hint=REPUBLISH) from error
    except Exception as error:  # Ultralytics does not check the content of a checkpoint
        reason = " ".join(str(error).split())[:160]
        raise EvoError(
            f"not a readable checkpoint ({type(error).__name__}: {reason})", where=best, hint=REPUBLISH
        ) from error
    if model.task != "detect":
        raise EvoError("not a detector, but a model for another task", where=best, hint=REPUBLISH)
    return model


def class_names(trained: Mapping[int, str], dataset: Sequence[str], *, single: bool) -> dict[int, str]:
    """Return the names of a detector's classes by id: those of the dataset, which may have changed since the training.

    Args:
        trained: the names that the weights carry.
        dataset: the names of the dataset, in the order of their ids.
        single: whether all classes were trained as one, which has a name of its own.
    """
    if single or len(trained) != len(dataset):
        return {index: str(name) for index, name in trained.items()}
    return {index: str(name) for index, name in enumerate(dataset)}


def use_names(detector: Any, names: Sequence[str]) -> None:
    """Give a ``YOLO`` the class names of the dataset, see `class_names`."""
    single = bool(detector.overrides.get("single_cls"))
    detector.model.names = class_names(detector.names, names, single=single)
