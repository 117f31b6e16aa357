"""Hashes of a dataset's files, folder by folder: only files that changed since the last record are read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import sys
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from ..errors import UserError
from ..host.progress import track
from .folders import LABEL_SUFFIX, WIDTH, Scan, scan, unreadable
from .hash_store import DIGEST, HashStore
from .listing import Group, label_folder, label_name

ANNOUNCE_BYTES = 1 << 30
SETTLED_NS = (
    2_000_000_000  # two changes within the resolution of the clock look the same: recent files are hashed again
)
SMALL = 1 << 16  # bytes of a file, in the mean
BLOCK = 1 << 20
BATCH, PIECE = 8192, 16  # files that are queued at a time, and that a thread takes at a time
BOM = b"\xef\xbb\xbf"

Row = tuple[str, str, str | None]
"""An image: its file name, the SHA-256 of it and of its label (None without a label)."""


class Look:
    """Scans of folders, each made once."""

    def __init__(self) -> None:
        self.scans: dict[str, Scan] = {}

    def __call__(self, path: str) -> Scan:
        if path not in self.scans:
            self.scans[path] = scan(path)
        return self.scans[path]


class Files:
    """The files of one folder and the hashes that are known of them."""

    def __init__(self, path: str, store: HashStore, look: Look):
        self.path, self.started = path, time.time_ns()
        self.scan = scan(path, keep=True)
        look.scans[path] = Scan(self.scan.state, self.scan.folders)  # what is hashed belongs to this moment
        self.index = {name: place for place, name in enumerate(self.scan.names)}
        self.digests: dict[str, bytes] = {}
        self.stale: dict[str, None] = {}
        names, stamps, digests = store.hashes(path)
        for place, name in enumerate(names):
            if self._stamp(name) == stamps[WIDTH * place : WIDTH * (place + 1)]:
                self.digests[name] = digests[DIGEST * place : DIGEST * (place + 1)]
        self.changed = len(self.digests) < len(names)

    def _stamp(self, name: str) -> array | None:
        place = self.index.get(name)
        return None if place is None else self.scan.stamps[WIDTH * place : WIDTH * (place + 1)]

    def has(self, name: str) -> bool:
        """Return whether the file exists, on a case-insensitive file system also under another case."""
        stamp = self._stamp(name)
        if stamp is None:
            return not self.scan.absent and os.path.exists(f"{self.path}/{name}")  # noqa: PTH110
        return stamp[0] != 0 or stamp[1] != errno.ENOENT

    def need(self, name: str) -> None:
        """Note that the hash of a file is needed.

        Raises:
            UserError: it is not a regular file, or its status cannot be read.
        """
        stamp = self._stamp(name)
        if stamp is not None and stamp[0] == 0:
            raise unreadable(f"{self.path}/{name}", OSError(stamp[1], os.strerror(stamp[1])))
        if stamp is not None and not stat.S_ISREG(stamp[0]):
            raise _irregular(f"{self.path}/{name}")
        if name not in self.digests:
            self.stale[name] = None

    def size(self, name: str) -> int:
        """Return the size of a file in bytes, 0 where it is not known."""
        stamp = self._stamp(name)
        return 0 if stamp is None else stamp[2]

    def is_settled(self, name: str) -> bool:
        """Return whether a later change of the file would change its stamp."""
        stamp = self._stamp(name)
        return stamp is not None and max(stamp[3:]) < self.started - SETTLED_NS

    def save(self, store: HashStore) -> None:
        """Keep the hashes of settled files, where anything is new."""
        if not self.changed and not self.stale:
            return
        names = [name for name in self.digests if self.is_settled(name)]
        stamps = array("q")
        for name in names:
            stamps.extend(self._stamp(name) or ())
        store.keep_hashes(self.path, names, stamps, b"".join(self.digests[name] for name in names))


class Hasher:
    """Hashes groups of images, and keeps the hashes in ``store``."""

    def __init__(self, store: HashStore, look: Look):
        self.store, self.look = store, look
        self.unsettled: set[Group] = set()  # groups with a file that changed a moment ago
        self._files: dict[str, Files] = {}

    def folder_digests(self, splits: Mapping[str, list[Group]], progress: bool) -> dict[str, dict[str, str]]:
        """Return, per split, the digest of each folder's images by its name; empty for a folder without one."""
        known, keys, found = self.store.rows(), {}, {}
        for split, groups in splits.items():
            keys[split] = {group: self._key(group) for group in groups}
            before = known.get(split, {})
            found[split] = {group: before[key] for group, key in keys[split].items() if key in before}
        new = {split: [group for group in groups if group not in found[split]] for split, groups in splits.items()}
        self.hash((group for groups in new.values() for group in groups), progress)
        for split, groups in new.items():
            found[split] |= {group: digest_of_rows(self.rows(group)) for group in groups}
            # By the state that the folder had when it was hashed, which may not be the one it was found in.
            settled = {self._key(group): found[split][group] for group in groups if group not in self.unsettled}
            old = {keys[split][group]: digest for group, digest in found[split].items() if group not in groups}
            known[split] = old | settled
        if any(new.values()):
            self.store.keep_rows(known)
        return {split: {group.name: found[split][group] for group in groups} for split, groups in splits.items()}

    def hash(self, groups: Iterable[Group], progress: bool) -> None:
        """Hash what is not known of the images and labels of groups.

        Raises:
            UserError: a file cannot be read, or is not a regular one.
        """
        for group in groups:
            images, labels = self._open(group)
            for name in group.images(images.scan):
                images.need(name)
                label, labelled = label_name(name), labels.has(label_name(name))
                if labelled:
                    labels.need(label)
                if not images.is_settled(name) or (labelled and not labels.is_settled(label)):
                    self.unsettled.add(group)
        stale = [(files, name) for files in self._files.values() for name in files.stale]
        volume = sum(files.size(name) for files, name in stale)
        if volume > ANNOUNCE_BYTES:
            print(
                f"reading {volume / 1e9:.1f} GB of images to fingerprint the dataset; "
                "later runs read changed files only",
                file=sys.stderr,
                flush=True,
            )
        try:
            digests = track(_hash_all(stale, volume), len(stale), "hashing", progress)
            for (files, name), digest in zip(stale, digests, strict=True):
                files.digests[name] = digest
        finally:  # also after Ctrl-C, to keep what is hashed
            for files in self._files.values():
                files.save(self.store)

    def rows(self, group: Group) -> Iterator[Row]:
        """Yield the images of a group that `hash` was given, in the order of their names."""
        images, labels = self._open(group)
        for name in group.images(images.scan):
            label = labels.digests.get(label_name(name))
            yield name, images.digests[name].hex(), label.hex() if label else None

    def _open(self, group: Group) -> tuple[Files, Files]:
        for path in (group.path, label_folder(group.path)):
            if path not in self._files:
                self._files[path] = Files(path, self.store, self.look)
        return self._files[group.path], self._files[label_folder(group.path)]

    def _key(self, group: Group) -> str:
        states = self.look(group.path).state, self.look(label_folder(group.path)).state
        names = None if group.wanted is None else sorted(group.wanted)
        return hashlib.sha256(os.fsencode(repr((group.path, states, names)))).hexdigest()


def digest_of_rows(rows: Iterable[Row]) -> str:
    """Return the SHA-256 of the images of one folder; nothing for a folder without images."""
    digest, empty = hashlib.sha256(), True
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")
        empty = False
    return "" if empty else digest.hexdigest()


def _hash_all(files: list[tuple[Files, str]], volume: int) -> Iterator[bytes]:
    # Threads read large files in parallel; with small ones they contend for the interpreter lock (twice the CPU time).
    pool = ThreadPoolExecutor(os.cpu_count() if volume > SMALL * len(files) else 1)
    try:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            pieces = [batch[first : first + PIECE] for first in range(0, len(batch), PIECE)]
            for digests in pool.map(lambda piece: [hash_file(f"{own.path}/{name}") for own, name in piece], pieces):
                yield from digests
    finally:
        pool.shutdown(cancel_futures=True)


def hash_file(path: str) -> bytes:
    """Return the SHA-256 of an image, or of a label without its byte order mark and with Unix line ends.

    Raises:
        UserError: it cannot be read, or is not a regular file.
    """
    try:
        # O_NONBLOCK: a FIFO that has replaced the file does not block.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _irregular(path)
            if path.endswith(LABEL_SUFFIX):
                return _hash_label(stream)
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise unreadable(path, error) from error


def _hash_label(stream: BinaryIO) -> bytes:
    digest, pending = hashlib.sha256(), stream.read(len(BOM))
    pending = b"" if pending == BOM else pending
    while block := stream.read(BLOCK):
        block = (pending + block).replace(b"\r\n", b"\n")
        pending = b"\r" if block.endswith(b"\r") else b""  # the line feed may follow
        digest.update(block.removesuffix(b"\r"))
    digest.update(pending.replace(b"\r\n", b"\n"))
    return digest.digest()


def _irregular(path: str) -> UserError:
    return UserError("is not a regular file", where=path, hint="take it out of the dataset")
