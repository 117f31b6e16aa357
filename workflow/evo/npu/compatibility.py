"""How much of a model runs on an Ethos-U, counted in the flatbuffers before and after Vela.

Vela's own percentage counts lowered operators (one SOFTMAX is dozens of them) and its MACs leave out those of the CPU,
so both are counted here: operators and multiply-accumulates of the source file, and those of the compiled file that are
not ``ethos-u`` operators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.boards import Board
from ..files import sha256_file
from .flatbuffer import ETHOS_U, Operator, read_operators
from .vela import Compiled
from .vela_report import bound_by, same_type

KIB = 1024


def assess(source: Path, compiled: Compiled, board: Board) -> dict[str, Any]:
    """Return the document of ``compatibility.json`` without its ``schema_version``.

    What Vela cannot know is None: cycles, latency and SRAM of a model of which nothing runs on the NPU.

    Raises:
        EvoError: one of the files is missing, damaged or not a LiteRT model.
    """
    before, after = read_operators(source), read_operators(compiled.path)
    blobs = sum(operator.type == ETHOS_U for operator in after)
    cpu = [operator for operator in after if operator.type != ETHOS_U]
    macs, cpu_macs = (sum(operator.macs for operator in operators) for operators in (before, cpu))
    summary = compiled.summary
    return {
        "board": board.name,
        "accelerator": board.accelerator,
        "ops_percent": 100 * (1 - len(cpu) / len(before)),
        "macs_percent": 100 * (1 - cpu_macs / macs) if macs else None,
        "operators": {"source": len(before), "cpu": len(cpu)},
        "macs": {"source": macs, "cpu": cpu_macs},
        "npu_blobs": blobs,
        "cpu_operators": [
            {"name": operator.name, "type": operator.type, "reason": _reason(operator, compiled)} for operator in cpu
        ],
        "estimate": {
            "by": f"Vela {compiled.version}",
            "clock_mhz": summary.clock_mhz,
            "system_config": board.system_name,
            "memory_mode": board.mode_name,
            "assumed": list(board.assumed),
            "cycles": summary.cycles_total if blobs else None,
            "latency_ms": summary.latency_ms if blobs else None,
            "covers_all_operators": not cpu,
            "bound_by": bound_by(compiled.rows) if blobs else None,
        },
        "memory": {
            # With the mode Sram_Only, the constants that Vela counts as on-chip flash are in the SRAM too.
            "sram": _memory(summary.sram_kib + summary.on_chip_flash_kib if blobs else None, board.sram_kib),
            "flash": _memory(compiled.path.stat().st_size / KIB, board.flash_kib),
            "dram": _memory(summary.dram_kib if blobs else None, board.dram_kib),
        },
        "sha256": {"source": sha256_file(source), "compiled": sha256_file(compiled.path)},
    }


def _memory(used_kib: float | None, budget_kib: int | None) -> dict[str, Any]:
    fits = None if used_kib is None or budget_kib is None else used_kib <= budget_kib
    return {"used_kib": used_kib, "budget_kib": budget_kib, "fits": fits}


def _reason(operator: Operator, compiled: Compiled) -> str | None:
    for candidate in compiled.cpu:
        if candidate.name == operator.name and same_type(candidate.type, operator.type):
            return candidate.reason
    return None
