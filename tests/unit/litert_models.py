"""Small LiteRT models, put together operator by operator, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

B, T = schema.BuiltinOperator, schema.TensorType


class Builder:
    """A model of one subgraph. Tensors are named; operators refer to them by name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.codes: list[int] = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, b"test"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.model.subgraphs, self.model.signatureDefs, self.model.metadata = [self.graph], [], []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int = T.INT8,
        scale: float | None = None,
        zero: int = 0,
        data: np.ndarray | None = None,
    ) -> Builder:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), list(shape), kind, 0
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.names.append(name)
        self.graph.tensors.append(tensor)
        return self

    def operator(self, kind: int, inputs: Sequence[str], outputs: Sequence[str], options: object = None) -> Builder:
        if kind not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 2
            self.codes.append(kind)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(kind)
        operator.inputs = [self.names.index(name) for name in inputs]
        operator.outputs = [self.names.index(name) for name in outputs]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)
        return self

    def save(self, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> Path:
        self.graph.inputs = [self.names.index(name) for name in inputs]
        self.graph.outputs = [self.names.index(name) for name in outputs]
        path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))
        return path


def leaky(alpha: float = 0.1) -> object:
    options = schema.LeakyReluOptionsT()
    options.alpha = alpha
    return options


def island(
    path: Path, scales: Sequence[float] = (0.02,), alpha: float = 0.1, float_reader: bool = False, size: int = 256
) -> Path:
    """Save int8 → DEQUANTIZE → LEAKY_RELU → one QUANTIZE per scale → int8."""
    builder = Builder()
    builder.tensor("in", [1, size], scale=0.03, zero=4)
    builder.tensor("f", [1, size], T.FLOAT32).tensor("g", [1, size], T.FLOAT32)
    builder.operator(B.DEQUANTIZE, ["in"], ["f"]).operator(B.LEAKY_RELU, ["f"], ["g"], leaky(alpha))
    outputs = []
    for index, scale in enumerate(scales):
        builder.tensor(f"out{index}", [1, size], scale=scale, zero=-100)
        builder.operator(B.QUANTIZE, ["g"], [f"out{index}"])
        outputs.append(f"out{index}")
    if float_reader:
        builder.tensor("h", [1, size], T.FLOAT32).operator(B.NEG, ["g"], ["h"], schema.NegOptionsT())
        outputs.append("h")
    return builder.save(path, ["in"], outputs)


def run(path: Path, value: np.ndarray) -> list[np.ndarray]:
    """Run a model of one input on the CPU, by the reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
