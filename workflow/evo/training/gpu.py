"""One training per GPU: a kernel lock per GPU, held by the process and released on any death."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..environment import gpus
from ..errors import UserError

WAIT_SECONDS = 2.0
LOCKS = Path("/dev/shm/ethos-vision-optimizer-gpus")
"""One for the host, empty after a boot. Not below TMPDIR: users and jobs with one of their own would not see each
other's locks."""
MEND = "have its owner or root remove it, or set CUDA_VISIBLE_DEVICES to the GPU to use"


def lock_folder() -> Path:
    """Return the host-wide folder of the GPU locks, shared by all users; made when absent.

    Raises:
        UserError: something else is in its place, or a folder in which others may replace a lock.
    """
    with contextlib.suppress(FileExistsError):
        LOCKS.mkdir()
        LOCKS.chmod(0o1777)
    found = LOCKS.lstat()
    if not stat.S_ISDIR(found.st_mode) or (found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX):
        raise UserError(
            "this is no folder for the locks of the GPUs: everybody could replace them", where=LOCKS, hint=MEND
        )
    return LOCKS


def gpu_ids() -> list[str]:
    """Return the UUIDs of this host's NVIDIA GPUs in their order; empty without a driver."""
    return [gpu["uuid"] for gpu in gpus()]


@contextlib.contextmanager
def lease(device: object, say: Callable[[str], None], ids: Callable[[], list[str]] = gpu_ids) -> Iterator[str | None]:
    """Hold one GPU for the block and make it the only visible one. Call it before torch is imported.

    Args:
        device: the configured ``train.device``: None (any GPU, or the CPU when there is none), an index, or ``cpu``.
        say: gets one line when all GPUs are taken and the caller waits.
        ids: lists the host's GPUs.

    Yields:
        The UUID of the leased GPU; None on a CPU, or when a scheduler has already assigned ``CUDA_VISIBLE_DEVICES``.

    Raises:
        UserError: the index names no GPU of this host.
    """
    if str(device) in {"cpu", "mps"} or "CUDA_VISIBLE_DEVICES" in os.environ:
        yield None
        return
    found = ids()
    index = str(device).removeprefix("cuda:") if device is not None else None
    if index is not None:
        if not index.isdigit() or int(index) >= len(found):
            raise UserError(
                f"there is no GPU {device!r} on this host ({len(found)} found)",
                where="train.device",
                hint="leave 'device' out to use any free GPU, or set it to 'cpu'",
            )
        found = [found[int(index)]]
    if not found:
        yield None
        return
    uuid, handle = _first_free(found, say)
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
    try:
        yield uuid
    finally:
        os.close(handle)
        del os.environ["CUDA_VISIBLE_DEVICES"]


def _first_free(uuids: list[str], say: Callable[[str], None]) -> tuple[str, int]:
    told = False
    while True:
        for uuid in uuids:
            handle = _open_lock(lock_folder() / f"{uuid}.lock")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return uuid, handle
            except BlockingIOError:
                os.close(handle)
        if not told:
            say(f"waiting: all {len(uuids)} GPUs of this host are in use by other trainings")
            told = True
        time.sleep(WAIT_SECONDS)


def _open_lock(path: Path) -> int:
    """Open a lock file that may belong to another user: the kernel refuses O_CREAT on it in a sticky folder.

    Raises:
        UserError: it cannot be opened, or is no plain file: who held what it leads to would be anybody's guess.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            handle = os.open(path, flags)
        except FileNotFoundError:
            try:
                handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
                os.fchmod(handle, 0o644)  # whatever the umask: other users have to open it
            except FileExistsError:  # another training was faster
                handle = os.open(path, flags)
    except OSError as error:
        raise UserError(f"cannot open the lock of this GPU ({error.strerror})", where=path, hint=MEND) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError("the lock of this GPU is no plain file", where=path, hint=MEND)
    return handle
