"""Check of a dataset: images that open, labels that parse, no image in two splits: ``fingerprint.json``."""

from __future__ import annotations

import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import read_regular
from ..host.progress import track
from ..printable import printable
from ..text.facts import fact
from .dataset import Dataset
from .findings import EXAMPLES, FATAL, INFO, SEVERITIES, WARNING, Finding
from .hashes import Entry, hash_entries, image_hashes, read_cache, write_cache
from .image_formats import shown_size
from .labels import MAX_BYTES, parse_labels
from .listing import IMAGE_SUFFIXES, label_of, named_images, relative

CACHE_VERSION = 2
"""Goes up with every change of what `_inspect` finds."""

EXAMPLE_LENGTH = 1000  # characters
FIELDS = {"size", "classes", "problems"}
SHOWN = 200  # characters of a decoder's message
MIN_EDGE = 10  # pixels; Ultralytics (check_image) silently drops a smaller image


class Collector:
    """Collects the occurrences of each problem."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = defaultdict(list)
        self._parameters: dict[str, dict[str, Any]] = {}

    def add(self, code: str, example: str, count: int = 1, **parameters: Any) -> None:
        """Add ``count`` occurrences of a problem; the parameters of its fact are the same each time."""
        self._counts[code] += count
        self._parameters[code] = parameters
        if len(self._examples[code]) < EXAMPLES:
            self._examples[code].append(printable(example, EXAMPLE_LENGTH))

    def findings(self) -> list[Finding]:
        """Return the findings, fatal ones first."""
        return [
            Finding(fact(code, **self._parameters[code]), self._counts[code], tuple(self._examples[code]))
            for code in SEVERITIES
            if code in self._counts
        ]


def check(dataset: Dataset, cache_file: Path | None, progress: bool = False) -> dict[str, Any]:
    """Check a dataset completely.

    Args:
        dataset: the dataset.
        cache_file: the hash cache of `dataset_hashes`; the results of images are kept next to it, by content.
        progress: show progress on stderr.

    Returns:
        The content of ``fingerprint.json``; the same for the same content, wherever and whenever.

    Raises:
        UserError: a file cannot be read at all.
    """
    entries = image_hashes(dataset, cache_file, progress)
    inspected = _inspect_all(entries, cache_file and cache_file.with_suffix(".checks.json"), progress)
    found = Collector()
    splits = {split: _summarise(dataset, split, rows, inspected, found) for split, rows in entries.items()}
    _compare_splits(dataset, entries, found)
    _find_listed_twice(dataset, found)
    _find_orphans(dataset, entries, found)
    _check_classes(dataset, splits, found)
    findings = [*found.findings(), *dataset.remarks]
    findings.sort(key=lambda finding: (FATAL, WARNING, INFO).index(finding.severity))
    hashes = hash_entries(dataset, entries)
    return {
        "content_hash": hashes.everything,
        "hashes": dict(hashes.splits),
        "names": list(dataset.names),
        "splits": splits,
        "findings": [finding.document() for finding in findings],
    }


def _key(image: str, label: str | None) -> str:
    return f"{image}:{label or ''}"


def _inspect_all(
    entries: Mapping[str, list[Entry]], cache_file: Path | None, progress: bool
) -> dict[str, dict[str, Any]]:
    """Return the result of `_inspect` for every pair of image and label, by their hashes."""
    files = {
        _key(image, label): (path, label is not None) for rows in entries.values() for _, path, image, label in rows
    }
    cached = read_cache(cache_file, CACHE_VERSION)
    known = {key: cached[key] for key in files if isinstance(cached.get(key), dict) and cached[key].keys() == FIELDS}
    new = [key for key in files if key not in known]
    # Threads, because Pillow decodes outside the interpreter's lock: as fast as processes (measured on 2 cores).
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda key: _inspect(*files[key]), new)
        for key, result in zip(new, track(results, len(new), "checking", progress), strict=True):
            known[key] = result
    if new:
        # A codec may be installed or a disk repaired later: what did not open is tried again.
        write_cache(cache_file, CACHE_VERSION, {key: result for key, result in known.items() if result["size"]})
    return known


def _inspect(path: str, labelled: bool) -> dict[str, Any]:
    """Check one image and its label.

    Returns:
        ``size`` as [width, height] in pixels after EXIF rotation (None when it does not open), ``classes`` as instances
        by class id, ``problems`` as {code: [count, first place]}.
    """
    problems: dict[str, list] = {}
    size = None
    try:
        size = shown_size(path)
        if min(size) < MIN_EDGE:
            problems["image_too_small"] = [1, f"{size[0]}×{size[1]}"]
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged files
        problems["image_unreadable"] = [1, _reason(error)]
    if not labelled:
        return {"size": size, "classes": {}, "problems": problems}
    try:
        labels = parse_labels(read_regular(label_of(path), MAX_BYTES))
    except OSError as error:
        return {"size": None, "classes": {}, "problems": {**problems, "label_unreadable": [1, _reason(error)]}}
    problems.update({code: list(place) for code, place in labels.problems.items()})
    return {"size": size, "classes": {str(key): count for key, count in labels.instances.items()}, "problems": problems}


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        return "no image"
    reason = " ".join((getattr(error, "strerror", None) or str(error) or name).split())
    return printable(reason, SHOWN)


def _summarise(
    dataset: Dataset, split: str, rows: list[Entry], inspected: Mapping[str, dict], found: Collector
) -> dict[str, Any]:
    per_class, labelled = [0] * dataset.nc, 0
    widths, heights = [], []
    for _, path, image, label in rows:
        result = inspected[_key(image, label)]
        for code, (count, place) in result["problems"].items():
            shown = path if code.startswith("image") else label_of(path)
            parameters = {"pixels": MIN_EDGE} if code == "image_too_small" else {}
            found.add(code, f"{relative(dataset, shown)} ({place})", count, **parameters)
        if label is None:
            found.add("label_missing", relative(dataset, path))
        else:
            labelled += 1
        if result["size"]:
            widths.append(result["size"][0])
            heights.append(result["size"][1])
        for class_id, count in result["classes"].items():
            if 0 <= int(class_id) < dataset.nc:
                per_class[int(class_id)] += count
            else:
                place = f"{relative(dataset, label_of(path))} ({printable(class_id, 40)})"
                found.add("label_class_range", place, count, last=dataset.nc - 1, number=dataset.nc)
    if not rows:
        found.add("split_empty", f"{split}: {relative(dataset, str(dataset.splits[split][0]))}")
    elif split != "test" and not sum(per_class):
        found.add("split_without_box", split)
    return {
        "images": len(rows),
        "labelled": labelled,
        "instances": sum(per_class),
        "per_class": per_class,
        "width": _spread(widths),
        "height": _spread(heights),
    }


def _spread(values: list[int]) -> dict[str, int] | None:
    if not values:
        return None
    return {"min": min(values), "median": statistics.median_low(values), "max": max(values)}


def _compare_splits(dataset: Dataset, entries: Mapping[str, list[Entry]], found: Collector) -> None:
    where: dict[str, tuple[str, str]] = {}
    for split, rows in entries.items():
        for _, path, image, _ in rows:
            first_split, first = where.setdefault(image, (split, path))
            if first == path and first_split == split:
                continue
            code = "image_twice" if first_split == split else "image_shared"
            found.add(code, f"{relative(dataset, first)} ({first_split}) = {relative(dataset, path)} ({split})")


def _find_listed_twice(dataset: Dataset, found: Collector) -> None:
    for split in dataset.splits:
        for path in named_images(dataset, split)[1]:
            found.add("image_listed_twice", relative(dataset, path))


def _find_orphans(dataset: Dataset, entries: Mapping[str, list[Entry]], found: Collector) -> None:
    """Find labels without image in the label folders that belong to the image folders."""
    folders = {Path(path).parent for rows in entries.values() for _, path, _, _ in rows}
    folders |= {source for sources in dataset.splits.values() for source in sources if source.is_dir()}
    for folder in sorted(folders):
        labels = Path(label_of(str(folder / "any.jpg"))).parent
        stems = {Path(name).stem for name in _names(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES}
        for name in sorted(_names(labels)):
            # Annotation tools leave a list of the classes next to the labels.
            if name.endswith(".txt") and name != "classes.txt" and Path(name).stem not in stems:
                found.add("label_orphan", relative(dataset, str(labels / name)))


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as items:
            yield from (item.name for item in items if not item.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        hint = "make it readable, or take it out of the dataset"
        raise UserError(f"the folder cannot be listed ({error.strerror})", where=folder, hint=hint) from error


def _check_classes(dataset: Dataset, splits: Mapping[str, dict], found: Collector) -> None:
    for split, code in (("train", "class_untrained"), ("val", "class_absent_in_val")):
        for name, count in zip(dataset.names, splits[split]["per_class"], strict=True):
            if count == 0 and splits[split]["instances"]:
                found.add(code, name)
