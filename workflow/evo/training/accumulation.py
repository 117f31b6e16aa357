"""Gradient accumulation whose state can be kept: when the optimizer steps, and the gradients that wait for it.

Ultralytics keeps both in local variables of its training loop (engine/trainer.py, ``last_opt_step``), out of reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


class Accumulation:
    """Decides after which batches the optimizer steps.

    Attributes:
        nominal: batches per step once the warm-up is over.
        warmup: batches of the warm-up, over which the batches per step rise from 1 to ``nominal``; 0 for none.
        last_step: number of the batch, from 0 and counted through all epochs, after which it stepped last; -1 before
            the first step.
    """

    def __init__(self, nominal: int, warmup: int):
        self.nominal, self.warmup = nominal, warmup
        self.last_step = -1

    def batches(self, batch: int) -> int:
        """Return the batches per step at a batch number: Ultralytics' formula (engine/trainer.py, "Warmup")."""
        import numpy as np

        if self.warmup and batch <= self.warmup:
            return max(1, int(np.interp(batch, [0, self.warmup], [1, self.nominal]).round()))
        return self.nominal

    def step_due(self, batch: int) -> bool:
        """Return whether the optimizer steps after this batch; if so, it is taken to have done it."""
        due = batch - self.last_step >= self.batches(batch)
        if due:
            self.last_step = batch
        return due


def pending_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Return the gradients that no step has used yet, by parameter; empty right after a step."""
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def restore_gradients(model: nn.Module, gradients: Mapping[str, Tensor], factor: float = 1.0) -> None:
    """Give parameters the gradients that `pending_gradients` returned, times ``factor`` (see `rescaling`)."""
    for name, weight in model.named_parameters():
        gradient = gradients.get(name)
        weight.grad = gradient if gradient is None or factor == 1.0 else gradient * factor


def rescaling(saved: Mapping[str, Any], now: float) -> float:
    """Return the factor between waiting gradients of a checkpoint and those of this process.

    Gradients wait as they are, multiplied by the loss scale of mixed precision: a run that is continued without it, or
    under another scale, must not take a step that is larger by that scale, 65536 at first. Scales are powers of two, so
    that nothing is rounded.

    Args:
        saved: state of the checkpoint's ``torch.amp.GradScaler``; empty when it was off.
        now: scale of this process, 1 when it is off.
    """
    return now / saved.get("scale", 1.0)
