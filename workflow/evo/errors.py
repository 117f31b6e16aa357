"""Errors written for the person at the keyboard, and the exit codes of every entry point."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable

from .printable import printable

COMPARED = 2000
"""Choices that a word is compared with: files of a folder may be a million."""

EXIT_FAILURE = 1
EXIT_USER_ERROR = 2
EXIT_PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: the checkpoint is kept, run the same command again


class EvoError(Exception):
    """A failure with a one-line explanation: what is wrong, where (file and key), and what to do next.

    Its text may quote names and values of others; it is printable and bounded.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, what: str, *, where: object = None, hint: str | None = None):
        self.what, self.where, self.hint = what, where, hint
        place, what, hint = printable(where or ""), printable(_one_line(what)), printable(_one_line(hint or ""))
        super().__init__(f"{place}: " * bool(place) + what + f" — {hint}" * bool(hint))


class DiskFull(EvoError):
    """Nothing more can be written; what had been written before is whole."""


class UserError(EvoError):
    """The input or the request is wrong, and the user can correct it. Exit code 2."""

    exit_code = EXIT_USER_ERROR


class Preempted(EvoError):
    """The run was asked to stop and kept its checkpoint. Exit code 75."""

    exit_code = EXIT_PREEMPTED


def nearest(word: object, choices: Iterable[object]) -> str | None:
    """Return the choice that looks most like ``word``, whatever its case, or None when nothing comes close."""
    by_text = {str(choice).lower(): str(choice) for choice in itertools.islice(choices, COMPARED)}
    found = difflib.get_close_matches(str(word).lower(), by_text, n=1, cutoff=0.5)
    return by_text[found[0]] if found else None


def did_you_mean(word: object, choices: Iterable[object]) -> str:
    """Return a hint: the nearest valid choice when there is one, otherwise the whole (short) list."""
    choices = list(choices)
    close = nearest(word, choices)
    if close is not None:
        return f"did you mean '{close}'?"
    shown = ", ".join(str(choice) for choice in choices[:12])
    return f"valid: {shown}{', …' if len(choices) > 12 else ''}" if choices else "there is none"


def _one_line(text: object) -> str:
    """Join the lines of a message, which a library may have broken."""
    return " ".join(str(text).split())
