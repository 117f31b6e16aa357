"""The images of a dataset and their labels, found in the way of Ultralytics."""

# For 100,000 images plain strings are seconds faster than Path objects.
# ruff: noqa: PTH110, PTH112, PTH118, PTH120, PTH122

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .dataset import Dataset, nearest_sibling
from .folders import IMAGE_SUFFIXES, LABEL_SUFFIX, Scan, scan, unreadable

MAX_FOLDERS = 100_000
"""Folders below one source. The largest public datasets have some ten thousand; a disk has more."""

LookAt = Callable[[str], Scan]


@dataclass(frozen=True)
class Group:
    """Images of one split in one folder.

    Attributes:
        name: of the folder within the split, with the ``/`` behind it; empty for the split's own folder.
        path: of the folder, absolute.
        wanted: names of the files; None for all images that the folder shows.
    """

    name: str
    path: str
    wanted: frozenset[str] | None = None

    def images(self, found: Scan) -> list[str]:
        """Return the names of the images, sorted; ``found`` is a scan of the folder that kept the names."""
        return sorted(shown_images(found) if self.wanted is None else self.wanted)


def label_path(image: Path) -> Path:
    """Return where Ultralytics looks for an image's label: the last ``/images/`` becomes ``/labels/``, suffix ``.txt``.

    Source: ``img2label_paths`` of ultralytics/data/utils.py.
    """
    return Path(label_of(str(image)))


def label_of(image: str) -> str:
    """Return `label_path` of a path that is text."""
    folder, name = os.path.split(image)
    return os.path.join(label_folder(folder), label_name(name))


def label_folder(folder: str) -> str:
    """Return the folder of the labels of a folder's images, absolute paths both."""
    images, labels = f"{os.sep}images{os.sep}", f"{os.sep}labels{os.sep}"
    return labels.join(f"{folder}{os.sep}".rsplit(images, 1)).removesuffix(os.sep) or os.sep


def label_name(image: str) -> str:
    """Return the file name of the label of an image, file names both."""
    return image.rsplit(".", 1)[0] + LABEL_SUFFIX


def shown_images(found: Scan) -> list[str]:
    """Return the names of the images in a folder, in no order, as Ultralytics' own pattern finds them: none hidden.

    Source: ``BaseDataset.get_img_files`` of ultralytics/data/base.py, whose pattern is ``**/*.*``.
    """
    return [name for name in found.names if name[0] != "." and is_image(name)]


def walk(source: str, look: LookAt = scan) -> Iterator[tuple[str, str, Scan]]:
    """Yield the folder ``source`` and all folders below, each once: name with a trailing ``/``, path, and scan.

    Links are followed, hidden folders are left out. Of several paths to a folder, the one with the fewest links counts,
    then the shortest: circles of links end, and no image counts twice.

    Raises:
        UserError: a folder cannot be read, or there are more than `MAX_FOLDERS`.
    """
    if source == os.path.dirname(source):
        raise UserError("the root of the file system is not a folder of images", where=source, hint="name the folder")
    visited: set[tuple[int, int]] = set()
    pending = [(0, 0, "", source)]  # behind how many links, how deep, name, path
    while pending:
        links, depth, name, path = heapq.heappop(pending)
        try:
            facts = os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise unreadable(path, error) from error
        if (facts.st_dev, facts.st_ino) in visited:
            continue
        visited.add((facts.st_dev, facts.st_ino))
        if len(visited) > MAX_FOLDERS:
            raise UserError(
                f"more than {MAX_FOLDERS:,} folders below it", where=source, hint="name the folder of the images"
            )
        found = look(path)
        yield name, path, found
        for child, link in found.folders:
            heapq.heappush(pending, (links + link, depth + 1, f"{name}{child}/", os.path.join(path, child)))


def groups(dataset: Dataset, split: str, look: LookAt = scan) -> tuple[list[Group], list[str]]:
    """Return a split's images by folder, and the images that it lists again.

    Their names do not depend on where the dataset is: the path below the split's folder, or below the deepest common
    folder of a list's images; with several sources the source's position comes first.

    Raises:
        UserError: a listed image does not exist, or a folder cannot be read.
    """
    sources = dataset.splits[split]
    found: list[Group] = []
    again: list[str] = []
    taken: dict[str, frozenset[str] | None] = {}
    for prefix, source in sorted((f"{place}/" if len(sources) > 1 else "", path) for place, path in enumerate(sources)):
        listed = source.is_file()
        for group in _of_list(source, dataset, again) if listed else _of_folder(str(source), look):
            wanted = group.wanted
            if group.path in taken:
                before, mine = (_names(group.path, names) for names in (taken[group.path], wanted))
                again += [os.path.join(group.path, name) for name in before & mine]
                wanted, taken[group.path] = mine - before, mine | before
            else:
                taken[group.path] = wanted
            found.append(Group(prefix + group.name, group.path, wanted))
    return found, sorted(again)


def _names(path: str, wanted: frozenset[str] | None) -> frozenset[str]:
    return frozenset(scan_images(path)) if wanted is None else wanted


def _of_folder(source: str, look: LookAt) -> Iterator[Group]:
    for name, path, _ in walk(source, look):
        yield Group(name, path)


def _of_list(source: Path, dataset: Dataset, again: list[str]) -> Iterator[Group]:
    listed = Counter(item for item in read_list(source, dataset)[0] if not os.path.isdir(item))
    again += [item for item, count in listed.items() for _ in range(count - 1)]
    base = os.path.commonpath([os.path.dirname(item) for item in listed]) if listed else ""
    by_folder: dict[str, list[str]] = {}
    for item in listed:
        folder, name = os.path.split(item)
        by_folder.setdefault(folder, []).append(name)
    for folder, names in by_folder.items():
        yield Group("" if folder == base else os.path.relpath(folder, base) + "/", folder, frozenset(names))


def named_images(dataset: Dataset, split: str) -> tuple[dict[str, str], list[str]]:
    """List a split's images.

    Returns:
        The absolute path of each image by its name, in the order of the names; and the images that are listed again.

    Raises:
        UserError: a listed image does not exist, or a folder cannot be read.
    """
    found, again = groups(dataset, split)
    images = {
        group.name + name: os.path.join(group.path, name)
        for group in found
        for name in (scan_images(group.path) if group.wanted is None else group.wanted)
    }
    return {name: images[name] for name in sorted(images)}, again


def scan_images(path: str) -> list[str]:
    """Return the names of the images in one folder, in no order."""
    return shown_images(scan(path, keep=True))


def list_images(dataset: Dataset, split: str) -> list[Path]:
    """Return the absolute paths of a split's images, sorted, each once.

    Raises:
        UserError: a listed image does not exist, or a folder cannot be read.
    """
    return [Path(image) for image in sorted(named_images(dataset, split)[0].values())]


def relative(dataset: Dataset, path: str) -> str:
    """Return a path for a message: relative to the dataset, always printable."""
    shown = os.path.relpath(path, dataset.root)
    return os.fsencode(shown).decode("utf-8", errors="backslashreplace")


def is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def read_list(source: Path, dataset: Dataset) -> tuple[list[str], set[str]]:
    """Return the images a .txt lists, and all folders whose content decides which these are.

    ``./`` is the folder of the list (as in Ultralytics), other paths start at the root: in Ultralytics the latter are
    relative to the working directory, which is never what the author of a dataset means.

    Raises:
        UserError: it is not text, or an image does not exist.
    """
    try:
        lines = source.read_text(encoding="utf-8-sig").strip().splitlines()
    except UnicodeDecodeError as error:
        raise UserError("the list of images is not a text file in UTF-8", where=source) from error
    except OSError as error:
        raise unreadable(str(source), error) from error
    listed: list[str] = []
    missing: list[str] = []
    folders: set[str] = set()
    for line in lines:
        if not is_image(line):
            continue
        image = relative_to_list = os.path.normpath(source.parent / line)
        folders.add(os.path.dirname(relative_to_list))
        if not line.startswith("./"):
            below_root = os.path.normpath(dataset.root / line)
            folders.add(os.path.dirname(below_root))
            image = below_root if os.path.exists(below_root) else relative_to_list
        (listed if os.path.exists(image) else missing).append(image)
    if missing:
        raise UserError(
            f"{len(missing)} of {len(listed) + len(missing)} listed images do not exist, first {missing[0]}",
            where=source,
            hint=nearest_sibling(Path(missing[0])),
        )
    return listed, folders
