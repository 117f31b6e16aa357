"""What is asked for many times while Snakemake plans, and stays the same: found out once."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .errors import EvoError
from .files import sha256_file, write_atomically

SETTLED_NS = 2_000_000_000  # a file changed twice within the clock's grain looks the same: read young files again

Stamp = tuple[int, int, int, int]


@cache
def version(package: str) -> str:
    """Return the version of an installed package.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    return importlib.metadata.version(package)


def stamp(path: Path) -> Stamp:
    """Return inode, size in bytes, and the times of the last change of content and inode in ns.

    Raises:
        OSError: there is no such file.
    """
    facts = os.stat(path)  # noqa: PTH116
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


class FileMemory:
    """A text per file, found out again only when the stamp of the file says that it has changed.

    Args:
        path: where the texts are kept. What is damaged or cannot be written there only costs time.
        version: of what finds them out; others are forgotten.
    """

    def __init__(self, path: Path, version: str):
        self.path, self.version = path, version
        self._known = self._read()
        self._asked: dict[str, list[Any]] = {}

    def ask(self, file: Path, find_out: Callable[[Path], str]) -> str:
        """Return what ``find_out`` says of a file, or said of it as it is now.

        Raises:
            OSError: there is no such file.
        """
        name, now = os.path.abspath(file), list(stamp(file))  # noqa: PTH100 (links stay as they are)
        for known in (self._asked, self._known):
            entry = known.get(name)
            if isinstance(entry, list) and len(entry) == 5 and entry[:4] == now and isinstance(entry[4], str):
                self._asked[name] = entry
                return entry[4]
        self._asked[name] = [*now, find_out(file)]
        return self._asked[name][4]

    def save(self) -> None:
        """Keep what was asked for, of files that have been at rest for a while."""
        latest = time.time_ns() - SETTLED_NS
        kept = {name: entry for name, entry in self._asked.items() if max(entry[2:4]) < latest}
        if any(self._known.get(name) != entry for name, entry in kept.items()):
            text = json.dumps({"version": self.version, "files": kept}, separators=(",", ":"))
            with contextlib.suppress(EvoError, OSError):
                write_atomically(self.path, text, durable=False)

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.path.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(document, dict) or document.get("version") != self.version:
            return {}
        return document["files"] if isinstance(document.get("files"), dict) else {}


def sha256_remembered(path: Path, memory: Path) -> str:
    """Return the SHA-256 of a large file, which is read again only when its stamp says that it has changed.

    Args:
        path: the file.
        memory: `FileMemory.path`.

    Raises:
        OSError: the file cannot be read.
    """
    return _sha256(Path(path), stamp(path), memory)


@cache
def _sha256(path: Path, _: Stamp, memory: Path) -> str:
    known = FileMemory(memory, "1")
    digest = known.ask(path, sha256_file)
    known.save()
    return digest
