"""How a script starts and ends: one line and an exit code for an error, and a log for each attempt."""

from __future__ import annotations

import atexit
import ctypes
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from ..errors import EvoError
from . import attempts

EXIT_UNWRITTEN = 120  # of Python, when the end of the output could not be written


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
    threading._shutdown()  # type: ignore[attr-defined]  # what Python itself calls at its end
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
