"""Progress for the person at the terminal on stderr; what libraries print goes to stdout, which a rule logs."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from ..printable import printable


class Console:
    """One line at a time on stderr, marked with the time and ``prefix``; everything else of the process on stdout."""

    def __init__(self, prefix: str):
        self.prefix = prefix
        self._terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w", buffering=1)
        sys.stderr.flush()
        os.dup2(sys.stdout.fileno(), sys.stderr.fileno())

    def give_back(self) -> None:
        """Undo the redirection, for a successor that is started in this process."""
        sys.stdout.flush()
        os.dup2(self._terminal.fileno(), sys.stderr.fileno())

    def log(self, text: str) -> None:
        """Print one line for the person, or for the log when the terminal has gone: that is no reason to stop."""
        line = f"{time.strftime('%H:%M:%S')} {self.prefix}: {printable(text)}"
        try:
            print(line, file=self._terminal, flush=True)
        except OSError:  # EPIPE of a pipe, EIO of a terminal
            with contextlib.suppress(OSError):
                print(line, flush=True)


def duration(seconds: float) -> str:
    """Return a duration for people: ``0:35``, ``12:05`` or ``7:02:10``."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
