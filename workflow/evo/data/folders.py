"""One pass over a folder of images or labels: a digest of everything that shows a change of a file.

Each start of the workflow scans every folder of the dataset, so the inner loop runs a million times: `os.scandir` on a
descriptor saves the kernel resolving the path (a tenth of the time), and nothing is kept of a file whose folder is
unchanged. Five seconds of CPU for a million images with labels, of which the kernel needs more than three.
"""

from __future__ import annotations

import hashlib
import os
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..errors import UserError

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
"""IMG_FORMATS of ultralytics/data/utils.py, 8.4.190; a test compares the two."""

LABEL_SUFFIX = ".txt"
WIDTH = 5
"""Numbers in the stamp of a file: mode, inode, size in bytes, time of the last change and that of the inode, in ns."""

_ENDINGS = frozenset(suffix[-4:] for suffix in (*IMAGE_SUFFIXES, LABEL_SUFFIX))
_CHUNK = 4096  # files digested at a time


@dataclass(frozen=True)
class Scan:
    """A folder at one moment.

    Attributes:
        state: hexadecimal digest of names and stamps of all images and labels, and of the names of folders; ``absent``
            where there is no such folder.
        folders: names of the folders in it, hidden ones left out, each with whether it is a link.
        names: of images, labels and other files with such an ending, in no order; empty unless asked for.
        stamps: `WIDTH` numbers per name; all 0 but the second (the error's number) where the status cannot be read.
    """

    state: str
    folders: tuple[tuple[str, bool], ...] = ()
    names: Sequence[str] = ()
    stamps: array = field(default_factory=lambda: array("q"))

    @property
    def absent(self) -> bool:
        return self.state == ABSENT

    def is_file(self, index: int) -> bool:
        """Return whether the file of that index is a regular one, or a link to one."""
        return stat.S_ISREG(self.stamps[WIDTH * index])


ABSENT = "absent"


def scan(path: str, keep: bool = False) -> Scan:
    """Scan a folder, not those in it.

    Args:
        path: absolute.
        keep: whether to return names and stamps too.

    Raises:
        UserError: it cannot be read, or is not a folder.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Scan(ABSENT)
    except OSError as error:
        raise unreadable(path, error) from error
    digest, named = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    folders: list[tuple[str, bool]] = []
    kept, stamps = [], array("q")
    try:
        with os.scandir(handle) as entries:
            while True:
                names: list[str] = []
                numbers: list[int] = []
                for entry in (part := list(islice(entries, _CHUNK))):
                    name = entry.name
                    if name[-4:] in _ENDINGS or name[-4:].lower() in _ENDINGS:
                        try:
                            facts = entry.stat()
                        except OSError as error:
                            names.append(name)
                            numbers.extend((0, error.errno or 0, 0, 0, 0))
                            continue
                        if facts.st_mode & 0o170000 != 0o040000:
                            names.append(name)
                            numbers.extend(
                                (facts.st_mode, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
                            )
                            continue
                    if name[0] != "." and _is_folder(entry):
                        folders.append((name, entry.is_symlink()))
                if not part:
                    break
                packed = _packed(numbers)
                digest.update(packed)
                named.update(os.fsencode("\0".join([*names, ""])))
                if keep:
                    kept += names
                    stamps.extend(packed)
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(handle)
    folders.sort()
    digest.update(named.digest() + os.fsencode("\0".join(name for name, _ in folders)))
    return Scan(digest.hexdigest(), tuple(folders), kept, stamps)


def _packed(numbers: list[int]) -> array:
    try:
        return array("q", numbers)
    except OverflowError:  # some file systems have inodes above 2^63
        return array("q", [(number + (1 << 63)) % (1 << 64) - (1 << 63) for number in numbers])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def unreadable(path: str, error: OSError) -> UserError:
    """Return the error for a file or folder of the dataset that cannot be read."""
    link = os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114
    reason = f"a link to nothing ({os.readlink(path)})" if link else error.strerror or str(error)  # noqa: PTH115
    return UserError(f"cannot be read: {reason}", where=path, hint="make it readable, or take it out of the dataset")
