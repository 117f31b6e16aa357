"""From the raw outputs of an exported model to the predictions of Ultralytics' detection head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import EvoError

if TYPE_CHECKING:
    import numpy as np
    import torch


def ordered(outputs: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """Return the entries of ``metadata.json``'s ``outputs`` of one kind, ``box`` or ``class``, finest feature map
    first."""
    chosen = (output for output in outputs if output["kind"] == kind)
    return sorted(chosen, key=lambda output: (output["stride"], output["feature_map"]))


def decode(raw: Sequence[np.ndarray], metadata: Mapping[str, Any]) -> torch.Tensor:
    """Return what ``Detect`` gives in evaluation mode: ``_inference`` of ultralytics 8.4, made of its own functions.

    Args:
        raw: the model's outputs in its order, dequantised: (batch, height, width, channels) float32 each.
        metadata: ``metadata.json``: kind, feature map and stride of each output, and ``reg_max``.

    Returns:
        (batch, 4 + classes, cells) float32: centre x, centre y, width and height in pixels of the network input, then
        the probability of each class. Feature maps as `ordered`, the cells of one row by row.

    Raises:
        EvoError: the maps are not those that the metadata describes.
    """
    if len(raw) != len(metadata["outputs"]):
        raise EvoError(f"{len(raw)} outputs, metadata.json describes {len(metadata['outputs'])}")
    import torch
    from ultralytics.nn.modules.block import DFL
    from ultralytics.utils.tal import dist2bbox, make_anchors

    boxes, classes = (
        [_channels_first(raw[output["index"]], output) for output in ordered(metadata["outputs"], kind)]
        for kind in ("box", "class")
    )
    bins = int(metadata["reg_max"])
    distances = torch.cat([values.flatten(2) for values in boxes], 2)
    if bins > 1:
        distances = DFL(bins)(distances)
    strides = [output["stride"] for output in ordered(metadata["outputs"], "box")]
    anchors, scale = (values.transpose(0, 1) for values in make_anchors(boxes, strides, 0.5))
    pixels = dist2bbox(distances, anchors.unsqueeze(0), xywh=True, dim=1) * scale
    scores = torch.cat([values.flatten(2) for values in classes], 2).sigmoid()
    return torch.cat((pixels, scores), 1)


def _channels_first(values: np.ndarray, output: Mapping[str, Any]) -> torch.Tensor:
    import torch

    if list(values.shape[1:]) != list(output["shape"][1:]):
        raise EvoError(
            f"the {output['kind']} map of {output['feature_map']} has the shape {list(values.shape[1:])}, "
            f"metadata.json says {list(output['shape'][1:])}"
        )
    return torch.from_numpy(values).permute(0, 3, 1, 2)
