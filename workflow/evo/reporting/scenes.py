"""The same few images for every variant: what is labelled there and what each one finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .images import embed

BUDGET = 900_000
"""Bytes of JPEG that all images share; each is embedded once, whatever the number of variants."""


@dataclass(frozen=True)
class Box:
    """One box, in pixels of the image: left, top, width and height; ``confidence`` is None for a label."""

    label: str
    colour: int
    confidence: float | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Scene:
    """One image with its boxes.

    Attributes:
        name: of the file.
        uri: the image, a ``data:`` URI.
        width: of the image, pixels.
        height: of the image, pixels.
        labels: what is there.
        found: boxes by variant.
    """

    name: str
    uri: str
    width: int
    height: int
    labels: tuple[Box, ...]
    found: Mapping[str, tuple[Box, ...]]


COLOURS = 8
"""Series colours of the style sheet, used again for further classes."""


def scenes(curves: Mapping[str, Mapping[str, Any]], data: Path) -> list[Scene]:
    """Return the images of val that every variant of ``curves`` has boxes on, as far as they can be read.

    Args:
        curves: ``curves.json`` by variant.
        data: the session's data folder, which images are named relative to. Nothing outside of it is opened.
    """
    if not curves:
        return []
    samples = {name: {s["image"]: s for s in document["val"]["samples"]} for name, document in curves.items()}
    first = next(iter(curves.values()))["val"]
    shared = [s for s in first["samples"] if all(s["image"] in others for others in samples.values())]
    found = []
    for sample in shared:
        path = Path(sample["image"])
        if path.is_absolute() or ".." in path.parts or not (uri := embed(data / path, BUDGET // len(shared))):
            continue
        width, height = sample["width"], sample["height"]
        found.append(
            Scene(
                path.name,
                uri,
                width,
                height,
                _boxes(sample["labels"], first["classes"], width, height),
                {
                    name: _boxes(
                        samples[name][sample["image"]]["predictions"], document["val"]["classes"], width, height
                    )
                    for name, document in curves.items()
                },
            )
        )
    return found


def _boxes(entries: list[Mapping[str, Any]], classes: list[str], width: int, height: int) -> tuple[Box, ...]:
    boxes = []
    for entry in entries:
        if entry["class"] >= len(classes):
            continue
        left, top, right, bottom = entry["box"]
        boxes.append(
            Box(
                classes[entry["class"]],
                entry["class"] % COLOURS,
                entry.get("confidence"),
                round(left * width, 1),
                round(top * height, 1),
                round(max(right - left, 0) * width, 1),
                round(max(bottom - top, 0) * height, 1),
            )
        )
    return tuple(boxes)
