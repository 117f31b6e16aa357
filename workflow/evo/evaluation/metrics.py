"""From the arrays of Ultralytics' `DetMetrics` to one split of ``metrics.json``. Needs numpy, not torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

CURVE_POINTS = 51
"""Samples kept of each curve of 1,000 points: enough to draw it."""


def fraction(value: Any) -> float | None:
    """Return a metric as a plain float, or None where it is undefined (NaN): JSON has no NaN."""
    number = float(value)
    return number if math.isfinite(number) else None


def class_labels(names: Mapping[int, str]) -> dict[int, str]:
    """Return one distinct label per class id, in the order of the ids: equal names carry their class id."""
    counts = Counter(str(name) for name in names.values())
    labels: dict[int, str] = {}
    for index in sorted(names):
        label = str(names[index])
        if counts[label] > 1:
            label = f"{label} (class {index})"
        while label in labels.values():  # a class may itself be called "cell (class 1)"
            label += "'"
        labels[index] = label
    return labels


def split_metrics(metrics: Any, names: Mapping[int, str], images: int) -> dict[str, Any]:
    """Return one split of ``metrics.json``.

    Args:
        metrics: an Ultralytics ``DetMetrics`` after validation; its ``box`` has one row per class *with objects*
            (``ap_class_index``), so that a class without any has no row and gets null.
        names: class names by id.
        images: images evaluated.
    """
    box, rows = metrics.box, {int(c): row for row, c in enumerate(metrics.box.ap_class_index)}
    per_class = {}
    for index, label in class_labels(names).items():
        values = box.class_result(rows[index]) if index in rows else (math.nan,) * 4
        precision, recall, map50, map50_95 = map(fraction, values)
        per_class[label] = {
            "map50": map50,
            "map50_95": map50_95,
            "precision": precision,
            "recall": recall,
            "images": int(metrics.nt_per_image[index]),
            "instances": int(metrics.nt_per_class[index]),
        }
    # Ultralytics reports 0.0 for a split without objects, where nothing was measured.
    precision, recall, map50, map50_95 = map(fraction, box.mean_results() if rows else (math.nan,) * 4)
    return {
        "map50": map50,
        "map50_95": map50_95,
        "precision": precision,
        "recall": recall,
        "confidence": _best_confidence(box) if rows else None,
        "images": images,
        "instances": int(sum(metrics.nt_per_class)),
        "per_class": per_class,
        "speed_ms": {key: round(float(metrics.speed[key]), 3) for key in ("preprocess", "inference", "postprocess")},
        "curves": _curves(box, bool(rows)),
    }


def _best_confidence(box: Any) -> float | None:
    """Return the threshold of ``box.p`` and ``box.r``, chosen as Ultralytics' ``ap_per_class`` does.

    None where nothing was detected at any threshold.
    """
    from ultralytics.utils.metrics import smooth

    f1 = smooth(box.f1_curve.mean(0), 0.1)
    return float(box.px[f1.argmax()]) if f1.max() > 0 else None


def _curves(box: Any, defined: bool) -> dict[str, list[float]]:
    import numpy as np

    if not defined:
        return {"recall": [], "precision": [], "confidence": [], "f1": []}
    picked = np.linspace(0, len(box.px) - 1, CURVE_POINTS).round().astype(int)

    def sampled(values: Any) -> list[float]:
        return [round(float(v), 4) for v in np.clip(np.nan_to_num(values), 0, 1)[picked]]

    return {
        "recall": sampled(box.px),
        "precision": sampled(box.prec_values.mean(0)),
        "confidence": sampled(box.px),
        "f1": sampled(box.f1_curve.mean(0)),
    }
