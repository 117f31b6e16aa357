import contextlib
import os
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
from workflow.evo.training.gpu import lease
with lease(None, lambda _: None, lambda: sys.argv[1:]) as held:
    print(held, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Locks of this test only: TMPDIR reaches the children too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@contextlib.contextmanager
def holder(*ids):
    """A process that holds one of ``ids``; yields it and what it printed."""
    command = [sys.executable, "-c", HOLDER, *ids]
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
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o644]
