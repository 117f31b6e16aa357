"""The document `model.json` of a network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..config.variants import PARTS
from ..text.facts import fact
from .definition import Definition
from .graph import Graph, describe, fingerprint

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel


def summarise(name: str, definition: Definition, graph: Graph, model: DetectionModel) -> dict[str, Any]:
    """Return the document of ``model.json`` without its ``schema_version``; it depends on the file's content only.

    Args:
        name: the variant's.
        definition: the checked file.
        graph: its network, resolved for the classes of the dataset.
        model: the same network, built; its parameters are counted.
    """
    layers, parameters = dict.fromkeys(PARTS, 0), dict.fromkeys(PARTS, 0)
    for layer, module in zip(graph.layers, model.model, strict=True):
        layers[layer.part] += 1
        parameters[layer.part] += sum(tensor.numel() for tensor in module.parameters())
    limit = definition.max_channels
    return {
        "name": name,
        "file": definition.path.name,
        "level": definition.level,
        "activation": str(definition.activation),
        "scope": list(definition.scope),
        "nc": graph.nc,
        "file_nc": definition.nc,
        "layers": len(graph.layers),
        "parameters": sum(parameters.values()),
        "parts": {part: {"layers": layers[part], "parameters": parameters[part]} for part in PARTS},
        "strides": list(graph.strides),
        "definition": {
            "scale": definition.scale,
            "depth_multiple": definition.depth,
            "width_multiple": definition.width,
            "max_channels": None if math.isinf(limit) else int(limit),
            "reg_max": graph.reg_max,
            "end2end": graph.end2end,
            "layers": describe(graph),
        },
        "fingerprint": fingerprint(graph),
        "notes": _notes(definition, graph),
    }


def _notes(definition: Definition, graph: Graph) -> list[dict[str, Any]]:
    """Return notes for the reader, as documents of facts."""
    notes = []
    if definition.nc != graph.nc:
        notes.append(fact("other_class_count", file=definition.nc, dataset=graph.nc))
    if 0 < len(definition.scope) < len(PARTS):
        others = [part for part in PARTS if part not in definition.scope]
        notes.append(fact("scope_of_activation", activation=str(definition.activation), parts=others))
    return [note.document() for note in notes]
