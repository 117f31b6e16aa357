"""The content of a dataset as one hash, cheap enough to ask for at every start.

A file is read once; afterwards its size and times tell that it is the same, as in git.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import EvoError, UserError
from ..files import sha256_file, sha256_json, write_atomically
from .dataset import Dataset
from .listing import label_of, named_images
from .progress import track

CACHE_VERSION = 1
ANNOUNCE_BYTES = 1 << 30
SETTLED_NS = 2_000_000_000  # a file changed twice within the clock's grain looks the same: hash young files again

Entry = tuple[str, str, str, str | None]
"""An image: its name within the split, its absolute path, the SHA-256 of it and of its label (None without a label)."""


def content_hash(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> str:
    """Return a SHA-256 of all that training reads: class names, and per split each image's name, content and label.

    It depends neither on where the dataset lies nor on times.

    Args:
        dataset: the dataset.
        cache_file: remembers the hashes of files; None hashes every file. One that cannot be read or written is no
            error.
        progress: show how far it is on stderr.

    Raises:
        UserError: a file cannot be read.
    """
    return hash_entries(dataset, image_hashes(dataset, cache_file, progress))


def hash_entries(dataset: Dataset, entries: Mapping[str, list[Entry]]) -> str:
    """Return the content hash of a dataset whose files are hashed already."""
    splits = {split: [[name, image, label] for name, _, image, label in rows] for split, rows in entries.items()}
    return sha256_json({"names": dataset.names, "splits": splits})


def image_hashes(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> dict[str, list[Entry]]:
    """Return, per split, the images with their hashes, in the order of their names.

    Raises:
        UserError: a file cannot be read.
    """
    images = {split: named_images(dataset, split)[0] for split in dataset.splits}
    labels = {path: label_of(path) for rows in images.values() for path in rows.values()}
    hashes = _hash_files(labels.keys(), labels.values(), cache_file, progress)
    return {
        split: [(name, path, hashes[path], hashes.get(labels[path])) for name, path in rows.items()]
        for split, rows in images.items()
    }


def _hash_files(
    required: Iterable[str], optional: Iterable[str], cache_file: Path | None, progress: bool
) -> dict[str, str]:
    """Return the SHA-256 of every file by its path; optional files that do not exist are left out."""
    stamps: dict[str, list[int]] = {}
    for paths, needed in ((required, True), (optional, False)):
        for path in paths:
            try:
                stat = os.stat(path)  # noqa: PTH116
            except OSError as error:
                if needed or not isinstance(error, FileNotFoundError):
                    raise _unreadable(path, error) from error
                continue
            stamps[path] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    known = _read_cache(cache_file)
    fresh = {path: known[path][3] for path, stamp in stamps.items() if known.get(path, [])[:3] == stamp}
    stale = [path for path in stamps if path not in fresh]
    if not stale and len(fresh) == len(known):
        return fresh
    volume = sum(stamps[path][0] for path in stale)
    if volume > ANNOUNCE_BYTES:
        print(
            f"reading {volume / 1e9:.1f} GB of images to fingerprint the dataset; later runs read changed files only",
            file=sys.stderr,
            flush=True,
        )
    started = time.time_ns()
    pool = ThreadPoolExecutor()
    try:
        for path, digest in zip(stale, track(pool.map(_hash, stale), len(stale), "hashing", progress), strict=True):
            fresh[path] = digest
    finally:
        # Also after Ctrl-C: what is hashed is hashed.
        pool.shutdown(cancel_futures=True)
        settled = {path: [*stamps[path], fresh[path]] for path in fresh if _is_settled(stamps[path], started)}
        write_cache(cache_file, CACHE_VERSION, settled)
    return fresh


def _is_settled(stamp: list[int], now: int) -> bool:
    return max(stamp[1:3]) < now - SETTLED_NS


def _hash(path: str) -> str:
    try:
        return sha256_file(Path(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> UserError:
    link = os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114 (they do not raise)
    reason = f"a link to nothing ({Path(path).readlink()})" if link else error.strerror or str(error)
    return UserError(f"cannot be read: {reason}", where=path, hint="make it readable, or take it out of the dataset")


def _read_cache(cache_file: Path | None) -> dict[str, list]:
    entries = read_cache(cache_file, CACHE_VERSION)
    return {
        path: entry
        for path, entry in entries.items()
        if isinstance(entry, list) and len(entry) == 4 and isinstance(entry[3], str) and len(entry[3]) == 64
    }


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
        write_atomically(cache_file, json.dumps({"version": version, "entries": entries}, separators=(",", ":")))
