"""YOLO detection labels: one line per box, `class x_center y_center width height`, as fractions of the image."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field

from ..printable import is_number, printable, quoted

SHOWN = 80  # characters of a row that a message quotes
COLUMNS = 5
PIXELS = 1.01  # Ultralytics (verify_image_label) tolerates 1 % of rounding error and silently drops an image beyond it
ROUNDING = 1e-3

MAX_BYTES = 16 << 20
"""Size limit of a label file: boxes by the hundred thousand."""


@dataclass
class Labels:
    """The content of a label file.

    Attributes:
        instances: number of distinct boxes by class id.
        problems: by code, how often it occurs and where first (``line 3: …``).
    """

    instances: Counter[int] = field(default_factory=Counter)
    problems: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, code: str, where: str) -> None:
        count, first = self.problems.get(code, (0, where))
        self.problems[code] = (count + 1, first)


def parse_labels(content: bytes) -> Labels:
    """Parse a label file and collect its problems. Class ids are not checked against a dataset here."""
    labels = Labels()
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        labels.add("label_not_text", "not a text file in UTF-8")
        return labels
    seen: set[bytes] = set()
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if columns:
            _parse_row(columns, f"line {number}", labels, seen)
    if not labels.instances and not labels.problems:
        labels.add("label_empty", "no box")
    return labels


def _parse_row(columns: list[str], line: str, labels: Labels, seen: set[bytes]) -> None:
    if len(columns) != COLUMNS:
        code = "label_polygon" if len(columns) > COLUMNS else "label_columns"
        labels.add(code, f"{line}: {len(columns)} columns")
        return
    try:
        values = [float(column) for column in columns]
    except ValueError:
        word = next(column for column in columns if not is_number(column))
        labels.add("label_not_a_number", f"{line}: {quoted(word, 40)}")
        return
    if not all(map(math.isfinite, values)):
        labels.add("label_not_finite", f"{line}: {printable(' '.join(columns), SHOWN)}")
        return
    class_id, x, y, width, height = values
    if class_id != int(class_id):
        labels.add("label_class_fraction", f"{line}: {printable(columns[0], SHOWN)}")
        return
    largest, smallest = max(values[1:]), min(values[1:])
    if largest > PIXELS:
        labels.add("label_pixels", f"{line}: {largest:g}")
        return
    if smallest < 1 - PIXELS or min(width, height) < 0:
        labels.add("label_negative", f"{line}: {smallest:g}")
        return
    row = array("f", values).tobytes()  # the precision in which Ultralytics compares rows
    if row in seen:
        labels.add("label_duplicate", line)
        return
    seen.add(row)
    labels.instances[int(class_id)] += 1
    if width == 0 or height == 0:
        labels.add("label_zero_area", line)
    edges = (x - width / 2, y - height / 2, 1 - x - width / 2, 1 - y - height / 2)
    if min(edges) < -ROUNDING:
        labels.add("label_leaves_image", f"{line}: by {-min(edges):.3f}")
