"""Calibration images: a seeded sample of the training split, preprocessed as for evaluation.

Call `workflow.evo.host.ultralytics_env.prepare` before anything here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    import numpy as np

MINIMUM = 8
"""Least number of images: the ranges of fewer would clip most activations of the others."""


class CalibrationImages(Sequence["np.ndarray"]):
    """Images letterboxed by Ultralytics' own validation dataset, each opened when it is needed.

    Each is (1, imgsz, imgsz, 3) float32 in 0 to 1, RGB.

    Args:
        dataset_yaml: the dataset as Ultralytics reads it.
        imgsz: edge of the square input in pixels.
        count: how many images; all of the split when it has fewer.
        seed: of the sample.

    Raises:
        UserError: the training split has fewer than `MINIMUM` images.
    """

    def __init__(self, dataset_yaml: Path, imgsz: int, count: int, seed: int):
        from ultralytics.cfg import get_cfg
        from ultralytics.data.build import build_yolo_dataset
        from ultralytics.data.utils import check_det_dataset

        data = check_det_dataset(str(Path(dataset_yaml).resolve()))
        self._dataset = build_yolo_dataset(
            get_cfg(overrides={"task": "detect", "imgsz": imgsz}), data["train"], 1, data, mode="val", rect=False
        )
        if len(self._dataset) < MINIMUM:
            raise UserError(
                f"{len(self._dataset)} training images are too few to calibrate with ({MINIMUM} at least)",
                where=dataset_yaml,
                hint="add images to the training split",
            )
        self._chosen = sorted(random.Random(seed).sample(range(len(self._dataset)), min(count, len(self._dataset))))

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        import numpy as np

        image = self._dataset[self._chosen[index]]["img"].numpy()  # (3, imgsz, imgsz) uint8, RGB
        return np.ascontiguousarray(image.transpose(1, 2, 0)[None], dtype=np.float32) / 255

    @property
    def files(self) -> list[str]:
        """Names of the chosen images, in the order of the split."""
        return [Path(self._dataset.im_files[index]).name for index in self._chosen]


def noise_images(imgsz: int, count: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Return uniform noise, (1, imgsz, imgsz, 3) float32 in 0 to 1: enough where only the structure matters."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return [generator.random((1, imgsz, imgsz, 3), dtype=np.float32) for _ in range(count)]
