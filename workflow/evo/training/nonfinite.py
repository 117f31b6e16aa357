"""Whether the losses and weights of a training are finite.

Ultralytics looks at the last loss of an epoch only, and rolls back to an older optimizer and to weights in half
precision (engine/trainer.py, ``_handle_nan_recovery``): what comes out is no longer what its recipe gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import EvoError
from ..text.facts import Fact

if TYPE_CHECKING:
    from torch import nn


class NonFiniteError(EvoError):
    """A loss, a weight or the fitness is NaN or infinite; nothing of that epoch has been kept.

    Attributes:
        found: what is not finite.
    """

    def __init__(self, found: Fact):
        self.found = found
        super().__init__(str(found))


def bad_losses(losses: Mapping[str, Any]) -> list[str]:
    """Return the mean losses of an epoch that are not finite, as ``box_loss nan``."""
    return [f"{name} {float(value):g}" for name, value in losses.items() if not math.isfinite(float(value))]


def bad_tensors(model: nn.Module) -> list[str]:
    """Return the names of weights and buffers that hold NaN or an infinity."""
    import torch

    return [
        name
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]


LOWEST_SCALE = 2.0**-16
"""Of the loss in mixed precision, which begins at 2**16. No finite gradient of 16 bits is found far below it."""


def no_step_succeeded(before: float, after: float, backoff: float, steps: int) -> bool:
    """Return whether mixed precision has skipped every one of ``steps`` steps, by what became of the loss scale.

    ``torch.amp.GradScaler`` multiplies its scale by ``backoff`` for each step that it skips, and raises it only
    after thousands of good ones. A scale of 0 has skipped too many to be counted.

    Args:
        before: scale before the first of these steps.
        after: scale after the last.
    """
    return steps > 0 and after <= before * backoff**steps
