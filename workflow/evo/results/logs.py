"""Why a stage has no result: the last error in the log of its rule."""

from __future__ import annotations

import re
from pathlib import Path

from ..printable import printable

TAIL_BYTES = 64 * 1024
MAX_LINES = 3
"""Lines of one error that are quoted; the others are counted."""

MAX_LENGTH = 2000
"""Characters of a line that are quoted."""

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def logged_error(path: Path) -> str | None:
    """Return the error that ended the program which wrote this log, or None.

    An error of the workflow is ``error: …`` and all lines after it, one per finding; of any other exception it is the
    last line.
    """
    try:
        with Path(path).open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return None
    # A log holds what libraries print too, names of files as they are.
    lines = [
        printable(line, MAX_LENGTH)
        for raw in text.expandtabs(1).splitlines()
        if (line := _CONTROL.sub("", raw).strip())
    ]
    starts = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    if starts:
        found = [lines[starts[-1]].removeprefix("error: "), *lines[starts[-1] + 1 :]]
        rest = len(found) - MAX_LINES
        return "; ".join(found[:MAX_LINES]) + (f"; … and {rest} more" if rest > 0 else "")
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1]
    return None
