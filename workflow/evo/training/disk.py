"""The disk that a training needs from where it stands, and whether it is there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import DiskFull, EvoError
from .checkpoints import KEPT, SUPERSEDED, CheckpointStore

MIB = 2**20
STATE_BYTES_PER_PARAMETER = 40
"""A checkpoint: raw, averaged and optimizer state in 32 bit, waiting gradients, last and best weights in 16 bit."""
VARIANT_BYTES_PER_PARAMETER = 100
"""What a variant keeps: two checkpoints, and the published weights. Measured: 88 with MuSGD."""
VARIANT_BYTES = 50 * MIB  # of its plots, reports and logs, generously
RULE_OF_THUMB = f"{VARIANT_BYTES_PER_PARAMETER} bytes per parameter and {VARIANT_BYTES // MIB} MiB for each variant"
MARGIN_BYTES = 8 * MIB  # results.csv, journal, settings and logs


@dataclass(frozen=True)
class Need:
    """Bytes that a training has yet to write, at the most at the same time.

    Attributes:
        checkpoint: size of one checkpoint, measured on the newest where there is one, else predicted.
        total: of the checkpoints still to come beside those that lie there, and of the published weights.
    """

    checkpoint: int
    total: int


def of_variant(parameters: int) -> int:
    """Return the bytes that all results of a variant take, by a rule of thumb: before anything of it is there."""
    return parameters * VARIANT_BYTES_PER_PARAMETER + VARIANT_BYTES


def size(folder: Path) -> int:
    """Return the bytes in a folder of files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def predict(parameters: int, store: CheckpointStore, *, afresh: bool = False, finished: bool = False) -> Need:
    """Return what a training of a network with so many parameters needs beside what ``store`` holds already.

    Args:
        parameters: of the network.
        store: its checkpoints.
        afresh: whether those are of another recipe: they tell the size of a checkpoint and stay, set aside.
        finished: whether no more of them comes, and only the weights are still to be published.

    A new checkpoint is written before the oldest goes: there are ``KEPT + 1`` for a moment.
    """
    present = [size(folder) for folder in sorted(store.folder.glob("epoch[0-9]*"))]
    checkpoint = max(present, default=parameters * STATE_BYTES_PER_PARAMETER)
    to_come = 0 if finished else max(KEPT + 1 - (0 if afresh else len(present)), 1) * checkpoint
    weights = checkpoint  # last and best beside the checkpoints, staged and published: less than that
    return Need(checkpoint, to_come + weights + MARGIN_BYTES)


def superseded(folder: Path) -> int:
    """Return the bytes of the checkpoints of earlier recipes, which only a person deletes.

    Args:
        folder: of the checkpoints.
    """
    return sum(path.stat().st_size for path in (folder / SUPERSEDED).rglob("*") if path.is_file())


def require(need: Need, folder: Path) -> None:
    """Refuse to train where the disk would be full before the end.

    Raises:
        EvoError: less is free on the file system of ``folder``; the message says how much is missing.
    """
    if missing := shortage(need, folder):
        raise EvoError(
            missing, where=folder, hint="free disk space, then run the same command again: finished epochs are kept"
        )


def shortage(need: Need, folder: Path) -> str | None:
    """Return how much is missing on the file system of ``folder``; None where there is enough."""
    free = shutil.disk_usage(folder).free
    if free >= need.total:
        return None
    earlier = superseded(folder)
    kept = f", {folder / SUPERSEDED} holds {earlier / MIB:.0f} MiB of earlier recipes" if earlier else ""
    return (
        f"{need.total / MIB:.0f} MiB of disk are needed for checkpoints of {need.checkpoint / MIB:.0f} MiB and "
        f"the weights, {free / MIB:.0f} MiB are free: {(need.total - free) / MIB:.0f} MiB are missing{kept}"
    )


def with_shortage(full: DiskFull, need: Need, folder: Path) -> DiskFull:
    """Return the error of a disk that is full with how much is missing for the rest of the training."""
    if need.checkpoint and (missing := shortage(need, folder)):
        return DiskFull(f"{full.what} ({missing})", where=full.where, hint=full.hint)
    return full  # a quota, a limit, space that has come back meanwhile, or a network that is not built yet
