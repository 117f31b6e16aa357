"""Building the network of a definition exactly as for training, each part with its activation.

Call `workflow.evo.host.ultralytics_env.prepare` before anything here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .definition import Definition
from .expressions import CLASSES, Activation

if TYPE_CHECKING:
    from torch import nn
    from ultralytics.nn.tasks import DetectionModel


def build(definition: Definition, nc: int, channels: int = 3) -> DetectionModel:
    """Build the network with random weights.

    Args:
        definition: a checked model file.
        nc: number of classes of the dataset.
        channels: channels of the image.

    Returns:
        The Ultralytics model on the CPU, in training mode, scope applied.
    """
    model = _parse(dict(definition.document), definition, nc, channels)
    apply_scope(model, definition)
    return model


def build_reference(definition: Definition, nc: int, channels: int = 3) -> DetectionModel:
    """Build what stock Ultralytics makes of the file without its ``activation`` key: SiLU, one shared instance."""
    document = {key: value for key, value in definition.document.items() if key != "activation"}
    return _parse(document, definition, nc, channels)


def _parse(document: dict[str, Any], definition: Definition, nc: int, channels: int) -> DetectionModel:
    """Build a document with Ultralytics, and restore its process-wide default activation in any case.

    ``parse_model`` replaces ``Conv.default_act`` while it builds and restores it only when it succeeds.
    """
    from torch import nn
    from ultralytics.nn.modules.conv import Conv
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import SAFE_LOAD

    if not SAFE_LOAD:
        raise RuntimeError("ultralytics was imported without ULTRALYTICS_SAFE_LOAD: call ultralytics_env.prepare first")
    document = copy.deepcopy({**document, "nc": nc, "scale": definition.scale, "yaml_file": definition.path.name})
    default, Conv.default_act = Conv.default_act, nn.SiLU()
    try:
        return DetectionModel(document, ch=channels, nc=nc, verbose=False)
    finally:
        Conv.default_act = default


def apply_scope(model: DetectionModel, definition: Definition) -> None:
    """Give every activation call site its own module: the definition's inside the scope, SiLU outside.

    Ultralytics shares one instance among all sites and has one activation for the whole network. Sites without
    an activation (``act=False``, Identity) stay as they are. Loading weights can replace modules of the detection head
    (``BaseModel.load`` copies the class branch of the checkpoint when its width differs), so call this after it.
    """
    for index, layer in enumerate(model.model):
        activation = definition.activations[definition.part_of(index)]
        for owner, name, _ in activation_sites(layer):
            setattr(owner, name, instance(activation))


def activation_sites(layer: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yield (owner, attribute, module) of every activation of the allow-list in a layer, shared ones each time."""
    from torch import nn

    kinds = tuple(getattr(nn, name) for name in CLASSES)
    for owner in list(layer.modules()):
        for name, module in list(owner._modules.items()):
            if isinstance(module, kinds):
                yield owner, name, module


def instance(activation: Activation) -> nn.Module:
    """Return a new module of an activation."""
    from torch import nn

    return getattr(nn, activation.name)(**dict(activation.arguments))


def of_module(module: Any) -> Activation | None:
    """Return the activation that a module is, arguments included; None for a class outside the allow-list."""
    name = type(module).__name__
    if type(module).__module__ != "torch.nn.modules.activation" or name not in CLASSES:
        return None
    return Activation(name, tuple((key, getattr(module, key)) for key in CLASSES[name]))
