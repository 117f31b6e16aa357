"""Whether a training lives, from the ``status.json`` that it renews every other second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..results.read import read_if_there
from ..training.status_writer import machine

STALE_SECONDS = 90.0
"""Silence after which a training of another machine counts as ended: NFS may show a change 60 s late (``acdirmax``)."""

ENDED = {"finished", "stopped", "failed"}


@dataclass(frozen=True)
class Sign:
    """The last sign of life of one training.

    Attributes:
        status: a document of ``status.schema.json``.
        alive: whether the training runs.
        age_s: seconds since the last sign.
        seen: time of the last sign, seconds since 1970, by the clock of the file system.
        evidence: why it counts as alive or not, in words.
    """

    status: dict[str, Any]
    alive: bool
    age_s: float
    seen: float
    evidence: str


class StatusReader:
    """Reads status files again and again, and remembers since when each has not changed.

    A single look compares the file's time with this host's clock, so it takes the clocks of both machines, and of a
    file server between them, to agree within a minute. Whoever looks longer needs no such assumption: what changed a
    moment ago lives, and what has not changed for `STALE_SECONDS` of this host's own counting does not.

    Args:
        clock: seconds since 1970.
        monotonic: counts seconds, from anywhere.
        here: name of this machine, as `machine` gives it.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        here: str | None = None,
    ):
        self.clock, self.monotonic = clock, monotonic
        self.here = machine() if here is None else here
        self._first: dict[Path, tuple[Any, float, bool]] = {}  # what it said, since when, whether it was seen to change

    def read(self, path: Path) -> tuple[Sign | None, str | None]:
        """Return ``(sign, None)``, ``(None, None)`` without a file, or ``(None, what is wrong with it)``."""
        status, damage = read_if_there(path, "status")
        if status is None:
            return None, damage
        try:
            seen = path.stat().st_mtime
        except OSError:  # renewed, or removed with its checkpoints, in between
            return None, None
        age = self._age(path, status, seen)
        if status["phase"] in ENDED:
            return Sign(status, False, age, seen, status["message"] or status["phase"]), None
        process = f"process {status['pid']}"
        if status["machine"] == self.here:
            if not process_lives(status["pid"], status["process_started"]):
                return Sign(status, False, age, seen, f"{process} is gone"), None
            words = f"{process} is there" + (f", but silent for {age:.0f} s" if age >= STALE_SECONDS else "")
            return Sign(status, True, age, seen, words), None
        where = f"{process} on {status['host']}"
        if age < STALE_SECONDS:
            return Sign(status, True, age, seen, f"sign of {where} {age:.0f} s ago"), None
        return Sign(status, False, age, seen, f"no sign of {where} for {age:.0f} s"), None

    def _age(self, path: Path, status: dict[str, Any], seen: float) -> float:
        said, counting = (status["machine"], status["pid"], status["beat"]), self.monotonic()
        first, since, changed = self._first.get(path, (said, counting, False))
        if said != first:
            since, changed = counting, True
        self._first[path] = (said, since, changed)
        silent = counting - since
        return silent if changed or silent >= STALE_SECONDS else max(self.clock() - seen, 0.0)


def process_lives(pid: int, started: float) -> bool:
    """Return whether process ``pid`` of this machine started then (seconds since 1970) and is no zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
