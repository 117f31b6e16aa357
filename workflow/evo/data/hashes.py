"""The content of a dataset in a few hashes, cheap enough to ask for at every start.

A file is read once; afterwards its size and times tell that it is the same, as in git.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..errors import EvoError, UserError
from ..files import sha256_file, sha256_json, write_atomically
from .dataset import Dataset
from .listing import label_of, named_images
from .progress import track

CACHE_VERSION = 2
TRAINED = ("train", "val")
"""The splits that weights depend on: trained on, and asked which epoch is the best."""
LABEL_SUFFIX = ".txt"
ANNOUNCE_BYTES = 1 << 30
SETTLED_NS = 2_000_000_000  # a file changed twice within the clock's grain looks the same: hash young files again

Entry = tuple[str, str, str, str | None]
"""An image: its name within the split, its absolute path, the SHA-256 of it and of its label (None without a label)."""


@dataclass(frozen=True)
class DatasetHashes:
    """What a dataset holds, in hashes that depend neither on where it lies nor on times.

    Attributes:
        splits: per split, a SHA-256 of each image's name, content and label.
        names: of the classes, in the order of their ids.
    """

    splits: Mapping[str, str]
    names: tuple[str, ...]

    @property
    def training(self) -> str:
        """SHA-256 of all that weights depend on: the splits that are trained and validated on."""
        return sha256_json({split: self.splits[split] for split in TRAINED if split in self.splits})

    @property
    def everything(self) -> str:
        """SHA-256 of all splits and the class names."""
        return sha256_json({"names": self.names, "splits": dict(self.splits)})

    def of(self, splits: Iterable[str]) -> str:
        """Return a SHA-256 of those of ``splits`` that there are, and the class names: what an evaluation is of."""
        chosen = {split: self.splits[split] for split in splits if split in self.splits}
        return sha256_json({"names": self.names, "splits": chosen})


def dataset_hashes(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> DatasetHashes:
    """Return the hashes of a dataset.

    Args:
        dataset: the dataset.
        cache_file: remembers the hashes of files; None hashes every file. One that cannot be read or written is no
            error.
        progress: show how far it is on stderr.

    Raises:
        UserError: a file cannot be read.
    """
    return hash_entries(dataset, image_hashes(dataset, cache_file, progress))


def hash_entries(dataset: Dataset, entries: Mapping[str, list[Entry]]) -> DatasetHashes:
    """Return the hashes of a dataset whose files are hashed already."""
    rows = {split: [[name, image, label] for name, _, image, label in found] for split, found in entries.items()}
    return DatasetHashes({split: sha256_json(found) for split, found in rows.items()}, dataset.names)


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
        return _hash_label(Path(path)) if path.endswith(LABEL_SUFFIX) else sha256_file(Path(path))
    except OSError as error:
        raise _unreadable(path, error) from error


def _hash_label(path: Path) -> str:
    """Return a SHA-256 that neither a byte order mark nor line ends of Windows change: the boxes are the same."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


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
