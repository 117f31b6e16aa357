"""The dataset as training reads it: links to the images and labels, in a folder of the session.

Ultralytics writes `labels.cache` and `.npy` files beside what it reads and rewrites some JPEGs in place. All of that
stays in this folder; the user's dataset may be read-only or shared.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml

from ..files import explain_os_errors, write_atomically
from .dataset import SPLITS, Dataset
from .listing import label_of, named_images

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"


def link(dataset: Dataset, folder: Path) -> Path:
    """Make ``folder/images/{split}``, ``folder/labels/{split}`` and ``folder/dataset.yaml``; repeatable.

    What other content left behind there is removed, and so are Ultralytics' caches.

    Returns:
        The path of ``dataset.yaml``. It names no `path`: Ultralytics then takes the folder of the file itself.

    Raises:
        UserError: the folder is not writable, or an image is missing.
        EvoError: the disk is full.
    """
    folder = Path(folder)
    with explain_os_errors(folder, "linking the dataset"):
        for kind in ("images", "labels"):
            _keep_only(folder / kind, set(dataset.splits))
        for split in dataset.splits:
            files = view_names(named_images(dataset, split)[0])
            images = {name: Path(path) for name, path in files.items()}
            labels = {f"{PurePosixPath(name).stem}.txt": Path(label_of(path)) for name, path in files.items()}
            _link_all(folder / "images" / split, images)
            _link_all(folder / "labels" / split, {name: path for name, path in labels.items() if path.is_file()})
    document = {split: f"images/{split}" for split in SPLITS if split in dataset.splits}
    document["names"] = dict(enumerate(dataset.names))
    path = folder / "dataset.yaml"
    write_atomically(path, yaml.safe_dump(document, sort_keys=False, width=float("inf")))
    return path


def view_names(images: Mapping[str, str]) -> dict[str, str]:
    """Return images by the file names they get in one flat folder.

    Of images with the same stem, whose labels and caches would collide, each gets a short hash of its name appended.
    """
    stems = Counter(PurePosixPath(name).stem.casefold() for name in images)
    named = {}
    for name, path in images.items():
        file = PurePosixPath(name)
        if stems[file.stem.casefold()] > 1:
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
            file = file.with_name(f"{file.stem}-{digest}{file.suffix}")
        named[file.name] = path
    return named


def _keep_only(folder: Path, names: set[str]) -> None:
    """Make ``folder`` and remove everything in it but the folders ``names``."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in folder.iterdir():
        if item.name not in names or item.is_symlink() or not item.is_dir():
            _remove(item)


def _remove(item: Path) -> None:
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink()


def _link_all(folder: Path, wanted: Mapping[str, Path]) -> None:
    folder.mkdir(exist_ok=True)
    kept = set()
    for item in folder.iterdir():
        if item.is_symlink() and item.readlink() == wanted.get(item.name) and not _is_rewritten(item):
            kept.add(item.name)
        else:
            _remove(item)
    for name, path in wanted.items():
        if name in kept:
            continue
        if _is_rewritten(path):
            shutil.copy2(path, folder / name)
            (folder / name).chmod(0o644)
        else:
            (folder / name).symlink_to(path)


def _is_rewritten(path: Path) -> bool:
    """Tell whether Ultralytics would rewrite the file: a JPEG with something after its end (`check_image`, 8.4.190)."""
    with path.open("rb") as stream:
        if stream.read(2) != JPEG_START:
            return False
        stream.seek(-2, os.SEEK_END)
        return stream.read() != JPEG_END
