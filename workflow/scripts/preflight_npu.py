"""Compile one untrained variant for the boards of the session."""

from __future__ import annotations

from typing import Any

from workflow.evo.config.boards import Board, load_board
from workflow.evo.data.source import CACHE as WORKING_CACHE
from workflow.evo.data.source import dataset_names
from workflow.evo.errors import EvoError
from workflow.evo.files import read_json, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.models import graph
from workflow.evo.npu import preflight_cache
from workflow.evo.printable import log_line
from workflow.evo.session.code import code_of
from workflow.evo.session.command_line import parse_variant
from workflow.evo.text.facts import sentence

CACHE = WORKING_CACHE / "preflights"


def main() -> None:
    session, variant = parse_variant(
        "preflight_npu",
        "Export and compile the untrained variant for the boards of the session: which operators the NPU runs, "
        "cycles and latency by Vela's estimate, and memory. Writes results/{session}/{variant}/check/npu.json. A "
        "variant that misses a gate of the configuration is refused by `check` and `train`.",
    )
    layout = session.layout.variant(variant.name)
    nc = len(dataset_names(session))
    definition, resolved = graph.load(variant.yaml, nc)
    executed = read_json(layout.activations, "activations")["executed"]
    boards = [load_board(name) for name in session.npu.boards]
    imgsz, limit = session.train.imgsz, session.npu.time_limit
    network, code = graph.fingerprint(resolved), code_of("preflight_npu")

    def key(board: Board) -> str:
        return preflight_cache.key(network, imgsz, executed, board, limit, code)

    documents = {board.name: preflight_cache.find(CACHE, key(board), variant.name) for board in boards}
    known = [document for document in documents.values() if document is not None]
    for name, document in documents.items():
        if document is not None:
            log_line(f"preflight_npu: {variant.name}: {name}: the same network was compiled before")
    if missing := [board for board in boards if documents[board.name] is None]:
        with ultralytics_env.offline():
            from workflow.evo.npu.preflight import preflight

            fresh = {"variant": variant.name, **preflight(definition, nc, imgsz, executed, missing, limit)}
        for board in missing:
            preflight_cache.keep(CACHE, key(board), board.name, fresh)
        known.append(fresh)
    document = preflight_cache.merged(known, session.npu.boards)
    if not document["boards"]:
        raise EvoError(sentence(next(iter(document["failed"].values()))), where=variant.name)
    for name, facts in document["boards"].items():
        log_line(f"preflight_npu: {variant.name}: {describe(name, facts)}")
    for name, reason in document["failed"].items():
        log_line(f"preflight_npu: warning: {variant.name}: {name}: {sentence(reason)}")
    write_json(layout.npu_check, "npu", document)
    log_line(f"preflight_npu: wrote {layout.npu_check}")


def describe(name: str, board: dict[str, Any]) -> str:
    """Return the result for one board in one line."""
    placed = f"{name}: {board['ops_percent']:.1f} % of operators on the NPU"
    if board["estimate"]["latency_ms"] is None:
        return placed
    return (
        f"{placed}, {board['estimate']['latency_ms']:.2f} ms by Vela's estimate, "
        f"{board['memory']['sram']['used_kib']:,.0f} KiB SRAM"
    )


if __name__ == "__main__":
    entry_point(main)
