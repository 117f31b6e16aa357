"""Folding float islands: LEAKY_RELU computed in floating point becomes one int8 LEAKY_RELU.

ai-edge-quantizer 0.10 has no integer LEAKY_RELU. It leaves DEQUANTIZE → LEAKY_RELU → QUANTIZE, three operators that run
on the CPU, while the runtime and the compiler both support LEAKY_RELU on int8 with scales of its own. The
folded operator takes the quantised input and writes the quantised output, with the same scales: its results differ from
the island's by rounding only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_atomically
from .flatbuffer import read_model, type_of

KIND = "LEAKY_RELU"


@dataclass(frozen=True)
class Fold:
    """Result of `fold_leaky_relu`.

    Attributes:
        folded: islands that became one operator.
        requantised: further QUANTIZE operators kept, int8 to int8, where an island's result had several scales.
        left: names of the LEAKY_RELU outputs that stay in floating point, because something else reads their floats.
    """

    folded: int
    requantised: int
    left: tuple[str, ...]


def fold_leaky_relu(source: Path, target: Path) -> Fold:
    """Fold every float LEAKY_RELU island of ``source`` and write the model to ``target``.

    With several QUANTIZE consumers, the one of the widest scale takes the place of the island, so that nothing is
    clipped; the others requantise from it.

    Raises:
        EvoError: ``source`` is not a LiteRT model, or the disk is full.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = read_model(source)
    graph = model.subgraphs[0]
    producer = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    consumers: dict[int, list[Any]] = defaultdict(list)
    for operator in graph.operators:
        for tensor in operator.inputs:
            consumers[int(tensor)].append(operator)
    graph_outputs = {int(tensor) for tensor in graph.outputs}

    removed: list[Any] = []
    folded, requantised, left = 0, 0, []
    for operator in graph.operators:
        if type_of(model, operator) != KIND or not _is_float(graph, operator):
            continue
        result = int(operator.outputs[0])
        before, after = producer.get(int(operator.inputs[0])), consumers[result]
        if (
            before is None
            or type_of(model, before) != "DEQUANTIZE"
            or not after
            or any(type_of(model, reader) != "QUANTIZE" for reader in after)
            or result in graph_outputs
        ):
            left.append(graph.tensors[result].name.decode(errors="replace"))
            continue
        widest = max(after, key=lambda reader: graph.tensors[reader.outputs[0]].quantization.scale[0])
        operator.inputs, operator.outputs = [before.inputs[0]], [widest.outputs[0]]
        for reader in after:
            if reader is not widest:
                reader.inputs = [widest.outputs[0]]
                requantised += 1
        removed.append(widest)
        folded += 1
    kept = [operator for operator in graph.operators if not any(operator is other for other in removed)]
    used = {int(tensor) for operator in kept for tensor in operator.inputs} | graph_outputs
    graph.operators = [
        operator for operator in kept if type_of(model, operator) != "DEQUANTIZE" or int(operator.outputs[0]) in used
    ]
    write_atomically(target, bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    return Fold(folded, requantised, tuple(left))


def _is_float(graph: Any, operator: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    return graph.tensors[operator.outputs[0]].type == schema.TensorType.FLOAT32
