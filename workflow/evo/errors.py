"""Errors written for the person at the keyboard, and the exit codes of every entry point."""

from __future__ import annotations

import atexit
import ctypes
import difflib
import itertools
import os
import select
import sys
import threading
from collections.abc import Callable, Iterable
from typing import NoReturn

from . import attempts
from .printable import printable

COMPARED = 2000
"""Choices that a word is compared with: files of a folder may be a million."""

EXIT_FAILURE = 1
EXIT_USER_ERROR = 2
EXIT_UNWRITTEN = 120  # of Python, when the end of the output could not be written
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
    """The input or the request is wrong, and the user can mend it. Exit code 2."""

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


def entry_point(main: Callable[[], int | None]) -> None:
    """Run ``main`` as a command, and end the process: an `EvoError` becomes one line on stderr and its exit code.

    The log of a rule that calls it is kept among those of its attempts, unless this one succeeds.
    """
    log = attempts.keep()
    try:
        code = main()
    except EvoError as error:
        rescue_stderr()
        print(f"error: {error}", file=sys.stderr, flush=True)  # several lines where an error lists its findings
        code = error.exit_code
    except BaseException:
        rescue_stderr()
        raise
    if log is not None and not code:
        log.unlink(missing_ok=True)
    leave(code or 0)


def leave(code: int) -> NoReturn:
    """End this process with ``code`` after all that Python promises, and without taking every module apart.

    That takes torch and the converters one to two seconds of CPU, for memory which the kernel takes back at once.
    Threads are waited for, and what is registered with `atexit` runs (temporary folders, data loaders, trackers, logs,
    coverage), in Python's own order. Locks of files are the kernel's. An exception never comes here.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more, or it is closed: as Python itself
            code = code or EXIT_UNWRITTEN
    ctypes.CDLL(None).fflush(None)  # what libraries in C have printed
    os._exit(code)


def rescue_stderr() -> None:
    """Let stderr go where stdout does, to the log of a rule, when nobody reads it any more."""
    stdout, stderr = 1, 2
    watched = select.poll()
    watched.register(stderr, 0)  # errors are always reported
    if any(event & (select.POLLERR | select.POLLNVAL) for _, event in watched.poll(0)):
        os.dup2(stdout, stderr)
