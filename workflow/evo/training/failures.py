"""What an exception of a training means: memory, a missing file, or something else."""

from __future__ import annotations

import errno
import re

from ..text.facts import Fact, fact

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

GPU_LIBRARY = re.compile(
    r"\b(CUDNN_STATUS_INTERNAL_ERROR|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_NOT_INITIALIZED)\b", re.IGNORECASE
)
"""What cuDNN and cuBLAS report when they find no memory for a handle or a workspace. It may have another reason:
what is said about it quotes the status."""

DEFECT = ("device-side assert", "illegal memory access", "misaligned address", "launch failure")
"""Errors of a kernel, in lower case: after them every call of a GPU library fails, whatever memory there is."""

WORKER_KILLED = "killed by signal: killed"
WORKER_WITHOUT_SHARED_MEMORY = "killed by signal: bus error"
"""How torch tells of a data loader process that was ended: SIGKILL by whomever, SIGBUS by a full /dev/shm."""

_MISSING_IMAGE = re.compile(r"Image Not Found (?P<path>[^\n]+)")  # ultralytics.data.base


def out_of_memory(error: BaseException) -> Fact | None:
    """Return what ran out of memory; None for another error.

    A data loader process that was killed is another error: only the kernel's counter knows whether memory was the
    reason. See `loader_killed`.
    """
    text = str(error).lower()
    if WORKER_WITHOUT_SHARED_MEMORY in text:
        return fact("memory_of_loader_out")
    full = isinstance(error, OSError) and error.errno == errno.ENOMEM
    if full or isinstance(error, MemoryError) or any(words in text for words in MEMORY):
        return fact("memory_out")
    if (found := GPU_LIBRARY.search(text)) and not any(words in text for words in DEFECT):
        return fact("memory_of_gpu_library_out", status=found[1].upper())
    return None


def loader_killed(error: BaseException) -> bool:
    """Return whether a data loader process got a SIGKILL, from the kernel or from anybody else."""
    return WORKER_KILLED in str(error).lower()


def missing_image(error: BaseException) -> str | None:
    """Return the image that could not be read any more; None for another error."""
    if isinstance(error, FileNotFoundError) and (found := _MISSING_IMAGE.search(str(error))):
        return found["path"]
    return None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, or its class when it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
