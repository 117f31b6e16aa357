"""Wall times of jobs, from the benchmark files that Snakemake writes."""

from __future__ import annotations

import csv
import math
from pathlib import Path


def wall_seconds(path: Path) -> float | None:
    """Return the wall time in seconds of the first run in a benchmark file; None without a readable one."""
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            seconds = float(next(csv.DictReader(stream, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, TypeError, ValueError, csv.Error):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def span(path: Path) -> tuple[float, float] | None:
    """Return start and end of a job in seconds since 1970. Its benchmark file was written when it ended."""
    seconds = wall_seconds(path)
    try:
        end = Path(path).stat().st_mtime
    except OSError:
        return None
    return None if seconds is None or seconds > end else (end - seconds, end)
