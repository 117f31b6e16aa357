"""Sentences on a network."""

from __future__ import annotations

from .sentence import says

SENTENCES = {
    "other_class_count": says("nc %(file)s in the file, %(dataset)s in the dataset: training uses %(dataset)s"),
    "scope_of_activation": says(
        "plain Ultralytics would use %(activation)s in every part of this file: this workflow returns %(parts)s to "
        "SiLU",
        parts="listed",
    ),
}
"""Notes in ``check/model.json``."""
