import contextlib
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workflow.evo.errors import Preempted, UserError
from workflow.evo.host import gpu
from workflow.evo.host.devices import Device

ROOT = Path(__file__).resolve().parents[2]
IDS = ["GPU-aaaa", "GPU-bbbb"]
NAME = "ethos-vision-optimizer-{}.lock"
HOLDER = """
import os, sys
from pathlib import Path
from workflow.evo.host import devices, gpu
gpu.LOCKS, gpu.EARLIER, node = map(Path, sys.argv[1:4])
cards = [devices.Device(uuid, uuid, "Test", node if node.name else None) for uuid in sys.argv[4:]]
with gpu.lease(None, lambda _: None, host=lambda: cards) as held:
    print(held, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Locks of this test only."""
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(gpu, "LOCKS", folder)
    monkeypatch.setattr(gpu, "EARLIER", tmp_path / "none")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@contextlib.contextmanager
def holder(*ids, before=(), locks=None, earlier="none", node="", **environment):
    """A process that holds one of ``ids``; yields it and what it printed."""
    command = [*before, sys.executable, "-c", HOLDER, str(locks or gpu.LOCKS), str(earlier), str(node), *ids]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **options, env={**os.environ, **environment}) as process:
        try:
            yield process, process.stdout.readline().split()
        finally:
            process.kill()


def cards(*ids, node=None):
    return [Device(uuid, uuid, "Test", node) for uuid in ids]


def lease(device=None, log=lambda _: None, ids=IDS, node=None):
    return gpu.lease(device, log, host=lambda: cards(*ids, node=node))


class Waited(Exception):
    pass


@pytest.fixture
def refuse_to_wait(monkeypatch):
    def waited(_seconds):
        raise Waited

    monkeypatch.setattr(gpu.time, "sleep", waited)


def test_two_processes_never_share_a_gpu_and_a_third_waits(refuse_to_wait):
    told = []
    with holder(*IDS) as (_, first), holder(*IDS) as (_, second):
        assert {first[0], second[0]} == set(IDS)
        assert first[0] == first[1] and second[0] == second[1]
        with pytest.raises(Waited), lease(log=told.append):
            pass
    assert told == ["waiting: all 2 GPUs of this host are in use by other trainings"]


def test_a_gpu_is_free_right_after_its_holder_was_killed(refuse_to_wait):
    with holder("GPU-aaaa") as (process, held):
        assert held[0] == "GPU-aaaa"
        with pytest.raises(Waited), lease(ids=["GPU-aaaa"]):
            pass
        process.kill()
        process.wait()
        with lease(ids=["GPU-aaaa"]) as uuid:
            assert uuid == "GPU-aaaa"


def test_the_waiting_one_is_told_once_and_gets_the_gpu_that_is_let_go(monkeypatch):
    told, waits = [], []
    with holder("GPU-aaaa") as (process, _):

        def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                process.kill()
                process.wait()

        monkeypatch.setattr(gpu.time, "sleep", sleep)
        with lease(log=told.append, ids=["GPU-aaaa"]) as uuid:
            assert uuid == "GPU-aaaa"
    assert len(waits) == 3 and len(told) == 1


def test_the_leased_gpu_is_the_only_visible_one_for_the_block():
    with lease() as uuid:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == uuid == "GPU-aaaa"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_the_gpu_is_let_go_after_an_error(refuse_to_wait):
    with pytest.raises(RuntimeError), lease(ids=["GPU-aaaa"]):
        raise RuntimeError
    with lease(ids=["GPU-aaaa"]) as uuid:
        assert uuid == "GPU-aaaa"


@pytest.mark.parametrize(
    ("assigned", "ours", "other"),
    [("0,1", "GPU-aaaa", "GPU-bbbb"), ("GPU-bbbb,GPU-aaaa", "GPU-bbbb", "GPU-aaaa"), ("1", "GPU-bbbb", None)],
)
def test_of_what_a_scheduler_assigned_one_is_leased(monkeypatch, refuse_to_wait, assigned, ours, other):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", assigned)
    with lease() as uuid:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == uuid == ours
        if other:
            with holder(*IDS, CUDA_VISIBLE_DEVICES=assigned) as (_, held):
                assert held == [other, other]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == assigned, "as it was before"


def test_an_index_and_a_uuid_of_the_same_gpu_meet_at_one_lock(monkeypatch, refuse_to_wait):
    told = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    with (
        holder(*IDS, CUDA_VISIBLE_DEVICES="1", CUDA_DEVICE_ORDER="PCI_BUS_ID"),
        pytest.raises(Waited),
        lease(log=told.append),
    ):
        pass
    assert told == ["waiting: the only GPU this run may use is in use by other trainings"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"


def test_the_device_is_counted_among_the_visible_ones(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bbbb,GPU-aaaa")
    with lease(0) as uuid:
        assert uuid == "GPU-bbbb"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bbbb")
    with pytest.raises(UserError) as refused, lease(1):
        pass
    assert str(refused.value).startswith(
        "train.device: there is no GPU 1 that CUDA_VISIBLE_DEVICES leaves visible (1 found)"
    )


@pytest.mark.parametrize("assigned", ["", "-1", "NoDevFiles"])
def test_where_no_gpu_is_visible_the_cpu_trains(monkeypatch, assigned):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", assigned)
    with lease() as uuid:
        assert uuid is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == assigned


def test_without_nvml_the_driver_decides_what_the_variable_means(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with lease(0, pytest.fail, ids=[]) as uuid:
        assert uuid is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_who_waits_gives_up_when_asked_to_stop(monkeypatch):
    polls = []

    def check_stop():
        if len(polls) == 2:
            raise Preempted("stopped")

    monkeypatch.setattr(gpu.time, "sleep", polls.append)
    with holder("GPU-aaaa"), pytest.raises(Preempted), gpu.lease(None, print, check_stop, lambda: cards("GPU-aaaa")):
        pass
    assert len(polls) == 2 and "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_cpu_needs_no_lease(device):
    with gpu.lease(device, pytest.fail, host=pytest.fail) as uuid:
        assert uuid is None
        assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_host_without_a_gpu_trains_on_the_cpu():
    with lease(ids=[]) as uuid:
        assert uuid is None


@pytest.mark.parametrize("device", [1, "1", "cuda:1"])
def test_an_index_leases_that_gpu(device):
    with lease(device) as uuid:
        assert uuid == "GPU-bbbb"


def test_an_index_waits_for_its_gpu_though_another_is_free(refuse_to_wait):
    with holder("GPU-bbbb"), pytest.raises(Waited), lease(1):
        pass


@pytest.mark.parametrize("device", [2, "2", "cuda:7", -1, "tpu"])
def test_an_index_beyond_the_gpus_is_refused(device):
    with pytest.raises(UserError) as refused, lease(device):
        pass
    assert str(refused.value) == (
        f"train.device: there is no GPU {device!r} on this host (2 found)"
        " — leave 'device' out to use any free GPU, or set it to 'cpu'"
    )


def test_locks_can_be_opened_by_every_user_whatever_the_umask():
    before = os.umask(0o077)
    try:
        with lease():
            pass
    finally:
        os.umask(before)
    (lock,) = gpu.LOCKS.iterdir()
    assert lock.name == NAME.format("GPU-aaaa")
    assert lock.stat().st_mode & 0o777 == 0o644


def test_a_tmpdir_of_ones_own_does_not_hide_the_locks_of_others(monkeypatch, tmp_path, refuse_to_wait):
    with holder("GPU-aaaa"):
        monkeypatch.setenv("TMPDIR", str(tmp_path / "mine"))
        with pytest.raises(Waited), lease(ids=["GPU-aaaa"]):
            pass


def planted_link(path):
    (path.parent.parent / "elsewhere").touch()
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (planted_link, "cannot open the lock of this GPU (Too many levels of symbolic links)"),
        (lambda path: path.symlink_to("nowhere"), "cannot open the lock of this GPU (Too many levels"),
        (os.mkfifo, "the lock of this GPU is not a regular file"),
        (lambda path: path.mkdir(), "the lock of this GPU is not a regular file"),
    ],
    ids=["link", "dangling link", "pipe", "folder"],
)
def test_what_somebody_planted_in_place_of_a_lock_is_refused_in_one_line(plant, said):
    path = gpu.LOCKS / NAME.format("GPU-aaaa")
    plant(path)
    with pytest.raises(UserError) as refused, lease(ids=["GPU-aaaa"]):
        pass
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "have its owner or root remove it" in str(refused.value)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_lock_that_was_replaced_while_it_was_taken_is_taken_anew(monkeypatch):
    path, real, replaced = gpu.LOCKS / NAME.format("GPU-aaaa"), gpu.try_lock, []

    def try_lock(handle, name):
        if not replaced:
            replaced.append(path.stat().st_ino)
            path.rename(path.with_suffix(".kept"))  # its inode is not used again
            path.touch()
        return real(handle, name)

    monkeypatch.setattr(gpu, "try_lock", try_lock)
    with lease(ids=["GPU-aaaa"]), path.open() as now:
        assert path.stat().st_ino not in replaced
        assert not real(now.fileno(), path), "the lock that others find is the one that is held"


def no_folder(path):
    path.rmdir()


def a_file(path):
    path.rmdir()
    path.touch()


def a_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


UNSOUND = [
    no_folder,
    a_file,
    a_link,
    *(lambda path, mode=mode: path.chmod(mode) for mode in (0o777, 0o775, 0o755, 0o1755)),
]


@pytest.mark.parametrize("make", UNSOUND)
def test_where_others_could_replace_a_lock_there_is_none(make):
    make(gpu.LOCKS)
    with pytest.raises(UserError) as refused, lease(ids=["GPU-aaaa"]):
        pass
    assert str(refused.value) == (
        f"there is no place for the lock of GPU GPU-aaaa: {gpu.LOCKS} is not a sticky folder that everybody may write, "
        f"and its device file cannot be opened — have root make the folder: `install -d -m 1777 {gpu.LOCKS}`"
    )


NODE = Path("/dev/zero")
"""A device file that every host has, in the place of a GPU's."""


@pytest.mark.parametrize("seen", ["neither sees the folder", "only one sees the folder"])
def test_the_device_file_is_a_lock_too(tmp_path, refuse_to_wait, seen):
    nowhere = tmp_path / "nowhere"
    if seen.startswith("neither"):
        gpu.LOCKS.rmdir()
    with holder("GPU-aaaa", locks=nowhere, node=NODE) as (_, held):
        assert held[0] == "GPU-aaaa"
        with pytest.raises(Waited), lease(ids=["GPU-aaaa"], node=NODE):
            pass
    with lease(ids=["GPU-aaaa"], node=NODE) as uuid:
        assert uuid == "GPU-aaaa"


@pytest.mark.parametrize("node", ["/dev/nvidia-none", __file__])
def test_without_a_device_file_the_folder_alone_keeps_others_out(refuse_to_wait, node):
    with holder("GPU-aaaa", node=node), pytest.raises(Waited), lease(ids=["GPU-aaaa"], node=Path(node)):
        pass


def test_the_locks_of_version_0_1_0_are_heeded_where_they_are(tmp_path, monkeypatch, refuse_to_wait):
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    earlier.chmod(0o1777)
    monkeypatch.setattr(gpu, "EARLIER", earlier)
    with (earlier / "GPU-aaaa.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with lease() as uuid:
            assert uuid == "GPU-bbbb"
    with (
        holder("GPU-aaaa", earlier=earlier),
        (earlier / "GPU-aaaa.lock").open() as lock,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    earlier.chmod(0o777)
    with lease() as uuid:
        assert uuid == "GPU-aaaa", "a folder in which that version takes no lock means nothing"


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
NOBODY = 65534


@pytest.fixture
def other_user(tmp_path):
    """The start of a command line that runs as a user who owns nothing here."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith(f"{tempfile.gettempdir()}/"):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    tried = subprocess.run(
        [*prefix, sys.executable, "-c", "import workflow.evo.host.gpu"], cwd=ROOT, capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("another user cannot read this checkout or its interpreter")
    return prefix


@ROOT_ONLY
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_two_users_never_share_a_gpu_whoever_made_the_lock(other_user, refuse_to_wait, umask):
    before = os.umask(umask)
    try:
        with holder("GPU-aaaa"), holder(*IDS, before=other_user) as (_, held):
            assert held[0] == "GPU-bbbb"  # root has made the first lock, the other user makes this one
            with pytest.raises(Waited), lease():
                pass
    finally:
        os.umask(before)
    with holder("GPU-bbbb") as (_, first), holder(*IDS, before=other_user) as (_, second):
        assert (first[0], second[0]) == ("GPU-bbbb", "GPU-aaaa"), "each opens the lock that the other has made"


@ROOT_ONLY
def test_a_lock_that_another_user_may_not_open_is_refused_in_one_line(other_user):
    with lease(ids=["GPU-aaaa"]):
        pass
    (gpu.LOCKS / NAME.format("GPU-aaaa")).chmod(0o600)
    command = [*other_user, sys.executable, "-c", HOLDER, str(gpu.LOCKS), "none", "", "GPU-aaaa"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode and not done.stdout
    assert "GPU-aaaa.lock: cannot open the lock of this GPU (Permission denied)" in done.stderr
