"""The dataset as training reads it: links to the images and labels, in a folder of the session.

Ultralytics writes `labels.cache` and `.npy` files next to what it reads and rewrites some JPEGs in place. All of that
stays in this folder; the user's dataset may be read-only or shared. A file in it that neither this module nor
Ultralytics made is the user's: it is an error then, and nothing is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ..errors import UserError
from ..files import explain_os_errors, open_regular, write_atomically
from ..layout import VIEW
from ..printable import printable
from .dataset import SPLITS, Dataset
from .listing import label_of, named_images

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
KINDS = ("images", "labels")

COPIES = ".copies.json"
"""Names of the images that are copies, in the folder of the view: other regular files were not made here."""


def link(dataset: Dataset, folder: Path) -> Path:
    """Make ``folder/view/images/{split}``, ``folder/view/labels/{split}`` and ``folder/dataset.yaml``; repeatable.

    Links and copies of other content left behind there are removed, and so are Ultralytics' caches.

    Returns:
        The path of ``dataset.yaml``. It names no `path`: Ultralytics then takes the folder of the file itself.

    Raises:
        UserError: the folder is not writable, an image is missing, the dataset is in the view, or so is something
            that was not made here.
        EvoError: the disk is full.
    """
    folder = Path(folder)
    view = folder / VIEW
    with explain_os_errors(folder, "linking the dataset"):
        images = {split: view_names(named_images(dataset, split)[0]) for split in dataset.splits}
        _refuse_images_in(view, images)
        copied = _copies(view)
        stale = list(_former(view, copied))  # complete, before anything is removed
        wanted: dict[str, str] = {}
        for split, files in images.items():
            for name, path in files.items():
                wanted[f"images/{split}/{name}"] = path
                if os.path.isfile(label := label_of(path)):  # noqa: PTH113 (100,000 of them)
                    wanted[f"labels/{split}/{PurePosixPath(name).stem}.txt"] = label
        copies = {name for name, path in wanted.items() if name.startswith("images/") and _is_rewritten(path)}
        kept = {
            name for name in stale if name in wanted and name not in copies and _links_to(view / name, wanted[name])
        }
        for name in stale:
            if name not in kept:
                (view / name).unlink()
        for kind in KINDS:
            for split in SPLITS:
                if split in images:
                    (view / kind / split).mkdir(parents=True, exist_ok=True)
                elif (view / kind / split).is_dir():
                    (view / kind / split).rmdir()
        write_atomically(view / COPIES, json.dumps(sorted(copies)))  # before any is made
        for name, path in wanted.items():
            if name in copies:
                shutil.copyfile(path, view / name)
            elif name not in kept:
                (view / name).symlink_to(path)
    document: dict[str, Any] = {split: f"{VIEW}/images/{split}" for split in SPLITS if split in dataset.splits}
    document["names"] = dict(enumerate(dataset.names))
    target = folder / "dataset.yaml"
    write_atomically(target, yaml.safe_dump(document, sort_keys=False, width=float("inf")))
    return target


def view_names(images: Mapping[str, str]) -> dict[str, str]:
    """Return images by the file names they get in one flat folder.

    Of images with the same stem, whose labels and caches would collide, each gets a short hash of its name appended;
    so does a name with control characters, which become ``_``: libraries print the names of files as they are.
    """
    stems = Counter(PurePosixPath(name).stem.casefold() for name in images)
    named = {}
    for name, path in images.items():
        file = PurePosixPath(name)
        plain = "".join(letter if printable(letter) == letter else "_" for letter in file.name)
        if stems[file.stem.casefold()] > 1 or plain != file.name:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
            file = PurePosixPath(plain)
            file = file.with_name(f"{file.stem}-{digest}{file.suffix}")
        named[file.name] = path
    return named


def _copies(view: Path) -> set[str]:
    """Return the names, below the view, of the copies that were made here."""
    try:
        with open_regular(view / COPIES) as stream:
            names = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _former(view: Path, copied: set[str]) -> Iterator[str]:
    """Yield the names, below the view, of everything that it or Ultralytics has put there; caches come first.

    Raises:
        UserError: there is something else.
    """
    _refuse_unless_folder(view)
    for item in _items(view):
        if item.name.startswith(f".{COPIES}.") and _is_file(item):  # a draft of the list that a kill left
            yield item.name
        elif item.name not in {*KINDS, COPIES}:
            raise _foreign(item)
    for kind in KINDS:
        _refuse_unless_folder(view / kind)
        for item in _items(view / kind):
            if item.name in SPLITS:
                _refuse_unless_folder(Path(item.path))
            elif kind == "labels" and item.name.removesuffix(".cache") in SPLITS and _is_file(item):
                yield f"{kind}/{item.name}"
            else:
                raise _foreign(item)
        for split in SPLITS:
            yield from _former_files(view, f"{kind}/{split}", copied)


def _former_files(view: Path, place: str, copied: set[str]) -> Iterator[str]:
    items = list(_items(view / place))
    own = [item.name for item in items if item.is_symlink() or (f"{place}/{item.name}" in copied and _is_file(item))]
    stems = {PurePosixPath(name).stem for name in own}
    names = set(own)
    for item in items:
        if item.name in names:
            continue
        # np.save of `cache: disk` next to an image, and what _replace_image leaves when it is killed (data/utils.py).
        npy = item.name.removesuffix(".npy") in stems
        draft = re.fullmatch(r"\.(?P<stem>.+)\.[0-9a-f]{32}\.\w+", item.name)
        if not (place.startswith("images/") and _is_file(item) and (npy or (draft and draft["stem"] in stems))):
            raise _foreign(item)
        yield f"{place}/{item.name}"
    yield from (f"{place}/{name}" for name in own)


def _items(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as items:
        return list(items)


def _is_file(item: os.DirEntry[str]) -> bool:
    return item.is_file(follow_symlinks=False)


def _refuse_unless_folder(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise _foreign(path)


def _foreign(item: os.DirEntry[str] | Path) -> UserError:
    return UserError(
        "was not made by this workflow, which keeps its links to the dataset in this folder",
        where=Path(item).absolute(),
        hint="move it elsewhere, then run the same command again",
    )


def _refuse_images_in(view: Path, images: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse images that a list takes out of the view itself: they would be replaced by links to themselves."""
    own = os.path.realpath(view)
    for place in sorted({os.path.dirname(path) for files in images.values() for path in files.values()}):  # noqa: PTH120
        if os.path.commonpath([os.path.realpath(place), own]) == own:
            hint = "keep the dataset elsewhere, or name another session"
            raise UserError("images of the dataset are in the session's own links to it", where=place, hint=hint)


def _links_to(item: Path, path: str) -> bool:
    return item.is_symlink() and os.readlink(item) == path  # noqa: PTH115


def _is_rewritten(path: str) -> bool:
    """Return whether Ultralytics would rewrite the file: a JPEG with data after its end (`check_image`, 8.4.190)."""
    with open_regular(path) as stream:
        if stream.read(2) != JPEG_START:
            return False
        stream.seek(-2, os.SEEK_END)
        return stream.read() != JPEG_END
