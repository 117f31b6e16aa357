"""A dataset of coloured squares and a network small enough to learn them in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

SIZE = 64  # pixels
CPU = {"device": "cpu", "workers": 0}
NAMES = ["disc", "$\\frac{", "disc", "<b>never seen</b>"]  # equal names, one that breaks a formula, one without objects
MODEL = """
nc: 4
activation: torch.nn.ReLU()
scales: {n: [0.33, 0.125, 256]}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 1, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 1, Conv, [256, 3, 2]]
head:
  - [[3, 4], 1, Detect, [nc]]
"""


def draw(folder: Path, splits: dict[str, int]) -> Path:
    """Draw bright squares on dark images, their class (0 to 2) told by the colour channel."""
    import cv2

    random = np.random.default_rng(0)
    for split, count in splits.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for index in range(count):
            image = random.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
            lines = []
            for _ in range(int(random.integers(1, 3))):
                label, edge = int(random.integers(0, 3)), int(random.integers(16, 30))
                x, y = (int(v) for v in random.integers(0, SIZE - edge, 2))
                image[y : y + edge, x : x + edge, label] = 255
                lines.append(f"{label} {(x + edge / 2) / SIZE} {(y + edge / 2) / SIZE} {edge / SIZE} {edge / SIZE}")
            cv2.imwrite(str(folder / "images" / split / f"{index}.png"), image)
            (folder / "labels" / split / f"{index}.txt").write_text("\n".join(lines))
    document = {"path": str(folder), **{split: f"images/{split}" for split in splits}, "names": dict(enumerate(NAMES))}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(document))
    return folder / "dataset.yaml"
