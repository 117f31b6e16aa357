"""What an evaluation keeps of every image: enough to compute the accuracy on any resample of the images.

One compressed file per evaluation, ``matches.npz``, some 10 bytes per detection. Detections that no average precision
depends on are left out: those of a class without an object in the split, and those that are less confident than every
match of their class.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EvoError
from ..files import write_atomically

VERSION = 1
IOUS = 10
"""IoU thresholds of map50_95, 0.5 to 0.95; bit 0 of a mask is the first one."""

DTYPES = {
    "images": np.str_,
    "truths": np.int32,
    "image": np.int32,
    "kind": np.int32,
    "confidence": np.float32,
    "mask": np.uint16,
}


@dataclass(frozen=True, eq=False)
class Matches:
    """The detections of one split, and which objects they match.

    Attributes:
        images: names of the images, in the order of the evaluation; (images,).
        truths: objects by image and class; (images, classes).
        image: of each detection, its image; (detections,).
        kind: its class.
        confidence: 0 to 1.
        mask: a bit for each IoU threshold at which it matches an object, as Ultralytics matches them.
    """

    images: np.ndarray
    truths: np.ndarray
    image: np.ndarray
    kind: np.ndarray
    confidence: np.ndarray
    mask: np.ndarray

    def needed(self) -> Matches:
        """Return the same without the detections that no average precision depends on."""
        keep = np.zeros(len(self.image), dtype=bool)
        for kind in np.flatnonzero(self.truths.sum(axis=0)):
            mine = self.kind == kind
            matched = self.confidence[mine & (self.mask > 0)]
            if len(matched):
                keep |= mine & (self.confidence >= matched.min())
        return Matches(
            self.images, self.truths, self.image[keep], self.kind[keep], self.confidence[keep], self.mask[keep]
        )


class Recorder:
    """Collects what `Matches` has from the statistics of Ultralytics' validator, image by image."""

    def __init__(self, classes: int):
        self.classes = classes
        self.images: list[str] = []
        self._truths: list[np.ndarray] = []
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, image: str, stats: Mapping[str, Any]) -> None:
        """Add one image: ``tp`` (detections, 10), ``conf``, ``pred_cls`` and ``target_cls`` of ``update_stats``."""
        self.images.append(image)
        self._truths.append(np.bincount(np.asarray(stats["target_cls"], dtype=int).ravel(), minlength=self.classes))
        matched = np.asarray(stats["tp"], dtype=bool).reshape(-1, IOUS)
        mask = (matched << np.arange(IOUS)).sum(axis=1).astype(np.uint16)
        confidence = np.asarray(stats["conf"], dtype=np.float32).ravel()
        self._found.append((np.asarray(stats["pred_cls"], dtype=np.int32).ravel(), confidence, mask))

    def matches(self) -> Matches:
        """Return what was added, without what is not needed."""
        number = [len(confidence) for _, confidence, _ in self._found]
        kind, confidence, mask = (np.concatenate(column) for column in zip(*self._found, strict=True))
        return Matches(
            np.array(self.images, dtype=np.str_),
            np.array(self._truths, dtype=np.int32),
            np.repeat(np.arange(len(number), dtype=np.int32), number),
            kind,
            confidence,
            mask,
        ).needed()


def write_matches(path: Path, weights_sha256: str, splits: Mapping[str, Matches]) -> None:
    """Write ``matches.npz``, the same bytes for the same content.

    Raises:
        DiskFull, UserError: it cannot be written.
    """
    arrays = {"version": np.array(VERSION), "weights_sha256": np.array(weights_sha256)}
    for split, found in splits.items():
        arrays |= {f"{split}.{field.name}": getattr(found, field.name) for field in fields(Matches)}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    write_atomically(path, stream.getvalue())


def read_matches(path: Path, weights_sha256: str) -> dict[str, Matches] | None:
    """Return what was kept of the splits of an evaluation, or None where there is nothing of these weights.

    Raises:
        EvoError: the file is damaged, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if int(arrays["version"]) != VERSION:
            raise ValueError(f"version {arrays['version']}")
        if str(arrays["weights_sha256"]) != weights_sha256:
            return None
        splits = [name.removesuffix(".images") for name in arrays if name.endswith(".images")]
        return {split: _matches(split, arrays) for split in splits}
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise EvoError(
            f"damaged or of another version ({' '.join(str(error).split())[:120]})",
            where=path.resolve(),
            hint="delete it and run snakemake again",
        ) from error


def _matches(split: str, arrays: Mapping[str, np.ndarray]) -> Matches:
    found = {name: arrays[f"{split}.{name}"] for name in DTYPES}
    for name, dtype in DTYPES.items():
        if not np.issubdtype(found[name].dtype, dtype):
            raise ValueError(f"{name} is {found[name].dtype}")
    matches = Matches(**found)
    images, classes = matches.truths.shape
    number = len(matches.image)
    columns: Sequence[np.ndarray] = (matches.image, matches.kind, matches.confidence, matches.mask)
    if len(matches.images) != images or any(column.shape != (number,) for column in columns):
        raise ValueError("arrays of different sizes")
    if number and not (matches.image.min() >= 0 and matches.image.max() < images and matches.kind.min() >= 0):
        raise ValueError("an image that does not exist")
    if number and not (matches.kind.max() < classes and np.isfinite(matches.confidence).all()):
        raise ValueError("a class that does not exist, or a confidence that is not a number")
    return matches
