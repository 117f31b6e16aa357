"""Pretrained weights for a variant: the tensors that match, and never another network.

Call `workflow.evo.host.ultralytics_env.prepare` before anything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn
    from ultralytics.nn.tasks import DetectionModel


def transfer(model: DetectionModel, source: nn.Module | Mapping[str, torch.Tensor]) -> tuple[int, int]:
    """Copy every tensor of ``source`` that has the name and shape of one of ``model``.

    Ultralytics' ``BaseModel.load`` goes further: it gives the class branch of the head the source's width when that
    differs, activation included, so that the network is no longer the one that its definition describes.

    Args:
        model: the network to fill, in place.
        source: the network to copy from, or its weights by name; left as it is.

    Returns:
        How many tensors of ``model`` matched, and how many it has.
    """
    from ultralytics.utils.torch_utils import intersect_dicts

    own = model.state_dict()
    weights = dict(source) if isinstance(source, Mapping) else source.state_dict()
    matching = intersect_dicts(weights, own)
    model.load_state_dict({name: value.to(own[name].dtype) for name, value in matching.items()}, strict=False)
    return len(matching), len(own)
