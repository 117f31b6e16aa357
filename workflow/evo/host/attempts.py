"""Logs of attempts that came to no good end: Snakemake deletes the log of a job when it starts the job again.

A log is linked into ``attempts/`` beside it when a script starts, ``logs/train/attempts/level2_relu.3.log``, so that
it outlives the deletion whatever ends the attempt. After a success the link goes: the log itself stays where its rule
says.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

VARIABLE = "EVO_LOG"
"""Environment variable in which a rule names the log that its script writes to."""
KEPT = 10  # logs of one job
BYTES = 100 * 2**20  # of them together; the newest two are kept whatever they take
STDOUT = 1


def keep() -> Path | None:
    """Link the log that stdout goes to into ``attempts/``; return that link, or None where a rule has not called."""
    named = os.environ.get(VARIABLE)
    # A file system without hard links keeps the newest log only. That is no reason to fail.
    with contextlib.suppress(OSError):
        if named and os.path.samestat(os.fstat(STDOUT), Path(named).stat()):
            return _link(Path(named))
    return None


def _link(log: Path) -> Path:
    earlier = of(log)
    if earlier and earlier[-1].samefile(log):  # the same attempt, in a new process
        return earlier[-1]
    link = log.parent / "attempts" / f"{log.stem}.{_number(earlier[-1]) + 1 if earlier else 1}.log"
    link.parent.mkdir(exist_ok=True)
    link.hardlink_to(log)
    _prune([*earlier, link])
    return link


def of(log: Path) -> list[Path]:
    """Return the kept logs of the attempts at a job, oldest first.

    Args:
        log: the log that its rule declares.
    """
    name = re.compile(rf"{re.escape(log.stem)}\.\d+\.log")
    folder = log.parent / "attempts"
    found = [path for path in folder.iterdir() if name.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    return int(path.stem.rpartition(".")[2])


def _prune(logs: list[Path]) -> None:
    total = 0
    for count, path in enumerate(reversed(logs), start=1):
        total += path.stat().st_size
        if count > KEPT or (total > BYTES and count > 2):
            path.unlink()
