"""Print what the checks found, one row per variant and board."""

from __future__ import annotations

from typing import Any

from workflow.evo import documents
from workflow.evo.config.boards import load_board
from workflow.evo.config.session import Session
from workflow.evo.config.variants import Variant
from workflow.evo.files import read_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.npu.gates import gate, missed_on, refuse_missed
from workflow.evo.session.command_line import parse_session
from workflow.evo.text import wording
from workflow.evo.text.misses import verdict

WIDTH = 170  # columns where no terminal tells: a log, a pipe


def main() -> None:
    session = parse_session(
        "check",
        "Print a table of the checks of a session, one row per variant and configured board, from whatever exists of "
        "them: run it at any time. Fails when a variant misses a gate of the configuration.",
    )
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        console = Console(stderr=True, width=WIDTH)
    found = [(variant, check_of(session, variant)) for variant in session.variants]
    console.print(table(session, found))
    for variant, check in found:
        if check is not None:
            refuse_missed(variant, gate(variant, session.npu, check))


def check_of(session: Session, variant: Variant) -> documents.Npu | None:
    """Return ``check/npu.json`` of a variant, or None where there is none."""
    path = session.layout.variant(variant.name).npu_check
    return read_json(path, "npu") if path.is_file() else None


def table(session: Session, found: list[tuple[Variant, documents.Npu | None]]) -> Any:
    """Return the table (a `rich.table.Table`)."""
    from rich.table import Table

    result = Table(
        title=f"Checks of session {session.name}",
        caption="Cycles and latency are Vela's estimates for the untrained network; nothing ran on a device.",
    )
    for heading in ("Variant", "Board", "Gate"):
        result.add_column(heading)
    for heading in ("Operators on NPU", "MACs on NPU", "Cycles", "Latency", "SRAM", "Flash"):
        result.add_column(heading, justify="right")
    for variant, check in found:
        if check is None:
            result.add_row(variant.name, "—", "not checked")
            continue
        gated = {"gate": gate(variant, session.npu, check)}
        for name in session.npu.boards:
            result.add_row(variant.name, name, verdict(missed_on(gated, name)), *_figures(check["boards"].get(name)))
    for name in session.npu.boards:
        board = load_board(name)
        preset = f"{name}: {board.system_config}, {board.memory_mode}, {board.clock_mhz:g} MHz."
        result.caption = f"{result.caption}\n{preset}"
    return result


def _figures(board: documents.NpuBoards | None) -> list[str]:
    if board is None:
        return []
    estimate, memory = board["estimate"], board["memory"]
    return [
        wording.placed(board),
        wording.percent(board["macs_percent"]),
        wording.count(estimate["cycles"]),
        wording.latency(estimate["latency_ms"]),
        wording.used(memory["sram"]),
        wording.used(memory["flash"]),
    ]


if __name__ == "__main__":
    entry_point(main)
