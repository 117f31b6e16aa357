import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workflow.evo.errors import UserError
from workflow.evo.training import gpu

ROOT = Path(__file__).resolve().parents[2]
IDS = ["GPU-aaaa", "GPU-bbbb"]
HOLDER = """
import os, sys
from pathlib import Path
from workflow.evo.training import gpu
gpu.LOCKS = Path(sys.argv[1])
with gpu.lease(None, lambda _: None, lambda: sys.argv[2:]) as held:
    print(held, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Locks of this test only."""
    monkeypatch.setattr(gpu, "LOCKS", tmp_path / "locks")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@contextlib.contextmanager
def holder(*ids, before=()):
    """A process that holds one of ``ids``; yields it and what it printed."""
    command = [*before, sys.executable, "-c", HOLDER, str(gpu.LOCKS), *ids]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process, process.stdout.readline().split()
        finally:
            process.kill()


def lease(device=None, say=lambda _: None, ids=IDS):
    return gpu.lease(device, say, lambda: list(ids))


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
        with pytest.raises(Waited), lease(say=told.append):
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
        with lease(say=told.append, ids=["GPU-aaaa"]) as uuid:
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


@pytest.mark.parametrize("assigned", ["3", "GPU-cccc", ""])
def test_what_a_scheduler_assigned_is_left_alone(monkeypatch, assigned):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", assigned)
    with gpu.lease(None, pytest.fail, pytest.fail) as uuid:
        assert uuid is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == assigned
    assert os.environ["CUDA_VISIBLE_DEVICES"] == assigned


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_cpu_needs_no_lease(device):
    with gpu.lease(device, pytest.fail, pytest.fail) as uuid:
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


def test_locks_can_be_opened_by_every_user_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        with lease():
            folder = gpu.lock_folder()
    finally:
        os.umask(before)
    assert folder == tmp_path / "locks"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o644]


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
        (os.mkfifo, "the lock of this GPU is no plain file"),
        (lambda path: path.mkdir(), "the lock of this GPU is no plain file"),
    ],
    ids=["link", "dangling link", "pipe", "folder"],
)
def test_what_somebody_planted_in_place_of_a_lock_is_refused_in_one_line(plant, said):
    path = gpu.lock_folder() / "GPU-aaaa.lock"
    plant(path)
    with pytest.raises(UserError) as refused, lease(ids=["GPU-aaaa"]):
        pass
    assert str(refused.value).startswith(f"{path}: {said}")
    assert "have its owner or root remove it" in str(refused.value)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize("plant", [lambda path: path.mkdir(mode=0o777), lambda path: path.touch()])
def test_a_folder_in_which_locks_can_be_replaced_is_refused(plant):
    before = os.umask(0)
    try:
        plant(gpu.LOCKS)
    finally:
        os.umask(before)
    with pytest.raises(UserError, match="everybody could replace them"), lease():
        pass


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
        [*prefix, sys.executable, "-c", "import workflow.evo.training.gpu"], cwd=ROOT, capture_output=True, check=False
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
    (gpu.LOCKS / "GPU-aaaa.lock").chmod(0o600)
    command = [*other_user, sys.executable, "-c", HOLDER, str(gpu.LOCKS), "GPU-aaaa"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode and not done.stdout
    assert "GPU-aaaa.lock: cannot open the lock of this GPU (Permission denied)" in done.stderr
