"""What happened to a training across its attempts: kept beside the checkpoints, so that no retry wipes it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..files import write_atomically
from ..text.facts import Fact, fact, is_fact, of_document


def now() -> str:
    """Return the local time as ISO 8601 with offset, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


class Journal:
    """Incidents (``incidents.jsonl``) and the bookkeeping of attempts (``run.json``) of one training.

    Attributes:
        run: ``recipe``, ``started`` (ISO 8601), ``attempts`` and ``batch`` (images; lower than configured after an
            out-of-memory); ``images``, how many images and objects each split held when it began; ``nonfinite``, the
            epoch that was tried once more; ``running``, the epoch, batch and kernel counters of a process that has not
            ended in an orderly way; ``stopped``, the fact why no further attempt makes sense.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self._run_file = self.folder / "run.json"
        self._incidents_file = self.folder / "incidents.jsonl"
        try:
            run = json.loads(self._run_file.read_text())
        except (OSError, ValueError, RecursionError):
            run = {}
        sound = isinstance(run, dict) and _is_moment(run.get("started")) and isinstance(run.get("attempts"), int)
        self.run: dict[str, Any] = run if sound else {}

    @property
    def files(self) -> tuple[Path, Path]:
        """The files that it reads."""
        return self._run_file, self._incidents_file

    def start_attempt(self, recipe: str, batch: int) -> bool:
        """Count an attempt at ``recipe``. Returns whether an earlier attempt at the same recipe is continued."""
        again = self.run.get("recipe") == recipe
        if not again:
            self.run = {"recipe": recipe, "started": now(), "attempts": 0, "batch": batch}
            self._incidents_file.unlink(missing_ok=True)  # of no known training: the others' went with their recipe
        self.run["attempts"] += 1
        self.save()
        return again

    def save(self) -> None:
        write_atomically(self._run_file, json.dumps(self.run, indent=2) + "\n")

    def stop(self, reason: Fact) -> None:
        """Note that a further attempt at this recipe would come to the same end."""
        self.run["stopped"] = reason.document()
        self.save()

    def stopped(self, recipe: str) -> Fact | None:
        """Return why no further attempt at ``recipe`` makes sense, if so."""
        reason = self.run.get("stopped") if self.run.get("recipe") == recipe else None
        if reason is None:
            return None
        return of_document(reason) if is_fact(reason) else fact("quoted", text=str(reason))

    def allow_retry(self) -> None:
        """Allow further attempts: somebody gave the command again, and may have fixed what was wrong."""
        if "stopped" in self.run:
            self.run = {key: value for key, value in self.run.items() if key not in {"stopped", "nonfinite"}}
            self.save()

    def incident(self, kind: str, what: Fact, **details: Any) -> None:
        """Append one incident: a time, its kind, a fact and further details for machines."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": now(), "kind": kind, **what.document(), **details})
        with self._incidents_file.open("a+b") as stream:
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                if stream.read() != b"\n":  # a crash cut the last line: this one must not be lost with it
                    stream.write(b"\n")
            stream.write(line.encode() + b"\n")

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents in order; a damaged line, as one cut short by a crash, is left out."""
        found = []
        if self._incidents_file.is_file():
            for line in self._incidents_file.read_bytes().split(b"\n"):
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(entry, dict) and isinstance(entry.get("kind"), str) and _is_moment(entry.get("time")):
                    found.append(with_fact(entry))
        return found


def with_fact(incident: Mapping[str, Any]) -> dict[str, Any]:
    """Return an incident with ``code`` and ``parameters``. Version 0.1.0 wrote an English ``message``, which is quoted."""
    if isinstance(incident.get("code"), str) and isinstance(incident.get("parameters"), dict):
        return dict(incident)
    rest = {key: value for key, value in incident.items() if key != "message"}
    return {**rest, **fact("quoted", text=str(incident.get("message"))).document()}


def _is_moment(text: object) -> bool:
    """Return whether a text is a moment as `now` states it, which whoever shows it can compute with."""
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).astimezone().timestamp() >= 0
    except (OverflowError, OSError, ValueError):
        return False
