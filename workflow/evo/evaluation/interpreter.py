"""Running an int8 LiteRT model on the host, fed as by firmware."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EvoError

if TYPE_CHECKING:
    import numpy as np

LOWEST, HIGHEST = -128, 127

REFERENCE = "reference"

KERNELS = {REFERENCE: "BUILTIN_REF", "optimised": "AUTO"}
"""Kernels by their name in the configuration, and LiteRT's name of the resolver.

The reference kernels are those whose output Arm demands of Vela and the NPU bit for bit, by Vela's README, and LiteRT
Micro computes the same; whether a device does is not measured here. The optimised ones (XNNPACK where it has one) round
otherwise.
"""


def quantise(values: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return ``values`` as int8, rounded half away from zero and clipped to -128 … 127.

    That is C's ``roundf``, which is available to firmware and which the QUANTIZE kernel of LiteRT Micro uses
    (``TfLiteRound`` in ``AffineQuantize``); numpy's own rounding would go half to even. Computed in float32, as there.
    """
    import numpy as np

    steps = np.asarray(values, np.float32) / np.float32(scale)
    whole = np.trunc(steps)
    whole += np.copysign(np.abs(steps - whole) >= 0.5, steps)  # adding 0.5 first would round 0.49999997 up
    return np.clip(whole + zero_point, LOWEST, HIGHEST).astype(np.int8)


def dequantise(values: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return int8 ``values`` as float32: ``(q - zero_point) * scale``."""
    import numpy as np

    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


class Int8Model:
    """An int8 model with several interpreters of one thread each, for the images of a batch in parallel.

    Args:
        path: the ``.tflite`` file, before Vela.
        metadata: its ``metadata.json``.
        threads: interpreters, at most one per processor.
        kernels: one of `KERNELS`.

    Raises:
        EvoError: the file is missing or damaged, or metadata.json describes another model.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], threads: int, kernels: str = REFERENCE):
        self.path, self.threads = Path(path), threads
        self._interpreters: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(threads):
            self._interpreters.put(_open(self.path, kernels))
        interpreter = self._interpreters.get()
        inputs = [_Port(details) for details in interpreter.get_input_details()]
        if len(inputs) != 1:
            raise EvoError(f"{len(inputs)} inputs, one is expected", where=self.path.resolve(), hint="export it again")
        self._input = inputs[0]
        self._outputs = [_Port(details) for details in interpreter.get_output_details()]
        self._interpreters.put(interpreter)
        self._compare(metadata)
        self._pool = ThreadPoolExecutor(threads, "litert")

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the raw outputs, in the model's order.

        Args:
            images: (batch, height, width, 3) float32, 0 to 1, RGB.

        Returns:
            (batch, height, width, channels) int8 each.

        Raises:
            EvoError: the images do not have the size of the model's input.
        """
        import numpy as np

        if images.shape[1:] != self._input.shape[1:]:
            raise EvoError(
                f"images of {list(images.shape[1:])}, the input of the model is {list(self._input.shape[1:])}",
                where=self.path,
            )
        pixels = quantise(images, self._input.scale, self._input.zero_point)
        rows = list(self._pool.map(self._one, pixels))
        return [np.concatenate(column) for column in zip(*rows, strict=True)]

    def dequantised(self, raw: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of `run` as float32, in the same order and shapes."""
        return [
            dequantise(values, port.scale, port.zero_point) for values, port in zip(raw, self._outputs, strict=True)
        ]

    def close(self) -> None:
        self._pool.shutdown()

    def __enter__(self) -> Int8Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, image: np.ndarray) -> list[np.ndarray]:
        interpreter = self._interpreters.get()
        try:
            interpreter.set_tensor(self._input.index, image[None])
            interpreter.invoke()
            return [interpreter.get_tensor(port.index) for port in self._outputs]
        finally:
            self._interpreters.put(interpreter)

    def _compare(self, metadata: Mapping[str, Any]) -> None:
        """Refuse metadata that does not match the model: firmware takes scales and shapes from there."""
        described = [metadata["input"], *sorted(metadata["outputs"], key=lambda output: output["index"])]
        ports = [self._input, *self._outputs]
        if len(described) != len(ports):
            raise EvoError(
                f"{len(ports) - 1} outputs, metadata.json describes {len(described) - 1}",
                where=self.path.resolve(),
                hint="export the model again",
            )
        for port, entry in zip(ports, described, strict=True):
            given = (tuple(entry["shape"]), entry["dtype"], entry["scale"], entry["zero_point"])
            if given != (port.shape, port.dtype, port.scale, port.zero_point):
                raise EvoError(
                    f"'{port.name}' is {port.shape} {port.dtype}, scale {port.scale}, zero point {port.zero_point}; "
                    f"metadata.json says {given[0]} {given[1]}, scale {given[2]}, zero point {given[3]}",
                    where=self.path.resolve(),
                    hint="export the model again",
                )


class _Port:
    """An input or output of a model."""

    def __init__(self, details: Mapping[str, Any]):
        import numpy as np

        self.index, self.name = int(details["index"]), str(details["name"])
        self.shape = tuple(int(edge) for edge in details["shape"])
        self.dtype = np.dtype(details["dtype"]).name
        self.scale, self.zero_point = float(details["quantization"][0]), int(details["quantization"][1])


def _open(path: Path, kernels: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if not path.is_file():
        raise EvoError("model not found", where=path.resolve(), hint="run the rule `export_int8` first")
    try:
        resolver = getattr(OpResolverType, KERNELS[kernels])
        interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise EvoError(
            f"not a LiteRT model that runs here ({' '.join(str(error).split())[:160]})",
            where=path.resolve(),
            hint="delete it and run snakemake again",
        ) from error
    return interpreter
