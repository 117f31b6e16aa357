"""The content of a dataset as one hash per split, cheap enough to ask for at every start.

A file is read once; afterwards it counts as unchanged while its inode, size and times are the same, as in git. For
a folder, one digest over all of these covers all of its files (`workflow.evo.data.folders`).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import sha256_json
from .dataset import Dataset
from .file_hashes import SETTLED_NS, Hasher, Look, digest_of_rows
from .hash_store import HashStore, read_cache, write_cache
from .listing import groups, label_folder, read_list, walk

__all__ = ["DatasetHashes", "Entry", "dataset_hashes", "hash_entries", "image_hashes", "read_cache", "write_cache"]

TRAINED = ("train", "val")
"""The splits that weights depend on: trained on, and asked which epoch is the best."""

Entry = tuple[str, str, str, str | None]
"""An image: its name within the split, its absolute path, the SHA-256 of it and of its label (None without a label)."""


@dataclass(frozen=True)
class DatasetHashes:
    """Hashes of the content of a dataset, independent of its location and its times.

    Attributes:
        splits: SHA-256 per split over name, SHA-256 of the image and SHA-256 of the label of each image.
        names: class names, by class id.
    """

    splits: Mapping[str, str]
    names: tuple[str, ...]

    @property
    def training(self) -> str:
        """SHA-256 of what weights depend on: the splits that are trained and validated on."""
        return sha256_json({split: self.splits[split] for split in TRAINED if split in self.splits})

    @property
    def everything(self) -> str:
        """SHA-256 of all splits and the class names: ``content_hash`` of ``fingerprint.json``."""
        return sha256_json({"names": self.names, "splits": dict(self.splits)})

    def of(self, splits: Iterable[str]) -> str:
        """Return a SHA-256 of those of ``splits`` that there are, and the class names: what an evaluation is of."""
        chosen = {split: self.splits[split] for split in splits if split in self.splits}
        return sha256_json({"names": self.names, "splits": chosen})


def dataset_hashes(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> DatasetHashes:
    """Return the hashes of a dataset.

    A label counts without a byte order mark and with Unix line ends: readers of labels ignore both.

    Args:
        dataset: the dataset.
        cache_file: keeps the hashes of files, with a folder next to it; None hashes every file. Failing to read or
            write it is not an error.
        progress: show progress on stderr.

    Raises:
        UserError: a file cannot be read, or is not a regular one.
    """
    store, look = HashStore(cache_file), Look()
    known = store.splits()
    watched = {split: _watch(dataset, split, look, known.get(split)) for split in dataset.splits}
    kept = {
        split: known[split]
        for split, sources in watched.items()
        if split in known and known[split]["state"] == _state(sources, look)
    }
    digests = {split: entry["digest"] for split, entry in kept.items()}
    if len(digests) < len(dataset.splits):
        todo = {split: groups(dataset, split, look)[0] for split in dataset.splits if split not in digests}
        hasher = Hasher(store, look)
        for split, folders in hasher.folder_digests(todo, progress).items():
            digests[split] = _digest_of_split(folders)
            sources = watched[split]
            if all(source.settled for source in sources) and hasher.unsettled.isdisjoint(todo[split]):
                lists = {source.path: [source.stamp, source.listed] for source in sources if source.stamp}
                kept[split] = {"state": _state(sources, look), "digest": digests[split], "lists": lists}
        store.keep_splits(kept)
        images = {path for sources in watched.values() for source in sources for _, path in source.folders}
        store.drop_all_but(images | {label_folder(path) for path in images})
    return DatasetHashes({split: digests[split] for split in dataset.splits}, dataset.names)


def image_hashes(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> dict[str, list[Entry]]:
    """Return, per split, the images with their hashes, in the order of their names.

    Raises:
        UserError: a file cannot be read, or is not a regular one.
    """
    look = Look()
    hasher = Hasher(HashStore(cache_file), look)
    todo = {split: groups(dataset, split, look)[0] for split in dataset.splits}
    hasher.hash([group for wanted in todo.values() for group in wanted], progress)
    return {
        split: sorted(
            (group.name + name, os.path.join(group.path, name), image, label)  # noqa: PTH118
            for group in wanted
            for name, image, label in hasher.rows(group)
        )
        for split, wanted in todo.items()
    }


def hash_entries(dataset: Dataset, entries: Mapping[str, list[Entry]]) -> DatasetHashes:
    """Return the hashes of a dataset whose files are hashed already."""
    splits = {}
    for split, rows in entries.items():
        folders: dict[str, list[tuple[str, str, str | None]]] = {}
        for name, _, image, label in rows:
            folder, _, file = name.rpartition("/")
            folders.setdefault(f"{folder}/" if folder else "", []).append((file, image, label))
        splits[split] = _digest_of_split({name: digest_of_rows(sorted(found)) for name, found in folders.items()})
    return DatasetHashes(splits, dataset.names)


def _digest_of_split(folders: Mapping[str, str]) -> str:
    return sha256_json({name: digest for name, digest in folders.items() if digest})


@dataclass(frozen=True)
class _Source:
    """One folder or list of a split, and what decides which images it gives and what is in them.

    Attributes:
        path: of the folder or list.
        folders: all of them, by name within the source.
        stamp: inode, size and times of a list; None for a folder.
        settled: whether the list has been at rest for a while.
    """

    path: str
    folders: tuple[tuple[str, str], ...]
    stamp: list[int] | None = None
    settled: bool = True

    @property
    def listed(self) -> list[str]:
        return [path for _, path in self.folders]


def _watch(dataset: Dataset, split: str, look: Look, known: Mapping[str, Any] | None) -> list[_Source]:
    """Return what decides a split's content. An unchanged list is not read."""
    sources = []
    for source in dataset.splits[split]:
        if source.is_dir():
            found = tuple((name, path) for name, path, _ in walk(str(source), look))
            sources.append(_Source(str(source), found))
            continue
        now, facts = time.time_ns(), source.stat()
        stamp = [facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
        before, listed = (known or {"lists": {}})["lists"].get(str(source), (None, []))
        if stamp != before:
            listed = sorted(read_list(source, dataset)[1])
        settled = max(stamp[2:]) < now - SETTLED_NS
        sources.append(_Source(str(source), tuple(("", path) for path in listed), stamp, settled))
    return sources


def _state(sources: Iterable[_Source], look: Look) -> str:
    """Return a digest of everything that shows a change of a split."""
    digest = hashlib.blake2b(digest_size=16)
    for source in sources:
        digest.update(os.fsencode(repr((source.path, source.stamp))))
        for name, path in source.folders:
            digest.update(os.fsencode(repr((name, path, look(path).state, look(label_folder(path)).state))))
    return digest.hexdigest()
