"""The error at the end of a log."""

from __future__ import annotations

import re
from pathlib import Path

from ..printable import printable

TAIL_BYTES = 64 * 1024
MAX_LINES = 3
"""Lines of an error that are quoted; the rest are counted."""

MAX_LENGTH = 2000
"""Characters of a line that are quoted."""

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def logged_error(path: Path) -> str | None:
    """Return the error that ended the job which wrote this log, or None.

    For an error of the workflow these are the line ``error: …`` and those after it, one per finding; for any other
    exception the last line.
    """
    try:
        with Path(path).open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return None
    # A log also has what libraries print, such as names of files with control characters.
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
