"""Bundle what firmware needs to run one variant on one board."""

from __future__ import annotations

from workflow.evo.deploy.bundle import build
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_board


def main() -> None:
    session, variant, board = parse_board(
        "bundle_deploy",
        "Bundle compiled model, labels, scales, C header, host decoder and model card of a variant and a board. "
        "Writes results/{session}/{variant}/npu/{board}/deploy/.",
    )
    layout = session.layout.variant(variant.name)
    files = build(layout, board.name)
    log_line(f"bundle_deploy: wrote {layout.board(board.name).deploy}: {', '.join(files)}")


if __name__ == "__main__":
    entry_point(main)
