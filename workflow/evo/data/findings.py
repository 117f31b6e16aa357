"""What a check of a dataset found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..printable import printable
from ..text.facts import Fact, of_document, sentence
from ..text.sentences import dataset as sentences

FATAL, WARNING, INFO = "fatal", "warning", "info"
EXAMPLES = 5

SEVERITIES = {
    **dict.fromkeys(sentences.FATAL, FATAL),
    **dict.fromkeys(sentences.WARNING, WARNING),
    **dict.fromkeys(sentences.INFO, INFO),
}
"""Severity of each code, fatal ones first."""


@dataclass(frozen=True)
class Finding:
    """One kind of problem, however often it occurs.

    Attributes:
        what: the fact, one of `SEVERITIES`.
        count: how often it occurs.
        examples: at most five places, paths relative to the dataset.
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
        places = f" [{self.count}: {shown}{more}]" if shown else ""
        return printable(f"{self.severity}: {sentence(self.what)}{places}")
