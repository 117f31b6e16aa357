"""``curves.json``: precision over recall, the confusion matrix, and boxes on a few images, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .metrics import CURVE_POINTS, class_labels
from .recording import recording_validator

SAMPLES = 6
"""Images of a split whose boxes are kept: the first ones, the same for every variant."""

CONFIDENCE = 0.25
"""Least confidence of a box that is kept or counted in the confusion matrix, Ultralytics' default for
`yolo predict`: `yolo val` itself starts at 0.001, where nearly every box is background."""


def recorder() -> type:
    """Return a `recording_validator` with two more attributes, of detections with `CONFIDENCE` or more.

    ``confident`` is a confusion matrix, ``samples`` are the boxes of the first images.
    """
    from ultralytics.utils.metrics import ConfusionMatrix

    class Recorder(recording_validator()):  # type: ignore[misc]
        def init_metrics(self, model: Any) -> None:
            super().init_metrics(model)
            self.samples: list[dict[str, Any]] = []
            self.confident = ConfusionMatrix(names=model.names)

        def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
            super().update_metrics(preds, batch)
            for index, prediction in enumerate(preds):
                self.confident.process_batch(prediction, self._prepare_batch(index, batch), conf=CONFIDENCE)
            for index, prediction in enumerate(preds[: SAMPLES - len(self.samples)]):
                truth = self._prepare_batch(index, batch)
                found = self.scale_preds(prediction, truth)
                labelled = self.scale_preds({**found, "bboxes": truth["bboxes"], "cls": truth["cls"]}, truth)
                height, width = map(int, truth["ori_shape"])
                self.samples.append(
                    {
                        "image": truth["im_file"],
                        "width": width,
                        "height": height,
                        "labels": [
                            {"class": int(kind), "box": _corners(box, width, height)}
                            for kind, box in zip(labelled["cls"], labelled["bboxes"], strict=True)
                        ],
                        "predictions": [
                            {
                                "class": int(kind),
                                "confidence": round(float(sure), 3),
                                "box": _corners(box, width, height),
                            }
                            for kind, sure, box in zip(found["cls"], found["conf"], found["bboxes"], strict=True)
                            if sure >= CONFIDENCE
                        ],
                    }
                )

    return Recorder


def _corners(box: Any, width: int, height: int) -> list[float]:
    """Return left, top, right and bottom as fractions of the image."""
    sizes = (width, height, width, height)
    return [round(min(max(float(value) / size, 0), 1), 4) for value, size in zip(box, sizes, strict=True)]


def split_curves(
    metrics: Any, confusion: np.ndarray, names: Mapping[int, str], samples: list[dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """Return one split of ``curves.json``.

    Args:
        metrics: an Ultralytics ``DetMetrics`` after validation; only classes with objects have curves.
        confusion: counts by predicted (rows) and true class (columns); the last row and column are the background:
            missed objects and false detections.
        names: class names by id.
        samples: boxes of some images, as `recorder` keeps them.
        folder: of the dataset; images below it are named relative to it.
    """
    box, labels = metrics.box, class_labels(names)
    order = {index: position for position, index in enumerate(labels)}
    steps = CURVE_POINTS if len(box.ap_class_index) else 0
    points = np.linspace(0, len(box.px) - 1, steps).round().astype(int)
    precision = {}
    for row, index in enumerate(box.ap_class_index):
        values = np.clip(np.nan_to_num(box.prec_values[row]), 0, 1)[points]
        precision[labels[int(index)]] = [round(float(value), 4) for value in values]
    return {
        "classes": list(labels.values()),
        "recall": [round(float(value), 4) for value in np.asarray(box.px)[points]] if precision else [],
        "precision": precision,
        "confusion": [
            {"predicted": int(row), "true": int(column), "count": int(confusion[row, column])}
            for row, column in np.argwhere(confusion > 0)
        ],
        "samples": [
            {
                **sample,
                "image": _relative(Path(sample["image"]), Path(folder)),
                "labels": [{**entry, "class": order[entry["class"]]} for entry in sample["labels"]],
                "predictions": [{**entry, "class": order[entry["class"]]} for entry in sample["predictions"]],
            }
            for sample in samples
        ],
    }


def _relative(path: Path, folder: Path) -> str:
    """Return a path below ``folder`` relative to it, so that a session can be moved."""
    folder = folder.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
