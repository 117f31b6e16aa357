"""What a check of a dataset found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..printable import printable

FATAL, WARNING, INFO = "fatal", "warning", "info"
EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One kind of problem, however often it occurs.

    Attributes:
        severity: ``fatal`` (nothing may be trained), ``warning`` or ``info``.
        code: stable name for machines, ``image_unreadable``.
        message: what is wrong and what to do, for people; no paths.
        count: how often it occurs.
        examples: at most five places, paths relative to the dataset.
    """

    severity: str
    code: str
    message: str
    count: int = 1
    examples: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the finding as it stands in ``fingerprint.json``."""
        return {**asdict(self), "examples": list(self.examples[:EXAMPLES])}

    def __str__(self) -> str:
        shown = "; ".join(self.examples[:EXAMPLES])
        more = "; …" if self.count > len(self.examples[:EXAMPLES]) > 0 else ""
        return printable(f"{self.severity}: {self.message}{f' [{self.count}: {shown}{more}]' if shown else ''}")
