"""Compilation of a network before it is trained: operators on the NPU, cycles, memory.

Placement and cycles depend on the architecture and not on the weights, so the untrained network shows them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.boards import Board
from ..errors import EvoError, UserError
from ..models.build import build
from ..models.definition import Definition
from ..text.facts import fact
from .calibration import noise_images
from .compatibility import assess
from .export import export_int8
from .flatbuffer import activations, read_operators
from .int8_check import verify_activations
from .vela import compile_model

if TYPE_CHECKING:
    from ultralytics.nn.tasks import DetectionModel

SEED = 0


def preflight(
    definition: Definition,
    nc: int,
    imgsz: int,
    executed: Mapping[str, Mapping[str, int]],
    boards: Iterable[Board],
    time_limit: float,
) -> dict[str, Any]:
    """Export and compile the untrained network.

    Call `workflow.evo.host.ultralytics_env.prepare` first.

    Args:
        definition: the checked model file.
        nc: number of classes.
        imgsz: edge of the square input in pixels.
        executed: activation calls per part of the checked network, from ``activations.json``.
        boards: the boards to compile for.
        time_limit: seconds for one run of the compiler.

    Returns:
        The document of ``npu.json`` without ``schema_version`` and ``variant``.

    Raises:
        UserError: Vela does not accept the settings of a board, or is not the version that the board names.
        EvoError: the network cannot be exported, or has other activations than the checked one.
    """
    with tempfile.TemporaryDirectory(prefix="evo-preflight-") as folder:
        model = Path(folder) / "untrained.tflite"
        exported = export_int8(_untrained(definition, nc), imgsz, noise_images(imgsz), model, rounding=False)
        operators = read_operators(model)
        compiled_for, failures = {}, {}
        for board in boards:
            try:
                compiled = compile_model(model, board, Path(folder) / board.name, time_limit)
                compiled_for[board.name] = assess(model, compiled, board)
            except UserError:
                raise
            except EvoError as error:
                failures[board.name] = error
        return {
            "nc": nc,
            "imgsz": imgsz,
            "operators": len(operators),
            "macs": sum(operator.macs for operator in operators),
            "activations": verify_activations(executed, activations(operators), bool(definition.end2end)),
            "float_operators": exported.float_operators(),
            "boards": compiled_for,
            "failed": {name: fact("quoted", text=str(error)).document() for name, error in failures.items()},
        }


def _untrained(definition: Definition, nc: int) -> DetectionModel:
    """Return the network with the same random weights each time.

    Vela compresses weights, so that latency depends on them a little: 4.755 ms one time and 4.773 ms another.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return build(definition, nc)
