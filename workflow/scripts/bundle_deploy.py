"""Bundle what firmware needs to run one variant on one board."""

from __future__ import annotations

import sys

from workflow.evo.command_line import session_parser
from workflow.evo.config import load_session_files
from workflow.evo.errors import entry_point
from workflow.evo.npu.boards import load_board
from workflow.evo.npu.bundle import build


def main() -> None:
    parser = session_parser(
        "bundle_deploy",
        "Bundle compiled model, labels, scales, C header, host decoder and model card of a variant and a board. "
        "Writes results/{session}/{variant}/npu/{board}/deploy/.",
    )
    parser.add_argument("--variant", required=True, metavar="NAME", help="variant of the session, e.g. level2_relu")
    parser.add_argument(
        "--board", required=True, metavar="NAME", help="board of config/boards, or the path of another board file"
    )
    arguments = parser.parse_args()
    session = load_session_files(arguments.config)
    layout = session.layout.variant(session.variant(arguments.variant).name)
    configured = [board.name for board in map(load_board, session.npu.boards)]
    board = arguments.board if arguments.board in configured else load_board(arguments.board).name
    files = build(layout, board)
    print(f"bundle_deploy: wrote {layout.board(board).deploy}: {', '.join(files)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    entry_point(main)
