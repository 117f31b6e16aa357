"""One training per GPU: kernel locks per GPU, held by the process and released on any death."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UserError
from .devices import VARIABLE, Device, host_devices, visible_devices
from .process import try_lock

WAIT_SECONDS = 2.0
LOCKS = Path("/run/lock")
"""Where a lock lies as ``ethos-vision-optimizer-UUID.lock``: for all users of the host, and empty after a boot. Not
below TMPDIR, which users and jobs have for themselves, and not in /dev/shm, where logind deletes a user's files at
logout (RemoveIPC of logind.conf)."""
EARLIER = Path("/dev/shm/ethos-vision-optimizer-gpus")
"""Where version 0.1.0 has its locks, as ``UUID.lock``. Where the folder exists they are held too: a session of that
version may be running. It is not made: one of that version that starts later makes it, and shares a GPU that is leased
already."""
MEND = "have its owner or root remove it"


@contextlib.contextmanager
def lease(
    device: object,
    log: Callable[[str], None],
    check_stop: Callable[[], None] = lambda: None,
    host: Callable[[], list[Device]] = host_devices,
) -> Iterator[str | None]:
    """Hold one GPU for the block and make it the only visible one. Call it before torch is imported.

    What ``CUDA_VISIBLE_DEVICES`` leaves to this process (a scheduler or a person has set it) is what it chooses from.
    Whoever names a GPU, by number or by UUID, meets the others at the same locks. Of a card in MIG mode one instance is
    leased. A GPU has several locks, since no single one is seen by everybody, and all of them are held: a file in
    `LOCKS`, where that is a sticky folder that all users may write (Debian, Ubuntu; not RHEL, nor every container), and
    the device file itself, which users and jobs of a host share whatever their folders.

    Args:
        device: the configured ``train.device``: None (any GPU, or the CPU when there is none), ``cpu``, or an index
            among the visible GPUs, in the order of ``CUDA_VISIBLE_DEVICES``, otherwise of nvidia-smi.
        log: gets one line when all GPUs are taken and the caller waits.
        check_stop: called before every try; raises to give up.
        host: lists the host's GPUs.

    Yields:
        The UUID of the leased GPU; None on a CPU.

    Raises:
        UserError: the index or ``CUDA_VISIBLE_DEVICES`` names no GPU of this host, or there is no place for a lock.
    """
    if str(device) in {"cpu", "mps"}:
        yield None
        return
    before = os.environ.get(VARIABLE)
    found = host()
    if not found and before is not None:  # without NVML: the driver decides what the variable means
        yield None
        return
    found = _chosen(device, visible_devices(found))
    if not found:
        yield None
        return
    uuid, handles = _first_free(found, log, check_stop)
    os.environ[VARIABLE] = uuid
    try:
        yield uuid
    finally:
        for handle in handles:
            os.close(handle)
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _chosen(device: object, found: list[Device]) -> list[Device]:
    """Return the one that ``train.device`` names, all of ``found`` where it names none."""
    if device is None:
        return found
    index = str(device).removeprefix("cuda:")
    if not index.isdigit() or int(index) >= len(found):
        whose = f"that {VARIABLE} leaves visible" if VARIABLE in os.environ else "on this host"
        raise UserError(
            f"there is no GPU {device!r} {whose} ({len(found)} found)",
            where="train.device",
            hint="leave 'device' out to use any free GPU, or set it to 'cpu'",
        )
    return [found[int(index)]]


def _first_free(
    devices: list[Device], log: Callable[[str], None], check_stop: Callable[[], None]
) -> tuple[str, list[int]]:
    told = False
    while True:
        for device in devices:
            check_stop()
            if (handles := _take(device)) is not None:
                return device.uuid, handles
        if not told:
            whose = "this run may use" if VARIABLE in os.environ else "of this host"
            all_of_them = f"all {len(devices)} GPUs {whose} are" if len(devices) > 1 else f"the only GPU {whose} is"
            log(f"waiting: {all_of_them} in use by other trainings")
            told = True
        time.sleep(WAIT_SECONDS)


def _take(device: Device) -> list[int] | None:
    """Return the open files that hold all locks of a device; None when another process holds one of them.

    Nobody waits for a lock while holding another, so that two that try at once cannot block each other.
    """
    handles: list[int] = []
    try:
        for path in _lock_files(device):
            if (handle := _lock(path)) is None:
                return None
            handles.append(handle)
        if device.node is not None and (handle := _open_node(device.node)) is not None:
            handles.append(handle)
            if not try_lock(handle, device.node):
                return None
        if not handles:
            raise UserError(
                f"there is no place for the lock of GPU {device.uuid}: {LOCKS} is not a sticky folder that everybody "
                f"may write, and {device.node or 'its device file'} cannot be opened",
                hint=f"have root make the folder: `install -d -m 1777 {LOCKS}`",
            )
        held, handles = handles, []
        return held
    finally:
        for handle in handles:
            os.close(handle)


def _lock_files(device: Device) -> list[Path]:
    files = [LOCKS / f"ethos-vision-optimizer-{device.uuid}.lock"] if for_everybody(LOCKS) else []
    if device.uuid == device.card and for_everybody(EARLIER):
        files.append(EARLIER / f"{device.card}.lock")
    return files


def _open_node(node: Path) -> int | None:
    """Open the device file of a GPU; None where this user or container has none, or a file lies in its place."""
    try:
        handle = os.open(node, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISCHR(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


def for_everybody(folder: Path) -> bool:
    """Return whether all users may make files in a folder, and none but root and its owner remove another's.

    Without the sticky bit whoever may write it could replace a lock that is held, its owner's group included.
    """
    try:
        mode = folder.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX) and bool(mode & stat.S_IWOTH) and os.access(folder, os.W_OK)


def _lock(path: Path) -> int | None:
    """Return the open file that holds the lock on ``path``; None when another process holds it."""
    while True:
        handle = _open(path)
        try:
            if not try_lock(handle, path):
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.lstat()):
                    held, handle = handle, -1
                    return held
        finally:
            if handle >= 0:
                os.close(handle)
        # somebody removed or replaced it in between: a lock on what was there keeps nobody out


def _open(path: Path) -> int:
    """Open a lock file that may belong to another user: the kernel refuses O_CREAT on it in a sticky folder.

    Raises:
        UserError: it cannot be opened, or is not a regular file: who held what it leads to would be anybody's guess.
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
        raise UserError("the lock of this GPU is not a regular file", where=path, hint=MEND)
    return handle
