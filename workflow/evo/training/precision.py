"""Whether mixed precision may be trusted on a device: asked of the network to train itself, from memory alone.

Ultralytics' own check (utils/checks.py, ``check_amp``) predicts with a downloaded ``yolo26n.pt``. It makes a folder in
the installation and asks the network whatever ``YOLO_OFFLINE`` says: a training dies where the installation is
read-only, and mixed precision depends on whether a server answers. This one keeps its idea, the same images in float32
and under autocast, and its list of devices.
"""

from __future__ import annotations

import contextlib
import copy
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..text.facts import Fact, fact

if TYPE_CHECKING:
    from torch import Tensor, device, nn

DEFECTIVE_GPUS = re.compile(
    r"(nvidia|geforce|quadro|tesla).*?(1660|1650|1630|t400|t550|t600|t1000|t1200|t2000|k40m)", re.IGNORECASE
)
"""GPUs that compute NaN, or nothing of use, in 16 bits: the list of ``check_amp``."""

IMAGES = 2
"""Of the check; batch normalisation takes its statistics from them."""
SMALLEST_SIDE = 128  # pixels
TOLERANCE = 0.5
"""Of the relative difference of the outputs, in the Euclidean norm. The networks of this workflow differ by 1 to 5 % in
float16 and by up to 15 % in bfloat16; what is defective gives NaN or something else altogether."""
CPU = frozenset({"cpu", "mps"})
"""Types of devices on which Ultralytics trains in float32, whatever `amp` says."""


def effective(requested: Any, amp: bool) -> str:
    """Return the arithmetic of a training: ``fp32``, ``fp16`` or ``bf16``, the last two mixed with float32.

    Args:
        requested: the argument ``amp``.
        amp: whether the trainer uses mixed precision, after its check.
    """
    return "fp32" if not amp else "bf16" if requested == "bf16" else "fp16"


def fault(model: nn.Module, where: device, channels: int) -> Fact | None:
    """Return why ``model`` is not to be trained in mixed precision on this GPU; None when nothing speaks against it.

    Args:
        model: the network, on the device.
        where: the device.
        channels: of the images.
    """
    import torch

    if where.type == "cuda" and DEFECTIVE_GPUS.search(name := torch.cuda.get_device_name(where)):
        return fact("gpu_computes_nan", gpu=name)
    distance = disagreement(model, where, channels)
    if math.isnan(distance):
        return fact("outputs_nonfinite")
    return fact("outputs_differ", share=distance) if distance > TOLERANCE else None


def disagreement(model: nn.Module, where: device, channels: int, dtype: Any = None) -> float:
    """Return the relative difference of the outputs under autocast from those in float32, in the Euclidean norm.

    NaN when one of them holds NaN or infinity.

    The network computes as in training, on a copy, so that no running statistic changes; nothing random is drawn.

    Args:
        dtype: of the autocast; that of the device by default, float16 on a GPU.
    """
    import torch

    probe = copy.deepcopy(model).float().train()
    side = max(SMALLEST_SIDE, 4 * int(max(getattr(model, "stride", [32]))))
    ramp = torch.arange(IMAGES * channels * side * side, device=where, dtype=torch.float32)
    images = (torch.sin(ramp) / 2 + 0.5).reshape(IMAGES, channels, side, side)  # (B, C, H, W), in [0, 1]
    with torch.no_grad():
        exact = list(_tensors(probe(images)))
        with torch.autocast(where.type, dtype=dtype):
            mixed = list(_tensors(probe(images)))
    parts = [(half.float() - full, full) for full, half in zip(exact, mixed, strict=True)]
    off, whole = (float(torch.stack([part[i].norm() for part in parts]).norm()) for i in (0, 1))
    return off / max(whole, 1e-6) if math.isfinite(off) else math.nan


def _tensors(output: Any) -> Iterator[Tensor]:
    """Yield the floating-point tensors of what a network returns, in order."""
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, (list, tuple)):
        for part in output:
            yield from _tensors(part)
    elif hasattr(output, "is_floating_point") and output.is_floating_point():
        yield output


@contextlib.contextmanager
def own_check(check: Any) -> Iterator[None]:
    """Let the trainer of Ultralytics ask ``check(model)`` instead of ``check_amp`` in this block."""
    from ultralytics.engine import trainer

    original = trainer.check_amp
    trainer.check_amp = check
    try:
        yield
    finally:
        trainer.check_amp = original
