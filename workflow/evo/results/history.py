"""The history of a training, from Ultralytics' ``results.csv``."""

from __future__ import annotations

import csv
import math
from pathlib import Path

MAP50, MAP50_95 = "metrics/mAP50(B)", "metrics/mAP50-95(B)"
"""Ultralytics' names of these metrics, in ``results.csv`` and in a trainer."""

COLUMNS = {
    MAP50_95: "map50_95",
    MAP50: "map50",
    "metrics/precision(B)": "precision",
    "metrics/recall(B)": "recall",
    "train/box_loss": "box_loss",
    "train/cls_loss": "cls_loss",
    "train/dfl_loss": "dfl_loss",
}
"""Column of ``results.csv`` and the name of its series here. The first four are of the split ``val``."""


def read_history(path: Path) -> dict[str, list[float | None]]:
    """Return ``{"epoch": [1, 2, …], series: values}``; empty without a readable file.

    When an epoch is listed twice (training was killed between the line and the checkpoint), the later line counts. A
    value that is not finite is None.
    """
    by_epoch = _rows(path)
    if not by_epoch:
        return {}
    epochs = sorted(by_epoch)
    history: dict[str, list[float | None]] = {"epoch": list(epochs)}
    for column, series in COLUMNS.items():
        values = [_number(by_epoch[epoch].get(column)) for epoch in epochs]
        if any(value is not None for value in values):
            history[series] = values
    return history


def read_times(path: Path) -> list[float]:
    """Return the durations of epochs in seconds, in order.

    ``results.csv`` has the seconds since the training was started or resumed. The first epoch after a resume, where
    they start again at 0, is left out.
    """
    times = [_number(row.get("time")) for row in _rows(path).values()]
    pairs = zip([0.0, *times], times, strict=False)
    return [after - before for before, after in pairs if before is not None and after is not None and after > before]


def _rows(path: Path) -> dict[int, dict[str, str]]:
    try:
        with Path(path).open(newline="") as stream:
            rows = [{str(k).strip(): v for k, v in row.items()} for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    by_epoch: dict[int, dict[str, str]] = {}
    for row in rows:
        epoch = _number(row.get("epoch"))
        if epoch is not None:
            by_epoch[int(epoch)] = row
    return by_epoch


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else math.nan
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
