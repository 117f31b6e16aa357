"""Whether a training is alive, from the ``status.json`` that it renews every other second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import documents
from ..results.read import read_if_there
from ..training.status_writer import machine

STALE_SECONDS = 90.0
"""Silence after which a training on another machine counts as ended: NFS may show a change 60 s late (``acdirmax``)."""

ENDED = {"finished", "stopped", "failed"}


@dataclass(frozen=True)
class TrainingStatus:
    """The last status of one training.

    Attributes:
        document: a document of ``status.schema.json``.
        alive: whether the training runs.
        age_s: seconds since it was written.
        seen: when it was written, seconds since 1970, by the clock of the file system.
        evidence: why the training counts as alive or not, in words.
    """

    document: documents.Status
    alive: bool
    age_s: float
    seen: float
    evidence: str


class StatusReader:
    """Reads status files repeatedly, and remembers for how long each has not changed.

    The first read compares the file's time with this host's clock, so it assumes that the clocks of both machines, and
    of a file server between them, agree within a minute. Later reads do not depend on clocks: a training whose file
    changed between two of them is alive, and one whose file did not change for `STALE_SECONDS` is not.

    Args:
        clock: seconds since 1970.
        monotonic: seconds since any fixed moment.
        here: name of this machine, as `machine` returns it.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        here: str | None = None,
    ):
        self.clock, self.monotonic = clock, monotonic
        self.here = machine() if here is None else here
        self._first: dict[Path, tuple[Any, float, bool]] = {}  # its content, since when, whether it was seen to change

    def read(self, path: Path) -> TrainingStatus | None:
        """Return the status in a file; None without one, or where it is damaged."""
        document, _ = read_if_there(path, "status")
        if document is None:
            return None
        try:
            seen = path.stat().st_mtime
        except OSError:  # renewed, or removed with its checkpoints, in between
            return None
        age = self._age(path, document, seen)
        alive, evidence = self._alive(document, age)
        return TrainingStatus(document, alive, age, seen, evidence)

    def _alive(self, document: documents.Status, age: float) -> tuple[bool, str]:
        if document["phase"] in ENDED:
            return False, document["message"] or document["phase"]
        process = f"process {document['pid']}"
        if document["machine"] == self.here:
            if not process_lives(document["pid"], document["process_started"]):
                return False, f"{process} is gone"
            silent = f", but has written nothing for {age:.0f} s" if age >= STALE_SECONDS else ""
            return True, f"{process} is alive{silent}"
        process = f"{process} on {document['host']}"
        if age < STALE_SECONDS:
            return True, f"{process} wrote its status {age:.0f} s ago"
        return False, f"{process} has not written its status for {age:.0f} s"

    def _age(self, path: Path, document: documents.Status, seen: float) -> float:
        content, counting = (document["machine"], document["pid"], document["beat"]), self.monotonic()
        first, since, changed = self._first.get(path, (content, counting, False))
        if content != first:
            since, changed = counting, True
        self._first[path] = (content, since, changed)
        silent = counting - since
        return silent if changed or silent >= STALE_SECONDS else max(self.clock() - seen, 0.0)


def process_lives(pid: int, started: float) -> bool:
    """Return whether process ``pid`` of this machine was started then (seconds since 1970) and is not a zombie."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
