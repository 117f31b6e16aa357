"""Ultralytics detection dataset YAMLs, read as data: nothing in them is executed or downloaded."""

from __future__ import annotations

import errno
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..config.strict_yaml import parse
from ..errors import UserError, did_you_mean, nearest
from ..files import read_regular
from ..printable import quoted
from ..text.facts import fact
from .findings import Finding

SPLITS = ("train", "val", "test")
MAX_BYTES = 1_000_000
MAX_DEPTH = 10
MAX_CLASSES = 100_000
MAX_NAME = 1000  # characters


@dataclass(frozen=True)
class Dataset:
    """A detection dataset as its YAML describes it.

    Attributes:
        yaml: absolute path of the YAML.
        root: absolute folder that the splits are relative to.
        names: class names, by class id.
        splits: for ``train``, ``val`` and perhaps ``test`` the absolute folders of images and ``.txt`` lists of images.
        remarks: findings on the YAML itself.
    """

    yaml: Path
    root: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    remarks: tuple[Finding, ...] = ()

    @property
    def nc(self) -> int:
        return len(self.names)


def load_dataset(path: Path) -> Dataset:
    """Read a dataset YAML; relative paths in it are relative to the file itself.

    Raises:
        UserError: the file is not a dataset YAML, or a path in it does not exist; the message has the absolute path.
    """
    try:
        path = Path(path).resolve()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # Python 3.11 and 3.12 raise RuntimeError for links in a circle
        raise UserError(f"dataset YAML cannot be read ({error})", where=path) from error
    document = _read(path)
    channels = document.get("channels", 3)
    if channels != 3:
        raise UserError(
            f"'channels' is {quoted(channels)}: images are read with 3 channels", where=path, hint="remove it"
        )
    remarks = []
    if document.get("download"):
        remarks.append(Finding(fact("download_ignored")))
    if "validation" in document and document.get("val") is None:
        document["val"] = document["validation"]
    names = _names(document, path)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        remarks.append(Finding(fact("class_name_twice", names=[f"'{name}'" for name in twice[:5]]), len(twice)))
    try:
        root = _root(document, path)
        return Dataset(path, root, names, _splits(document, root, path), tuple(remarks))
    except (OSError, ValueError, RuntimeError) as error:  # no permission, a name too long, a NUL, links in a circle
        raise UserError(f"a path in it cannot be followed ({error})", where=path) from error


def _read(path: Path) -> dict[str, Any]:
    """Parse the YAML within limits of size and depth, and without aliases, which expand without limit."""
    try:
        content = read_regular(path, MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"dataset YAML not found: {path}", hint=nearest_sibling(path)) from error
    except IsADirectoryError as error:
        raise UserError(f"a folder, not a dataset YAML: {path}", hint=nearest_sibling(path / "data.yaml")) from error
    except PermissionError as error:
        raise UserError(f"dataset YAML may not be read: {path}", hint="make it readable") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EFBIG:
            raise UserError(f"larger than {MAX_BYTES // 1_000_000} MB: not a dataset YAML", where=path) from error
        raise UserError(f"dataset YAML cannot be read ({error})", where=path) from error
    document = parse(content, path, depth=MAX_DEPTH)
    if not isinstance(document, dict):
        raise UserError("not a dataset YAML: a table with the keys train, val and names is expected", where=path)
    return document


def _names(document: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    names, count = document.get("names"), document.get("nc")
    if count is not None:
        try:
            count = int(count) if float(count) == int(float(count)) else None
        except (TypeError, ValueError, OverflowError):
            count = None
        if count is None or not 1 <= count <= MAX_CLASSES:
            raise UserError(f"'nc' is {quoted(document['nc'])}, not a number of classes", where=path, hint="remove it")
    if names is None:
        if count is None:
            raise UserError("'names' is missing", where=path, hint="add the class names: `names: [cat, dog]`")
        return tuple(f"class_{index}" for index in range(count))
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise UserError(
            "'names' must list at least one class", where=path, hint="`names: [cat, dog]` or `names: {0: cat, 1: dog}`"
        )
    if len(names) > MAX_CLASSES:
        raise UserError(f"'names' has {len(names):,} classes (limit {MAX_CLASSES:,})", where=path)
    if not all(_is_id(key) for key in names):
        raise UserError("the keys of 'names' must be class ids", where=path, hint="`names: {0: cat, 1: dog}`")
    by_id = {int(key): _name(value, key, path) for key, value in names.items()}
    missing = [index for index in range(len(names)) if index not in by_id]
    if missing:
        raise UserError(
            f"'names' has {len(names)} classes, but no class {missing[0]}",
            where=path,
            hint=f"number them 0 to {len(names) - 1} without gaps",
        )
    if count is not None and count != len(names):
        raise UserError(
            f"'nc' is {count}, but 'names' has {len(names)} classes", where=path, hint="remove 'nc' or correct 'names'"
        )
    return tuple(by_id[index] for index in range(len(names)))


def _is_id(key: object) -> bool:
    if isinstance(key, str):
        return key.isascii() and key.isdigit() and len(key) < 10
    return isinstance(key, int) and not isinstance(key, bool)


def _name(value: Any, key: object, path: Path) -> str:
    plain = isinstance(value, (str, int, float, date))
    name = str(value) if plain else ""
    if not name.strip() or any(map(_is_unprintable, name)):
        raise UserError(
            f"class name {quoted(value)} of class {key} is not text of one line", where=path, hint="quote it"
        )
    if len(name) > MAX_NAME:
        raise UserError(f"the name of class {key} has {len(name):,} characters (limit {MAX_NAME:,})", where=path)
    return name


def _is_unprintable(letter: str) -> bool:
    """Return whether a letter breaks a line, is a control character or surrogate, or changes the direction of text."""
    turned = unicodedata.bidirectional(letter) in {"LRE", "RLE", "LRO", "RLO", "LRI", "RLI", "FSI"}
    return turned or unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"}


def _root(document: Mapping[str, Any], path: Path) -> Path:
    given = document.get("path")
    if given is None:
        return path.parent
    if not isinstance(given, str):
        raise UserError(
            f"'path' is {quoted(given)}, not a folder", where=path, hint="`path: .` means the folder of this file"
        )
    root = (path.parent / given).resolve()
    if not root.is_dir():
        raise UserError(
            f"'path: {given}' does not exist: {root}",
            where=path,
            hint=f"it is relative to this file; {nearest_sibling(root)}",
        )
    return root


def _splits(document: Mapping[str, Any], root: Path, path: Path) -> dict[str, tuple[Path, ...]]:
    splits = {}
    for split in SPLITS:
        given = document.get(split)
        if not given:
            if split == "test":
                continue
            purpose = {"train": "to train with", "val": "to validate with, not among those of 'train'"}[split]
            others = [str(key) for key in document if key not in {*SPLITS, "path", "names", "nc"}]
            close = nearest(split, others)
            typo = f"; is '{close}' meant?" if close else ""
            raise UserError(
                f"'{split}' is missing", where=path, hint=f"add `{split}: FOLDER`, the images {purpose}{typo}"
            )
        entries = given if isinstance(given, list) else [given]
        if not all(isinstance(entry, str) for entry in entries):
            raise UserError(f"'{split}' is {quoted(given)}, not a folder or a list of folders", where=path)
        splits[split] = tuple(_source(entry, split, root, path) for entry in entries)
    return splits


def _source(entry: str, split: str, root: Path, path: Path) -> Path:
    source = (root / entry).resolve()
    if not source.exists() and entry.startswith("../"):
        # Roboflow exports have `../train/images` for `train/images`; Ultralytics (check_det_dataset) corrects it too.
        corrected = (root / entry[3:]).resolve()
        source = corrected if corrected.exists() else source
    if source.is_dir() or (source.is_file() and source.suffix == ".txt"):
        return source
    if source.exists():
        raise UserError(f"'{split}: {entry}' is neither a folder nor a .txt list: {source}", where=path)
    raise UserError(f"'{split}: {entry}' does not exist: {source}", where=path, hint=nearest_sibling(source))


def nearest_sibling(path: Path) -> str:
    """Return a hint for a path that does not exist: what is in the last folder of it that does."""
    missing = path
    try:
        while not missing.parent.exists():
            missing = missing.parent
        if not missing.parent.is_dir():
            return f"{missing.parent} is not a folder"
        there = sorted(item.name for item in missing.parent.iterdir() if not item.name.startswith("."))
    except OSError as error:
        return f"{missing.parent} cannot be read ({error.strerror})"
    return f"in {missing.parent}: {did_you_mean(missing.name, there)}"
