"""Findings of a check of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..printable import printable
from ..text.facts import Fact, of_document, sentence

FATAL, WARNING, INFO = "fatal", "warning", "info"
EXAMPLES = 5

SEVERITIES = {
    **dict.fromkeys(
        (
            "image_unreadable",
            "image_too_small",
            "image_shared",
            "label_unreadable",
            "label_not_text",
            "label_columns",
            "label_polygon",
            "label_not_a_number",
            "label_not_finite",
            "label_class_fraction",
            "label_class_range",
            "label_pixels",
            "label_negative",
            "split_empty",
            "split_without_box",
        ),
        FATAL,
    ),
    **dict.fromkeys(
        (
            "label_zero_area",
            "label_leaves_image",
            "label_duplicate",
            "label_missing",
            "label_orphan",
            "image_twice",
            "image_listed_twice",
            "class_untrained",
            "class_absent_in_val",
            "class_name_twice",
        ),
        WARNING,
    ),
    **dict.fromkeys(
        (
            "label_empty",
            "download_ignored",
        ),
        INFO,
    ),
}
"""Severity of each code of a finding, in the order in which a check lists them."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem, however often it occurs.

    Attributes:
        what: the fact, one of `SEVERITIES`.
        count: how often it occurs.
        examples: at most five, with paths relative to the dataset.
    """

    what: Fact
    count: int = 1
    examples: tuple[str, ...] = ()

    @property
    def severity(self) -> str:
        """``fatal`` (nothing may be trained), ``warning`` or ``info``."""
        return SEVERITIES[self.what.code]

    def document(self) -> dict[str, Any]:
        """Return the finding for ``fingerprint.json``."""
        examples = list(self.examples[:EXAMPLES])
        return {"severity": self.severity, **self.what.document(), "count": self.count, "examples": examples}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Finding:
        return cls(of_document(document), document["count"], tuple(document["examples"]))

    def __str__(self) -> str:
        shown = "; ".join(self.examples[:EXAMPLES])
        more = "; …" if self.count > len(self.examples[:EXAMPLES]) > 0 else ""
        occurrences = f" [{self.count}: {shown}{more}]" if shown else ""
        return printable(f"{self.severity}: {sentence(self.what)}{occurrences}")
