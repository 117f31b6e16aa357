"""All problems of one model file, reported together: one line per problem."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import EvoError, UserError
from ..printable import printable

MAX_SHOWN = 40
"""Problems listed before the rest is only counted."""


def display(path: Path) -> str:
    """Return ``path`` as a message names it: relative below the working directory, absolute elsewhere."""
    absolute = Path(path).absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


class Problems:
    """Collects the problems of one file with their lines."""

    def __init__(self, path: Path):
        self.path = path
        self.found: list[tuple[int, str]] = []

    def add(self, line: int, message: str) -> None:
        """Note a problem; ``line`` counts from 1, 0 means the whole file."""
        # A quoted value may have escape sequences of terminals, or change the direction of text.
        self.found.append((line, printable(" ".join(message.split()))))

    def __bool__(self) -> bool:
        return bool(self.found)

    def lines(self) -> list[str]:
        """Return ``file:line: message`` in the order of the file, each once."""
        name = display(self.path)
        ordered = dict.fromkeys(sorted(self.found, key=lambda found: found[0]))
        return [f"{name}:{line}: {message}" if line else f"{name}: {message}" for line, message in ordered]

    def raise_if_any(self) -> None:
        """Raise `ModelError` when something was noted."""
        if self.found:
            raise ModelError(self.lines())


class _Many:
    """The text of an error that lists several findings, one line each."""

    findings: tuple[str, ...]

    def __str__(self) -> str:
        rest = len(self.findings) - MAX_SHOWN
        return "\n".join([*self.findings[:MAX_SHOWN], *([f"… and {rest} more"] if rest > 0 else [])])


class ModelError(_Many, UserError):
    """A model file is refused; ``findings`` has one ``file:line: message`` per problem."""

    def __init__(self, findings: Iterable[str]):
        self.findings = tuple(map(printable, findings))
        super().__init__("; ".join(self.findings))


class ActivationError(_Many, EvoError):
    """A network does not have the activations of its definition; one line per finding."""

    def __init__(self, findings: Iterable[str]):
        self.findings = tuple(map(printable, findings))
        super().__init__("; ".join(self.findings))
