"""The embedded dataset: handwritten digits of scikit-learn, coloured and enlarged, on a noisy background."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..files import explain_os_errors, sha256_json
from .dataset import SPLITS

if TYPE_CHECKING:
    import numpy as np

DRAWING_VERSION = 1
"""Goes up with every change that alters a drawn pixel or box."""

CLASSES = 10
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}  # of the 1,797 handwritten digits; no split sees another's
NOISE_CELL = 8  # pixels
ATTEMPTS = 30  # to place a digit without overlap
OWN = re.compile(r"\./data\.yaml|(images|labels)/(train|val|test)/\2_\d+\.(png|npy|txt)|labels/(train|val|test)\.cache")
"""Files of a drawing, and Ultralytics' caches, below its folder."""

INK = 0.25  # from this share of full ink on a pixel belongs to the digit's box


def identity(digits: Mapping[str, int]) -> str:
    """Return a SHA-256 that identifies the content of the dataset, without drawing it."""
    parameters = {key: int(digits[key]) for key in ("train", "val", "test", "size", "seed")}
    return sha256_json({"drawing": DRAWING_VERSION, **parameters})


def split_identities(digits: Mapping[str, int]) -> dict[str, str]:
    """Return, per split that is drawn, a SHA-256 that identifies its content: no split depends on another's size."""
    common = {"drawing": DRAWING_VERSION, "size": int(digits["size"]), "seed": int(digits["seed"])}
    return {
        split: sha256_json({**common, "split": split, "images": int(digits[split])})
        for split in SPLITS
        if digits[split]
    }


def draw(folder: Path, digits: Mapping[str, int]) -> Path:
    """Draw the dataset; the same parameters give the same bytes.

    An image shows one to three digits, each a quarter to a half of its edge. The folder appears complete or not at all.

    Args:
        folder: where to; what is there is replaced.
        digits: images per split (``train``, ``val``, ``test``; a split of 0 is left out), their edge ``size`` in pixels
            and the ``seed``.

    Returns:
        The path of ``data.yaml`` in the folder.

    Raises:
        UserError: the folder is not writable, or has files that were not drawn.
        EvoError: the disk is full.
    """
    import numpy as np

    folder = Path(folder)
    drawing = folder.with_name(f".{folder.name}.drawing")
    sources = _split_sources(digits["seed"])
    splits = [split for split in SPLITS if digits[split]]
    with explain_os_errors(folder, "drawing the embedded dataset"):
        for place in (folder, drawing):
            _refuse_foreign(place)
        shutil.rmtree(drawing, ignore_errors=True)
        for number, split in enumerate(SPLITS):
            if split not in splits:
                continue
            rng = np.random.default_rng([digits["seed"], number])
            deck = _deal(sources[split], rng)
            for kind in ("images", "labels"):
                (drawing / kind / split).mkdir(parents=True)
            for index in range(digits[split]):
                image, boxes = _draw_image(deck, digits["size"], rng)
                name = f"{split}_{index:05d}"
                image.save(drawing / "images" / split / f"{name}.png", compress_level=1)
                rows = "".join(f"{label} {' '.join(f'{value:.6f}' for value in box)}\n" for label, *box in boxes)
                (drawing / "labels" / split / f"{name}.txt").write_text(rows)
        names = "".join(f"  {label}: '{label}'\n" for label in range(CLASSES))
        paths = "".join(f"{split}: images/{split}\n" for split in splits)
        (drawing / "data.yaml").write_text(f"path: .\n{paths}names:\n{names}")
        if folder.exists():
            (folder / "data.yaml").unlink(
                missing_ok=True
            )  # first, so that a half-removed folder does not look complete
            shutil.rmtree(folder)
        drawing.replace(folder)
    return folder / "data.yaml"


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace a folder with anything in it but a drawing, and Ultralytics' caches in it."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        foreign = [name for name in files if not OWN.fullmatch(f"{os.path.relpath(place, folder)}/{name}")]
        if found := [*links, *foreign]:
            raise _not_drawn(Path(place) / found[0])
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise _not_drawn(folder)


def _not_drawn(path: Path) -> UserError:
    return UserError(
        "was not drawn by this workflow, and the embedded dataset would replace it",
        where=path.absolute(),
        hint="move it elsewhere, then run the same command again",
    )


def _split_sources(seed: int) -> dict[str, list[np.ndarray]]:
    """Return, per split and class, handwritten digits (n, 8, 8) with ink from 0 to 1; no digit is in two splits."""
    import numpy as np
    from sklearn.datasets import load_digits

    bundled = load_digits()
    rng = np.random.default_rng([seed, len(SPLITS)])
    split_sources: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for label in range(CLASSES):
        images = rng.permutation(bundled.images[bundled.target == label] / 16, axis=0)
        ends = np.round(np.cumsum([SHARES[split] for split in SPLITS]) * len(images)).astype(int)
        for split, part in zip(SPLITS, np.split(images, ends[:-1]), strict=True):
            split_sources[split].append(part)
    return split_sources


def _deal(sources: list[np.ndarray], rng: np.random.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Yield digits without end, every class as often as the others."""
    while True:
        for label in rng.permutation(CLASSES):
            yield int(label), sources[label][rng.integers(len(sources[label]))]


def _draw_image(
    deck: Iterator[tuple[int, np.ndarray]], size: int, rng: np.random.Generator
) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return a PIL image and its rows of class, x_center, y_center, width, height as fractions of the image."""
    import numpy as np
    from PIL import Image

    cells = (rng.random((size // NOISE_CELL, size // NOISE_CELL, 3)) * 90).astype(np.uint8)
    canvas = np.asarray(Image.fromarray(cells).resize((size, size), Image.Resampling.BILINEAR)).astype(np.float64)
    taken: list[tuple[int, int, int]] = []
    rows = []
    for _ in range(rng.integers(1, 4)):
        label, digit = next(deck)
        edge = int(rng.integers(size // 4, size // 2 + 1))
        place = _free_place(edge, size, taken, rng)
        colour = rng.integers(120, 256, 3)
        if place is None:
            continue
        x, y = place
        taken.append((x, y, edge))
        enlarged = Image.fromarray((digit * 255).astype(np.uint8)).resize((edge, edge), Image.Resampling.BICUBIC)
        ink = np.asarray(enlarged)[..., None] / 255  # (edge, edge, 1)
        patch = canvas[y : y + edge, x : x + edge]
        canvas[y : y + edge, x : x + edge] = patch * (1 - ink) + colour * ink
        down, across = np.nonzero(ink[..., 0] > INK)
        left, right, top, bottom = across.min(), across.max() + 1, down.min(), down.max() + 1
        rows.append(
            (
                label,
                (x + (left + right) / 2) / size,
                (y + (top + bottom) / 2) / size,
                (right - left) / size,
                (bottom - top) / size,
            )
        )
    return Image.fromarray(canvas.astype(np.uint8)), rows


def _free_place(
    edge: int, size: int, taken: list[tuple[int, int, int]], rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return a corner at which a digit overlaps no other, or None when none was found."""
    for _ in range(ATTEMPTS):
        x, y = (int(value) for value in rng.integers(0, size - edge + 1, 2))
        if all(x + edge <= u or u + e <= x or y + edge <= v or v + e <= y for u, v, e in taken):
            return x, y
    return None
