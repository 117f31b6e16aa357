"""Draw the embedded dataset of handwritten digits."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow.evo.config import load_session_files
from workflow.evo.data.digits import draw
from workflow.evo.errors import UserError, entry_point


def main() -> int | None:
    parser = argparse.ArgumentParser(
        prog="python -m workflow.scripts.draw_digits",
        description="Draw the embedded dataset into results/{session}/data/digits/; same settings, same bytes.",
    )
    parser.add_argument(
        "--config",
        nargs="+",
        type=Path,
        default=[Path("config/config.yaml")],
        metavar="FILE",
        help="configuration files, later ones laid over earlier ones (default: config/config.yaml)",
    )
    session = load_session_files(parser.parse_args().config)
    if session.data is not None:
        raise UserError(
            f"nothing to draw: the session uses {session.data}",
            where="configuration key 'data'",
            hint="set it to 'demo'",
        )
    path = draw(session.layout.digits, session.digits)
    counts = ", ".join(
        f"{session.digits[split]} {split}" for split in ("train", "val", "test") if session.digits[split]
    )
    print(f"drew {counts} images of {session.digits['size']} px: {path}", file=sys.stderr)
    return None


if __name__ == "__main__":
    entry_point(main)
