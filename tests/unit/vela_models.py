"""Small int8 models for the tests of the compiler, and what it would make of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.unit.litert_models import B, Builder, T, leaky

MACS = 16 * 16 * 8 * 27, 16 * 16 * 8 * 72
"""Of the two convolutions below: output 16×16×8, 3×3 on 3 and on 8 channels."""


def _convolution(builder: Builder, name: str, source: str, channels: int, stride: int, kind: int) -> None:
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = stride
    options.dilationHFactor = options.dilationWFactor = 1
    scale = None if kind == T.FLOAT32 else 0.1
    weights = np.ones((8, 3, 3, channels), np.float32 if kind == T.FLOAT32 else np.int8)
    bias = T.FLOAT32 if kind == T.FLOAT32 else T.INT32
    builder.tensor(f"{name}.w", weights.shape, kind, scale, data=weights)
    builder.tensor(f"{name}.b", [8], bias, None if scale is None else 0.01, data=np.zeros(8, np.int32))
    builder.tensor(name, [1, 16, 16, 8], kind, scale)
    builder.operator(B.CONV_2D, [source, f"{name}.w", f"{name}.b"], [name], options)


def network(path: Path, kind: int = T.INT8) -> Path:
    """Save two convolutions, from 32×32×3 to 16×16×8."""
    builder = Builder()
    builder.tensor("image", [1, 32, 32, 3], kind, None if kind == T.FLOAT32 else 0.1)
    _convolution(builder, "a", "image", 3, 2, kind)
    _convolution(builder, "b", "a", 8, 1, kind)
    return builder.save(path, ["image"], ["b"])


def with_island(path: Path) -> Path:
    """Save the same with a LEAKY_RELU in floating point between the two convolutions."""
    builder = Builder()
    builder.tensor("image", [1, 32, 32, 3], scale=0.1)
    _convolution(builder, "a", "image", 3, 2, T.INT8)
    builder.tensor("float", [1, 16, 16, 8], T.FLOAT32).tensor("leaky, float", [1, 16, 16, 8], T.FLOAT32)
    builder.tensor("again", [1, 16, 16, 8], scale=0.1)
    builder.operator(B.DEQUANTIZE, ["a"], ["float"]).operator(B.LEAKY_RELU, ["float"], ["leaky, float"], leaky())
    builder.operator(B.QUANTIZE, ["leaky, float"], ["again"])
    _convolution(builder, "b", "again", 8, 1, T.INT8)
    return builder.save(path, ["image"], ["b"])


def compiled(path: Path, island: bool = False, blobs: int = 1) -> Path:
    """Save what the compiler leaves: ``ethos-u`` operators, and with ``island`` a QUANTIZE and a convolution."""
    builder = Builder()
    builder.tensor("image", [1, 32, 32, 3], scale=0.1).tensor("a", [1, 16, 16, 8], scale=0.1)
    for _ in range(blobs):
        builder.operator(B.CUSTOM, ["image"], ["a"])
        builder.model.operatorCodes[0].customCode = b"ethos-u"
    if island:
        builder.tensor("again", [1, 16, 16, 8], scale=0.1).operator(B.QUANTIZE, ["a"], ["again"])
        _convolution(builder, "b", "again", 8, 1, T.INT8)
    return builder.save(path, ["image"], ["b" if island else "a"])
