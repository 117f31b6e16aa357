"""Compile the int8 model of one variant for one board: placement, estimates and memory."""

from __future__ import annotations

from typing import Any

from workflow.evo.config.boards import Board
from workflow.evo.files import write_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.npu.compatibility import assess
from workflow.evo.npu.vela import compile_model, write_operators_csv
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_board


def main() -> None:
    session, variant, board = parse_board(
        "compile_npu",
        "Compile model_int8.tflite of a variant with Vela for one board. Writes model_int8_vela.tflite, "
        "compatibility.json (placement by our own count, Vela's estimate, memory against the board's) and "
        "operators.csv into results/{session}/{variant}/npu/{board}/.",
    )
    layout = session.layout.variant(variant.name)
    target = layout.board(board.name)
    compiled = compile_model(layout.model_int8, board, target.folder, session.npu.time_limit)
    document = assess(layout.model_int8, compiled, board)
    write_operators_csv(compiled, target.operators)
    write_json(target.compatibility, "compatibility", document)
    for line in report(document, board):
        log_line(f"compile_npu: {variant.name}: {board.name}: {line}")
    log_line(f"compile_npu: wrote {target.folder}")


def report(document: dict[str, Any], board: Board) -> list[str]:
    """Return the lines for the terminal: placement, estimate, warnings."""
    estimate, cpu = document["estimate"], document["cpu_operators"]
    lines = [f"{document['ops_percent']:.1f} % of {document['operators']['source']:,} operators on the NPU"]
    if estimate["latency_ms"] is not None:
        rest = "" if estimate["covers_all_operators"] else ", what runs on the CPU not counted"
        lines.append(
            f"{estimate['latency_ms']:.2f} ms ({estimate['cycles']:,} cycles at {estimate['clock_mhz']:g} MHz, "
            f"{estimate['system_config']}, {estimate['memory_mode']}) by the estimate of {estimate['by']}{rest}"
        )
    lines += [f"warning: on the CPU: {one['type']} {one['name']}: {one['reason'] or 'no reason given'}" for one in cpu]
    lines += [
        f"warning: {memory['used_kib']:,.0f} KiB of {kind.upper() if kind != 'flash' else kind}, "
        f"{board.platform or 'the board'} has {memory['budget_kib']:,}"
        for kind, memory in document["memory"].items()
        if memory["fits"] is False
    ]
    return lines


if __name__ == "__main__":
    entry_point(main)
