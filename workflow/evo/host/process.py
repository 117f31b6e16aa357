"""A training as a well-behaved process: it dies with its parent, stops when asked, and never runs twice."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import EvoError, Preempted, UserError
from ..files import explain_os_errors

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""What flock(2) answers where a file system has no locks: NFS without lockd, Lustre mounted without ``-o flock``."""


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent process ends, so that no orphan goes on training (Linux only).

    Snakemake is the parent, because the rule's shell line is one `exec`: bash becomes this process.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended in between
        os.kill(os.getpid(), signal.SIGTERM)


def forks_end_with_this_process() -> None:
    """Have the kernel kill what this process forks from now on when it ends itself (Linux only).

    A data loader process that was killed may have held a lock which the other ones wait for, for ever: they do not
    notice then that the training is over, and their copy of its lock's descriptor keeps the next one out.
    """
    if sys.platform != "linux":
        return
    library, parent = ctypes.CDLL(None, use_errno=True), 0

    def note_parent() -> None:
        nonlocal parent
        parent = os.getpid()

    def end_with_parent() -> None:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended in between
            os.kill(os.getpid(), signal.SIGKILL)

    os.register_at_fork(before=note_parent, after_in_child=end_with_parent)


class StopRequest:
    """Remembers SIGTERM, SIGINT and SIGUSR1, for the training loop to act on between two batches.

    A second SIGINT acts at once. A SIGINT that is ignored already stays so: a script's shell put this run into the
    background, Snakemake goes on, and the Ctrl-C is meant for others. Data loader workers inherit the handlers by fork;
    there the signal does what it does by default.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._pid = os.getpid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            if number != signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        if os.getpid() != self._pid or (self.signal == signal.SIGINT and number == signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal = signal.Signals(number)

    def check(self) -> None:
        """End what has not begun to train yet; to be called while it waits.

        Raises:
            Preempted: a stop was requested.
        """
        if self.signal is not None:
            raise Preempted(
                f"stopped by {self.signal.name} before the training began; what was finished earlier is kept",
                hint="run the same command again to continue",
            )


@contextlib.contextmanager
def exclusive_lock(
    path: Path,
    what: str,
    log: Callable[[str], None],
    wait_seconds: float = 60.0,
    error: type[EvoError] = EvoError,
    check_stop: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Hold a kernel lock on ``path`` for the block. It cannot go stale: the kernel drops it with the process.

    Args:
        path: the lock file; made when absent.
        what: names the thing that is owned, for messages.
        log: gets one line when another process still holds the lock.
        wait_seconds: how long to wait for that process, which may be an orphan about to stop.
        error: what to raise then.
        check_stop: called before every try; raises to give up.

    Raises:
        EvoError: the lock is still held after that time.
        UserError: ``path`` cannot be a lock: it is something else, or its file system has no locks.
    """
    handle = _open_lock(path)
    try:
        deadline = time.monotonic() + wait_seconds
        told = False
        while True:
            check_stop()
            if try_lock(handle, path):
                break
            holder = os.pread(handle, 64, 0).decode(errors="replace").strip() or "unknown"
            if time.monotonic() >= deadline:
                raise error(
                    f"{what} is in use by process {holder}",
                    where=path,
                    hint="wait for it to end, or end it, then run the same command again",
                )
            if not told:
                log(f"waiting for process {holder} to let go of {what}")
                told = True
            time.sleep(0.2)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def try_lock(handle: int, path: Path) -> bool:
    """Take the kernel's lock on an open file, if nobody else holds it. It belongs to ``handle`` until that is closed.

    Args:
        handle: the open file.
        path: its name, for the message.

    Raises:
        UserError: the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise UserError(
            f"the file system of this file has no locks (flock: {error.strerror})",
            where=path,
            hint="work in a folder of another one with `snakemake -s …/Snakefile -d FOLDER`, or have this one mounted "
            "with locks (Lustre: -o flock; NFS: lockd)",
        ) from error
    return True


def _open_lock(path: Path) -> int:
    """Open a lock file of the session. A link is not followed: what it leads to would be overwritten."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with explain_os_errors(path, "taking a lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, flags, 0o666)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENXIO}:
                raise
            raise _not_a_lock(path) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _not_a_lock(path)
    return handle


def _not_a_lock(path: Path) -> UserError:
    return UserError("a lock has to be a regular file, and this is not one", where=path, hint="move it away")


def lock_holder(path: Path) -> int | None:
    """Return the process of this host that holds the `exclusive_lock` on ``path``; None without one, or off Linux.

    It looks into the kernel's list. Trying the lock would do, but then a program that starts at that moment is refused.
    """
    try:
        inode, noted = str(path.stat().st_ino), path.read_text().strip()
        locks = Path("/proc/locks").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    for line in locks.splitlines():  # 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234567 0 EOF
        _, kind, _, access, pid, place, *_ = [*line.split(), *[""] * 6]
        if (kind, access, pid) == ("FLOCK", "WRITE", noted) and place.rpartition(":")[2] == inode:
            return int(pid)
    return None
