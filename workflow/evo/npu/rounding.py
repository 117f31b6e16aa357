"""Rounding of weights to int8 by their effect on the outputs of their layer (GPTQ).

Rounding each weight to the nearest step causes most of the accuracy loss of a small detector. GPTQ (Frantar et al.
2023, arXiv:2210.17323, after Optimal Brain Surgeon) rounds the weights of a layer one input at a time, and compensates
the error in the weights not rounded yet, by the second moments of the layer's inputs. The scales stay those
of the quantiser, one per output channel, so these weights are on its grid already and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

STEPS = 127
"""Largest integer of a weight: symmetric, narrow range, as the int8 scheme of LiteRT has it."""
DAMPING = 0.01
"""Added to the diagonal of the second moments, as a share of its mean (the paper's value)."""
POSITIONS = 256
"""Spatial positions of each image that a layer's second moments are estimated from: enough for the widest layer."""


def round_weights(module: nn.Module, images: Iterable[np.ndarray], seed: int = 0) -> None:
    """Replace the weights of every dense convolution by values that int8 represents exactly, in place.

    Args:
        module: a network without batch normalisation (fused), that takes one NCHW image.
        images: (1, height, width, 3) float32 in 0 to 1, of the training split.
        seed: of the sampled positions.
    """
    import torch
    from torch import nn

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]
    threads = torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # small operations: with another job on the machine, synchronising threads takes ten times longer
    try:
        moments = _second_moments(module, layers, images, seed)
        with torch.no_grad():
            for layer, moment in moments.items():  # those that the network calls
                rounded = round_rows(layer.weight.flatten(1), moment)
                layer.weight.copy_(rounded.reshape(layer.weight.shape))
    finally:
        torch.set_num_threads(threads)


def _second_moments(
    module: nn.Module, layers: list[nn.Conv2d], images: Iterable[np.ndarray], seed: int
) -> dict[nn.Conv2d, torch.Tensor]:
    """Return for each layer that is called the mean of x xᵀ over its inputs x, the patches that make one output."""
    import torch
    from torch.nn.functional import unfold

    generator = torch.Generator().manual_seed(seed)
    sums: dict[nn.Conv2d, torch.Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def look(layer: nn.Conv2d, inputs: tuple[torch.Tensor, ...]) -> None:
        patches = unfold(inputs[0], layer.kernel_size, layer.dilation, layer.padding, layer.stride)[0]  # (inputs, L)
        if patches.shape[1] > POSITIONS:
            patches = patches[:, torch.randperm(patches.shape[1], generator=generator)[:POSITIONS]]
        sums[layer] = sums.get(layer, 0) + patches @ patches.T
        counts[layer] += patches.shape[1]

    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        with torch.no_grad():
            for image in images:
                module(torch.from_numpy(image).permute(0, 3, 1, 2))
    finally:
        for handle in handles:
            handle.remove()
    return {layer: total / counts[layer] for layer, total in sums.items()}


def round_rows(weights: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """Return the weights on their int8 grid: multiples of max |row| / 127, which the largest weight of a row keeps.

    Args:
        weights: (outputs, inputs) float.
        moments: (inputs, inputs), the mean of x xᵀ over the inputs x.
    """
    import torch

    rest, moments = weights.double().clone(), moments.double()
    scale = rest.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / STEPS
    largest = rest.abs().argmax(1)
    order = torch.argsort(moments.diagonal(), descending=True)  # inputs that matter most have most weights behind them
    back = torch.argsort(order)
    rest, moments, largest = rest[:, order], moments[order][:, order], back[largest]
    damping = DAMPING * moments.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
    moments = moments + damping * torch.eye(len(moments), dtype=moments.dtype)
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(moments)), upper=True)
    for column in range(rest.shape[1]):
        wanted = rest[:, column].clone()
        steps = torch.round(wanted / scale).clamp(-STEPS, STEPS)
        steps = torch.where(largest == column, STEPS * torch.sign(wanted), steps)
        rest[:, column] = steps * scale
        error = (wanted - rest[:, column]) / factor[column, column]
        rest[:, column + 1 :] -= error[:, None] * factor[column, column + 1 :]
    return rest[:, back].to(weights.dtype)
