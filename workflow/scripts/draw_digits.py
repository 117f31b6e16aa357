"""Draw the embedded dataset of handwritten digits."""

from __future__ import annotations

from workflow.evo.data.digits import draw
from workflow.evo.errors import UserError
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_session
from workflow.evo.session.placement import refuse_misplaced


def main() -> int | None:
    session = parse_session(
        "draw_digits",
        "Draw the embedded dataset into results/{session}/data/digits/; same settings, same bytes.",
    )
    if session.data is not None:
        raise UserError(
            f"nothing to draw: the session uses {session.data}",
            where="configuration key 'data'",
            hint="set it to 'demo'",
        )
    refuse_misplaced(session)
    path = draw(session.layout.digits, session.digits)
    counts = ", ".join(
        f"{session.digits[split]} {split}" for split in ("train", "val", "test") if session.digits[split]
    )
    log_line(f"drew {counts} images of {session.digits['size']} px: {path}")
    return None


if __name__ == "__main__":
    entry_point(main)
