"""What an exception of a training means in plain words: memory, a vanished file, or something else."""

from __future__ import annotations

import errno
import re

MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "insufficient memory",
    "out of shared memory",
    "cublas_status_alloc_failed",
    "unable to find an engine",
)
"""Texts of torch, OpenCV and CUDA, in lower case; the last one is cuDNN without room for any of its algorithms."""

WORKER_KILLED = ("killed by signal: killed", "killed by signal: bus error")
"""How torch tells of a data loader process that the kernel ended: SIGKILL without memory, SIGBUS without /dev/shm."""

_MISSING_IMAGE = re.compile(r"Image Not Found (?P<path>[^\n]+)")  # ultralytics.data.base


def out_of_memory(error: BaseException) -> str | None:
    """Return what ran out of memory, ``out of memory`` for the training process itself; None for another error."""
    text = str(error).lower()
    if any(words in text for words in WORKER_KILLED):
        return "a data loader process was killed, as the kernel does when memory runs out,"
    full = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if full or isinstance(error, MemoryError) or any(words in text for words in MEMORY):
        return "out of memory"
    return None


def missing_image(error: BaseException) -> str | None:
    """Return the image that could not be read any more; None for another error."""
    if isinstance(error, FileNotFoundError) and (found := _MISSING_IMAGE.search(str(error))):
        return found["path"]
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, or its class when it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
