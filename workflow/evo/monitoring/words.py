"""Text from logs and files, and times, as the monitor shows them."""

from __future__ import annotations

from datetime import datetime

DAY = 86400


def plain(text: str) -> str:
    """Return one line without control and direction characters: a log or a file name must not control a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def clock_time(moment: float, now: float) -> str:
    """Return ``12:31:07`` in the reader's time zone, or date and time when it is more than half a day from ``now``."""
    pattern = "%H:%M:%S" if abs(now - moment) < DAY / 2 else "%Y-%m-%d %H:%M"
    return datetime.fromtimestamp(moment).strftime(pattern)


def iso_time(moment: float) -> str:
    """Return local time as ISO 8601 with offset, to the second."""
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="seconds")
