"""Opening trained weights for evaluation, with a reason when they cannot be evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config.strict_yaml import parse
from ..errors import EvoError, UserError
from ..files import sha256_file
from ..models.checkpoint_loader import RefusedCheckpoint, guard_ultralytics

REPUBLISH = "delete training.json beside it and run snakemake again: the weights are published from their checkpoint"
"""What brings trained weights back, and trains nothing where that checkpoint is there. To delete the weights themselves
asks for a new training."""


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
        EvoError: the file is missing, damaged, refused by the restricted loader, or no detector.
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
    except Exception as error:  # Ultralytics trusts what it finds in a checkpoint
        words = " ".join(str(error).split())[:160]
        raise EvoError(
            f"not a readable checkpoint ({type(error).__name__}: {words})", where=best, hint=REPUBLISH
        ) from error
    if model.task != "detect":
        raise EvoError("not a detector, but a model for another task", where=best, hint=REPUBLISH)
    return model


def class_names(trained: Mapping[int, str], dataset: Sequence[str], *, single: bool) -> dict[int, str]:
    """Return the names of a detector's classes by id: those of the dataset, which may have changed since the training.

    Args:
        trained: the names that the weights carry.
        dataset: the names of the dataset, in the order of their ids.
        single: whether all classes were trained as one: it has a name of its own.
    """
    if single or len(trained) != len(dataset):
        return {index: str(name) for index, name in trained.items()}
    return {index: str(name) for index, name in enumerate(dataset)}


def use_names(detector: Any, names: Mapping[int, str] | Sequence[str]) -> None:
    """Give a ``YOLO`` the class names of the dataset, see `class_names`."""
    listed = list(names.values() if isinstance(names, Mapping) else names)
    single = bool(detector.overrides.get("single_cls"))
    detector.model.names = class_names(detector.names, listed, single=single)


def dataset_splits(dataset_yaml: Path, splits: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Return the dataset's description and those of ``splits`` that it has, in order.

    Raises:
        UserError: the file is missing or no mapping, or has no ``val``.
    """
    dataset_yaml = Path(dataset_yaml)
    try:
        data = parse(dataset_yaml.read_bytes(), dataset_yaml.resolve())
    except FileNotFoundError as error:
        raise UserError(
            "dataset not found", where=dataset_yaml.resolve(), hint="run the rule `check_dataset`"
        ) from error
    if not isinstance(data, dict) or not data.get("val"):
        raise UserError("the dataset has no split 'val'", where=dataset_yaml.resolve(), hint="add the key 'val'")
    return data, [split for split in splits if data.get(split)]
