"""The images of a dataset and their labels, found as Ultralytics finds them."""

# Images are listed at every start, and for 100,000 of them plain strings are seconds faster than Path objects.
# ruff: noqa: PTH110, PTH112, PTH118, PTH120, PTH122, PTH207

from __future__ import annotations

import glob
import os
from pathlib import Path

from ..errors import UserError
from .dataset import Dataset, nearest_sibling

IMAGE_SUFFIXES = frozenset(
    [".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"]
)
"""IMG_FORMATS of ultralytics/data/utils.py, 8.4.190; a test holds the two together."""


def label_path(image: Path) -> Path:
    """Return where Ultralytics looks for an image's label: the last ``/images/`` becomes ``/labels/``, suffix ``.txt``.

    Source: ``img2label_paths`` of ultralytics/data/utils.py.
    """
    return Path(label_of(str(image)))


def label_of(image: str) -> str:
    """Return `label_path` of a path that is text."""
    images, labels = f"{os.sep}images{os.sep}", f"{os.sep}labels{os.sep}"
    return labels.join(image.rsplit(images, 1)).rsplit(".", 1)[0] + ".txt"


def named_images(dataset: Dataset, split: str) -> tuple[dict[str, str], list[str]]:
    """List a split's images under names that do not depend on where the dataset lies.

    A name is the path below the split's folder, or below the deepest common folder of a list's images; with several
    folders the folder's position comes first.

    Returns:
        The absolute path of each image by its name, in the order of the names; and the images that are listed again.

    Raises:
        UserError: a listed image does not exist.
    """
    sources = dataset.splits[split]
    found: list[tuple[str, str]] = []
    for position, source in enumerate(sources):
        prefix = f"{position}/" if len(sources) > 1 else ""
        if source.is_dir():
            # Ultralytics' own pattern (BaseDataset.get_img_files): links are followed, hidden files are not seen.
            names = glob.glob("**/*.*", root_dir=source, recursive=True)
            paths = [(name, os.path.join(source, name)) for name in names if _is_image(name)]
        else:
            listed = _read_list(source, dataset)
            base = os.path.commonpath([os.path.dirname(item) for item in listed]) if listed else ""
            paths = [(os.path.relpath(item, base), item) for item in listed]
        found += [(prefix + name, item) for name, item in paths if not os.path.isdir(item)]
    images: dict[str, str] = {}
    seen: set[str] = set()
    again: list[str] = []
    for name, item in sorted(found):
        if item in seen:
            again.append(item)
        else:
            seen.add(item)
            images[name] = item
    return images, again


def list_images(dataset: Dataset, split: str) -> list[Path]:
    """Return the absolute paths of a split's images, sorted, each once.

    Raises:
        UserError: a listed image does not exist.
    """
    return [Path(image) for image in sorted(named_images(dataset, split)[0].values())]


def relative(dataset: Dataset, path: str) -> str:
    """Return a path as people read it: relative to the dataset, always printable."""
    shown = os.path.relpath(path, dataset.root)
    return os.fsencode(shown).decode("utf-8", errors="backslashreplace")


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _read_list(source: Path, dataset: Dataset) -> list[str]:
    """Return the images a .txt lists: `./` is beside the list (as in Ultralytics), other paths start at the root.

    Ultralytics takes the latter relative to the working directory, which is never what the author of a dataset means.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise UserError("the list of images is not a text file in UTF-8", where=source) from error
    listed, missing = [], []
    for line in lines:
        if not _is_image(line):
            continue
        beside = os.path.normpath(source.parent / line)
        below_root = os.path.normpath(dataset.root / line)
        image = beside if line.startswith("./") or not os.path.exists(below_root) else below_root
        (listed if os.path.exists(image) else missing).append(image)
    if missing:
        raise UserError(
            f"{len(missing)} of {len(listed) + len(missing)} listed images do not exist, first {missing[0]}",
            where=source,
            hint=nearest_sibling(Path(missing[0])),
        )
    return listed
