"""Reading LiteRT models (``.tflite``) by our own count: operators, multiply-accumulates, tensors, activations."""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from ..errors import EvoError

IDENTIFIER = b"TFL3"
"""File identifier of a LiteRT flatbuffer, at byte 4 (tensorflow/lite/schema/schema.fbs)."""

ETHOS_U = "ethos-u"
"""Custom code of the operator into which Vela puts everything that runs on the NPU."""

MAX_FILE = 1024 * 1024 * 1024
"""Size limit in bytes; a flatbuffer itself ends at 2 GiB."""

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
ACTIVATIONS = ("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "HARD_SWISH", "GELU", "TANH", "PRELU", "ELU")


@dataclass(frozen=True)
class Tensor:
    """A tensor; ``scale`` and ``zero_point`` are None where it has none, or one per channel."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Operator:
    """One operator of the (only) subgraph, in its order of execution.

    Attributes:
        index: position in the subgraph.
        type: builtin name (``CONV_2D``), or the custom code of a custom operator (``ethos-u``).
        name: name of its first output tensor.
        fused: activation that it applies to its output, ``RELU``, or None.
        macs: multiply-accumulates of a convolution or matrix product; 0 for anything else.
        output_shape: of its first output.
        input_types: types of the tensors that are computed, constants left out.
        output_types: types of its outputs.
    """

    index: int
    type: str
    name: str
    fused: str | None
    macs: int
    output_shape: tuple[int, ...]
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]


def read_model(path: Path) -> Any:
    """Return the object tree of a model (``schema_py_generated.ModelT``).

    Raises:
        EvoError: the file is missing, empty, cut short or not a LiteRT model.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    path = Path(path)
    if not path.is_file():
        raise EvoError("model not found", where=path.resolve(), hint="run the rule that makes it")
    if path.stat().st_size > MAX_FILE:
        raise EvoError(f"{path.stat().st_size / 2**30:.0f} GiB are too large for a model", where=path.resolve())
    content = path.read_bytes()
    if len(content) < 16 or content[4:8] != IDENTIFIER:
        raise EvoError(
            f"not a LiteRT model ({len(content):,} bytes, without the identifier {IDENTIFIER.decode()})",
            where=path.resolve(),
            hint="delete it and run snakemake again",
        )
    with _damage_explained(path):
        model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
        if len(model.subgraphs) != 1:
            raise EvoError(f"{len(model.subgraphs)} subgraphs: one is expected", where=path.resolve())
        _require_indices(model)
    return model


@contextlib.contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    """Turn the errors of an object tree with impossible entries into one line."""
    try:
        yield
    except (struct.error, LookupError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise EvoError(
            f"damaged LiteRT model ({type(error).__name__}: it ends too early, or its entries point outside of it)",
            where=path.resolve(),
            hint="delete it and run snakemake again",
        ) from error


def _require_indices(model: Any) -> None:
    """Check every index once: Python would read a negative one from the end of a list.

    Raises:
        IndexError: an operator, tensor or output refers to what is not there.
        TypeError: a list is missing.
    """
    graph = model.subgraphs[0]
    counts = {"tensor": len(graph.tensors), "buffer": len(model.buffers), "code": len(model.operatorCodes)}
    found = [("buffer", tensor.buffer) for tensor in graph.tensors]
    found += [("tensor", index) for index in (*graph.inputs, *graph.outputs)]
    for operator in graph.operators:
        found += [("code", operator.opcodeIndex), *(("tensor", index) for index in operator.outputs)]
        found += [("tensor", index) for index in operator.inputs if index != -1]  # -1: an input that is left out
    for kind, index in found:
        if not 0 <= index < counts[kind]:
            raise IndexError(f"{kind} {index} of {counts[kind]}")


def read_operators(path: Path) -> list[Operator]:
    """Return every operator of a model in order.

    Raises:
        EvoError: see `read_model`.
    """
    model = read_model(path)
    with _damage_explained(Path(path)):
        return operators_of(model)


def operators_of(model: Any) -> list[Operator]:
    """Return every operator of an object tree in order."""
    graph = model.subgraphs[0]
    found = []
    for index, operator in enumerate(graph.operators):
        inputs = [graph.tensors[i] for i in operator.inputs if i >= 0]
        outputs = [graph.tensors[i] for i in operator.outputs]
        kind = type_of(model, operator)
        found.append(
            Operator(
                index=index,
                type=kind,
                name=_text(outputs[0].name) if outputs else "",
                fused=_fused(operator),
                macs=_macs(kind, operator, inputs, outputs),
                output_shape=_shape(outputs[0]) if outputs else (),
                input_types=tuple(_dtype(tensor) for tensor in inputs if not _constant(model, tensor)),
                output_types=tuple(_dtype(tensor) for tensor in outputs),
            )
        )
    return found


def type_of(model: Any, operator: Any) -> str:
    """Return the builtin name of an operator, or the custom code of a custom one."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]
    return _text(code.customCode) if name == "CUSTOM" else name


def io(path: Path) -> tuple[list[Tensor], list[Tensor]]:
    """Return the inputs and outputs of a model, in its order.

    Raises:
        EvoError: see `read_model`.
    """
    graph = read_model(path).subgraphs[0]
    with _damage_explained(Path(path)):
        return ([_tensor(graph.tensors[i]) for i in graph.inputs], [_tensor(graph.tensors[i]) for i in graph.outputs])


def float_islands(operators: Iterable[Operator]) -> list[Operator]:
    """Return the operators that compute in floating point, and the conversions into and out of it.

    An integer NPU leaves each of them to the CPU. A QUANTIZE from integers to integers is not one.
    """
    return [
        operator
        for operator in operators
        if any(kind.startswith("FLOAT") for kind in (*operator.input_types, *operator.output_types))
    ]


def activations(operators: Iterable[Operator]) -> dict[str, int]:
    """Count activation functions by name: operators of their own, and those fused into another operator."""
    counts = Counter(operator.type for operator in operators if operator.type in ACTIVATIONS)
    counts += Counter(operator.fused for operator in operators if operator.fused)
    return dict(sorted(counts.items()))


@cache
def _names(enumeration: str) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {value: name for name, value in members.items() if isinstance(value, int) and not name.startswith("_")}


def _text(value: bytes | str | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(edge) for edge in tensor.shape) if tensor.shape is not None else ()


def _dtype(tensor: Any) -> str:
    return _names("TensorType")[tensor.type]


def _constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _tensor(tensor: Any) -> Tensor:
    quantisation = tensor.quantization
    scales: Sequence[float] = ()
    if quantisation is not None and quantisation.scale is not None:
        scales = quantisation.scale
    single = len(scales) == 1
    return Tensor(
        name=_text(tensor.name),
        shape=_shape(tensor),
        dtype=_dtype(tensor).lower(),
        scale=float(scales[0]) if single else None,
        zero_point=int(quantisation.zeroPoint[0]) if single else None,
    )


def _fused(operator: Any) -> str | None:
    number = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    name = _names("ActivationFunctionType")[number]
    return None if name == "NONE" else name


def _macs(kind: str, operator: Any, inputs: list[Any], outputs: list[Any]) -> int:
    """Count as the schema defines the operators: one multiply-accumulate per weight and output position."""
    if kind in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
        weights, output = _shape(inputs[1]), _shape(outputs[0])
        if kind == "CONV_2D":  # weights (out, height, width, in / groups)
            return prod(output) * prod(weights[1:])
        if kind == "DEPTHWISE_CONV_2D":  # weights (1, height, width, out)
            return prod(output) * prod(weights[1:3])
        return prod(output) * weights[1]  # weights (out, in)
    if kind == "TRANSPOSE_CONV":  # inputs: output shape, weights (out, height, width, in), activations
        return prod(_shape(inputs[2])) * prod(_shape(inputs[1])[:3])
    if kind == "BATCH_MATMUL":
        left = _shape(inputs[0])
        return prod(_shape(outputs[0])) * (left[-2] if operator.builtinOptions.adjX else left[-1])
    return 0
