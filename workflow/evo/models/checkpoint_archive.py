"""The archive of a checkpoint, as ``torch.save`` writes it, and no other.

Not compressed, with one directory that ends the file, so that no two readers see different content.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from . import checkpoint_pickle, checkpoint_tree
from .checkpoint_parts import RefusedPickle, Tensor

MAX_FILE = 8 * 2**30
MAX_RECORDS = 20_000
"""Records of an archive; the state of a training of YOLOv9-E has about 9,000."""

_SMALL = {"version": 64, "byteorder": 16, ".format_version": 64, ".storage_alignment": 64, ".data/serialization_id": 64}


@dataclass(frozen=True)
class Archive:
    """An open archive: its records, their folder, and the tree of its pickle."""

    stream: BinaryIO
    records: zipfile.ZipFile
    prefix: str
    tree: Any
    tensors: list[Tensor]


@contextlib.contextmanager
def archive_of(stream: BinaryIO) -> Iterator[Archive]:
    """Check the archive of an open file.

    Raises:
        RefusedPickle: it is not as torch.save writes it, or its content is refused.
    """
    _require_one_directory(stream)
    with zipfile.ZipFile(stream) as records:
        entries = records.infolist()
        prefix = entries[0].filename.partition("/")[0] + "/"
        sizes: dict[str, int] = {}
        for entry in entries:
            name = entry.filename.removeprefix(prefix)
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise RefusedPickle("the archive is compressed, which torch.save never does")
            if name in sizes or not entry.filename.startswith(prefix):
                raise RefusedPickle("the archive has two records of one name, or of two checkpoints")
            if name != "data.pkl" and not name.startswith("data/") and entry.file_size > _SMALL.get(name, 0):
                raise RefusedPickle(f"the archive has a record '{name[:60]}', which no checkpoint needs")
            sizes[name] = entry.file_size
        if sizes.get("data.pkl", 0) > checkpoint_pickle.MAX_BYTES:
            raise RefusedPickle(
                f"a pickle of {sizes['data.pkl']:,} bytes, the limit is {checkpoint_pickle.MAX_BYTES:,}"
            )
        if "data.pkl" not in sizes:
            raise RefusedPickle("the archive holds no checkpoint")
        if "byteorder" in sizes and records.read(f"{prefix}byteorder") != b"little":
            raise RefusedPickle("its numbers are not little-endian")
        data = records.read(f"{prefix}data.pkl")
        storages = {name.removeprefix("data/"): size for name, size in sizes.items() if name.startswith("data/")}
        tree, tensors = checkpoint_pickle.read(data, storages)
        checkpoint_tree.check_plain(tree, tensors)
        yield Archive(stream, records, prefix, tree, tensors)


def _require_one_directory(stream: BinaryIO) -> None:
    """Refuse an archive whose directory two readers could find in different places, or that is too large.

    The records that end a zip archive: APPNOTE.TXT of PKWARE, 4.3.14 to 4.3.16.
    """
    size = stream.seek(0, os.SEEK_END)
    if size > MAX_FILE:
        raise RefusedPickle(f"a file of {size / 2**30:.0f} GiB, the limit is {MAX_FILE / 2**30:.0f}")
    stream.seek(0)
    if stream.read(4) != b"PK\x03\x04" or size < 22:
        raise RefusedPickle(f"not an archive as torch.save writes it, {size:,} bytes")
    stream.seek(size - min(size, 98))
    tail = stream.read().rjust(98, b"\0")
    signature, *_, entries, length, start, comment = struct.unpack("<4s4H2LH", tail[76:])
    if signature != b"PK\x05\x06" or comment:
        raise RefusedPickle("the archive is cut short, or something follows it")
    end = size - 22
    if tail[56:60] == b"PK\x06\x07":
        end = size - 98
        (found,) = struct.unpack("<Q", tail[64:72])
        if found != end or tail[:4] != b"PK\x06\x06":
            raise RefusedPickle("the archive has two directories")
        entries, length, start = struct.unpack("<3Q", tail[32:56])
    if start + length != end or entries > MAX_RECORDS or length > 1000 * MAX_RECORDS:
        raise RefusedPickle(f"the directory of the archive is damaged, or has more than {MAX_RECORDS:,} records")
    stream.seek(0)
