"""A detection dataset of a few tiny images, for tests."""

from __future__ import annotations

import itertools
from pathlib import Path

import yaml
from PIL import Image

COLOURS = itertools.count(1)
BOX = "0 0.5 0.5 0.25 0.25\n1 0.25 0.25 0.1 0.1\n"


def save_image(path: Path, colour: int | None = None, size: tuple[int, int] = (16, 12)) -> Path:
    """Save an image that no other call saves, or one of the given colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, next(COLOURS) * 97 % 0xFFFFFF if colour is None else colour).save(path)
    return path


def save_dataset(root: Path, images: int = 2, splits: tuple[str, ...] = ("train", "val"), **keys: object) -> Path:
    """Write ``images`` labelled images per split in the usual layout; return the YAML."""
    for split in splits:
        for index in range(images):
            save_image(root / "images" / split / f"{split}{index}.png")
            label = root / "labels" / split / f"{split}{index}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(BOX)
    document = {"path": ".", **{split: f"images/{split}" for split in splits}, "names": ["cat", "dog"], **keys}
    document = {key: value for key, value in document.items() if value is not None}
    path = root / "data.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True))
    return path
