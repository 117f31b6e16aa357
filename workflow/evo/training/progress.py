"""Tells the person at the terminal how far a training is, as callbacks of Ultralytics' trainer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..host.console import duration
from ..results.history import MAP50, MAP50_95

if TYPE_CHECKING:
    from .trainer import VariantTrainer

PROGRESS_SECONDS = 30.0


class Progress:
    """One line per epoch, and one every half minute within a long epoch."""

    def __init__(self, log: Callable[[str], None]):
        self.log = log
        self._logged = time.monotonic()

    def attach(self, trainer: VariantTrainer) -> None:
        trainer.add_callback("on_train_batch_end", self._after_batch)
        trainer.add_callback("on_fit_epoch_end", self._after_epoch)

    def _after_batch(self, trainer: Any) -> None:
        if time.monotonic() - self._logged >= PROGRESS_SECONDS:
            total, batch = len(trainer.train_loader), trainer.batch_index + 1
            self._log_line(
                trainer, f"epoch {trainer.epoch + 1}/{trainer.epochs} batch {batch}/{total}", batch / total, None
            )

    def _after_epoch(self, trainer: Any) -> None:
        self._log_line(trainer, f"epoch {trainer.epoch + 1}/{trainer.epochs}", 1, trainer.metrics)

    def _log_line(self, trainer: Any, where: str, share: float, metrics: dict[str, float] | None) -> None:
        self._logged = time.monotonic()
        parts = [where, *(f"{name.removesuffix('_loss')} {float(value):.3f}" for name, value in trainer.tloss.items())]
        if metrics:
            parts += [
                f"map50 {metrics[MAP50]:.3f}",
                f"map50_95 {metrics[MAP50_95]:.3f}",
                f"{trainer.history[-1]['seconds']:.1f} s",
            ]
        gpu = trainer.device.type == "cuda"
        memory = f"{trainer._get_memory():.1f} GiB GPU" if gpu else trainer.device.type.upper()
        pace = seconds_per_epoch(trainer.history)
        left = "after the first epoch" if pace is None else duration((trainer.epochs - trainer.epoch - share) * pace)
        self.log("  ".join([*parts, memory, f"ETA {left}"]))


def seconds_per_epoch(history: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean time of the last five epochs of a ``training.json``; None before the first one is finished."""
    recent = [entry["seconds"] for entry in history[-5:]]
    return sum(recent) / len(recent) if recent else None
