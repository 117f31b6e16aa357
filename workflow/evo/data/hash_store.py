"""Hashes of a dataset's files, kept between two starts to save time: damaged entries are ignored.

Next to the small ``hashes-….json`` is a folder of the same name with a file of hashes for each folder of the dataset.
Each is replaced as a whole, so that concurrent sessions do not disturb one another.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import EvoError
from ..files import write_atomically
from .folders import WIDTH

VERSION = 2
DIGEST = 32  # bytes of a SHA-256
_HEAD = struct.Struct("=4sQQ")  # magic, number of files, length of their names
_MAGIC = b"evo2"


class HashStore:
    """The hashes of one dataset; without ``cache_file`` none are kept."""

    def __init__(self, cache_file: Path | None):
        self.file = cache_file
        self.folder = cache_file and cache_file.with_suffix("")

    def splits(self) -> dict[str, dict[str, Any]]:
        """Return per split its ``digest``, the ``state`` of its folders that it belongs to, and ``lists``.

        The latter has, per list of images, its stamp and the folders whose content decides what it lists.
        """
        entries = read_cache(self.file, VERSION)
        return {split: entry for split, entry in entries.items() if _is_split(entry)}

    def keep_splits(self, splits: Mapping[str, dict[str, Any]]) -> None:
        write_cache(self.file, VERSION, splits)

    def rows(self) -> dict[str, dict[str, str]]:
        """Return per split the digests of the images in a folder, by a key for its state."""
        entries = read_cache(self.folder and self.folder / "folders.json", VERSION)
        return {
            split: {key: digest for key, digest in rows.items() if isinstance(digest, str)}
            for split, rows in entries.items()
            if isinstance(rows, dict)
        }

    def keep_rows(self, rows: Mapping[str, Mapping[str, str]]) -> None:
        write_cache(self.folder and self.folder / "folders.json", VERSION, rows)

    def hashes(self, path: str) -> tuple[list[str], array, bytes]:
        """Return the known hashes of a folder: names, `WIDTH` numbers of stamp each, and SHA-256 each."""
        nothing: tuple[list[str], array, bytes] = ([], array("q"), b"")
        if self.folder is None:
            return nothing
        try:
            content = (self.folder / _file(path)).read_bytes()
            magic, count, length = _HEAD.unpack_from(content, DIGEST)
        except (OSError, struct.error):
            return nothing
        start = DIGEST + _HEAD.size
        middle, end = start + length, start + length + count * WIDTH * 8
        whole = magic == _MAGIC and len(content) == end + count * DIGEST
        if not whole or hashlib.sha256(memoryview(content)[DIGEST:]).digest() != content[:DIGEST]:
            return nothing
        stamps = array("q")
        stamps.frombytes(content[middle:end])
        return os.fsdecode(content[start:middle]).split("\0") if count else [], stamps, content[end:]

    def keep_hashes(self, path: str, names: list[str], stamps: array, digests: bytes) -> None:
        if self.folder is None:
            return
        text = os.fsencode("\0".join(names))
        content = b"".join((_HEAD.pack(_MAGIC, len(names), len(text)), text, stamps.tobytes(), digests))
        with contextlib.suppress(EvoError, OSError):
            write_atomically(self.folder / _file(path), hashlib.sha256(content).digest() + content, durable=False)

    def drop_all_but(self, paths: Iterable[str]) -> None:
        """Remove the hashes of folders that are no longer in the dataset."""
        if self.folder is None:
            return
        kept = {_file(path) for path in paths}
        with contextlib.suppress(OSError):
            for item in self.folder.glob("*.bin"):
                if item.name not in kept:
                    item.unlink()


def _file(path: str) -> str:
    return f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:32]}.bin"


def _is_split(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.keys() != {"state", "digest", "lists"}:
        return False
    lists = entry["lists"]
    return (
        all(isinstance(entry[key], str) for key in ("state", "digest"))
        and len(entry["digest"]) == 2 * DIGEST
        and isinstance(lists, dict)
        and all(isinstance(item, list) and len(item) == 2 and isinstance(item[1], list) for item in lists.values())
        and all(isinstance(folder, str) for item in lists.values() for folder in item[1])
    )


def read_cache(cache_file: Path | None, version: int) -> dict:
    """Return the entries of a cache file; none when it is missing, damaged or of another version."""
    try:
        document = json.loads(cache_file.read_text()) if cache_file else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("version") != version:
        return {}
    entries = document.get("entries")
    return entries if isinstance(entries, dict) else {}


def write_cache(cache_file: Path | None, version: int, entries: Mapping) -> None:
    """Keep entries for the next run; a cache that cannot be written only costs time."""
    if cache_file is None:
        return
    with contextlib.suppress(EvoError, OSError):
        write_atomically(
            cache_file, json.dumps({"version": version, "entries": entries}, separators=(",", ":")), durable=False
        )
