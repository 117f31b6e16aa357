"""Ultralytics detection dataset YAMLs, read as data: nothing in them is executed or downloaded."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError, did_you_mean, nearest
from .findings import INFO, WARNING, Finding

SPLITS = ("train", "val", "test")
MAX_BYTES = 1_000_000
MAX_DEPTH = 10
MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Dataset:
    """A detection dataset as its YAML describes it.

    Attributes:
        yaml: absolute path of the YAML.
        root: absolute folder that the splits are relative to.
        names: class names, by class id.
        splits: for ``train``, ``val`` and perhaps ``test`` the absolute folders of images and ``.txt`` lists of images.
        remarks: what is worth saying about the YAML itself.
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
        UserError: the file is no dataset YAML, or a path in it does not exist; the message has the absolute path.
    """
    path = Path(path).resolve()
    document = _read(path)
    channels = document.get("channels", 3)
    if channels != 3:
        raise UserError(f"'channels' is {channels!r}: images are read with 3 channels", where=path, hint="remove it")
    remarks = []
    if document.get("download"):
        remarks.append(Finding(INFO, "download_ignored", "the 'download' key is ignored: nothing is fetched or run"))
    if "validation" in document and document.get("val") is None:
        document["val"] = document["validation"]
    names = _names(document, path)
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        shown = ", ".join(f"'{name}'" for name in twice[:5])
        remarks.append(Finding(WARNING, "class_name_twice", f"several classes share a name: {shown}", len(twice)))
    try:
        root = _root(document, path)
        return Dataset(path, root, names, _splits(document, root, path), tuple(remarks))
    except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in a path
        raise UserError(f"a path in it cannot be followed ({error})", where=path) from error


def _read(path: Path) -> dict[str, Any]:
    """Parse the YAML within limits: size, depth, and no aliases, whose expansion has none."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"dataset YAML not found: {path}", hint=nearest_sibling(path)) from error
    except IsADirectoryError as error:
        raise UserError(f"a folder, not a dataset YAML: {path}", hint=nearest_sibling(path / "data.yaml")) from error
    except PermissionError as error:
        raise UserError(f"dataset YAML may not be read: {path}", hint="make it readable") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"larger than {MAX_BYTES // 1_000_000} MB: no dataset YAML", where=path)
    try:
        text = content.decode("utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise UserError(
                    f"alias '*{event.anchor}' in line {event.start_mark.line + 1}", where=path, hint="write the value"
                )
            if depth > MAX_DEPTH:
                raise UserError(f"nested too deep in line {event.start_mark.line + 1}: no dataset YAML", where=path)
        document = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8", where=path, hint="a dataset is described by a YAML file") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"not valid YAML ({' '.join(str(error).split())})", where=path) from error
    if not isinstance(document, dict):
        raise UserError("no dataset YAML: a table with the keys train, val and names is expected", where=path)
    return document


def _names(document: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    names, count = document.get("names"), document.get("nc")
    if count is not None:
        try:
            count = int(count) if float(count) == int(float(count)) else None
        except (TypeError, ValueError, OverflowError):
            count = None
        if count is None or not 1 <= count <= MAX_CLASSES:
            raise UserError(f"'nc' is {document['nc']!r}, not a number of classes", where=path, hint="remove it")
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
    try:
        by_id = {int(key): _name(value, key, path) for key, value in names.items()}
    except (TypeError, ValueError) as error:
        raise UserError(
            "the keys of 'names' must be class ids", where=path, hint="`names: {0: cat, 1: dog}`"
        ) from error
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


def _name(value: Any, key: object, path: Path) -> str:
    name = str(value)
    plain = not isinstance(value, (dict, list, type(None)))
    if not plain or not name.strip() or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise UserError(f"class name {value!r} of class {key} is no text of one line", where=path, hint="quote it")
    return name


def _root(document: Mapping[str, Any], path: Path) -> Path:
    given = document.get("path")
    if given is None:
        return path.parent
    if not isinstance(given, str):
        raise UserError(f"'path' is {given!r}, not a folder", where=path, hint="`path: .` means beside this file")
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
            raise UserError(f"'{split}' is {given!r}, not a folder or a list of folders", where=path)
        splits[split] = tuple(_source(entry, split, root, path) for entry in entries)
    return splits


def _source(entry: str, split: str, root: Path, path: Path) -> Path:
    source = (root / entry).resolve()
    if not source.exists() and entry.startswith("../"):
        # Roboflow exports say `../train/images` and mean `train/images`; Ultralytics (check_det_dataset) bends it too.
        bent = (root / entry[3:]).resolve()
        source = bent if bent.exists() else source
    if source.is_dir() or (source.is_file() and source.suffix == ".txt"):
        return source
    if source.exists():
        raise UserError(f"'{split}: {entry}' is neither a folder nor a .txt list: {source}", where=path)
    raise UserError(f"'{split}: {entry}' does not exist: {source}", where=path, hint=nearest_sibling(source))


def nearest_sibling(path: Path) -> str:
    """Return a hint for a path that does not exist: what there is instead, where the path first goes wrong."""
    missing = path
    while not missing.parent.exists():
        missing = missing.parent
    if not missing.parent.is_dir():
        return f"{missing.parent} is not a folder"
    there = sorted(item.name for item in missing.parent.iterdir() if not item.name.startswith("."))
    return f"in {missing.parent}: {did_you_mean(missing.name, there)}"
