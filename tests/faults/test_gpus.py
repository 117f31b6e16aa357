"""Trainings that share GPUs: killed at random, none has the GPU of another; one that waits can be stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import ROOT, environment
from tools.gpus import DEVICES, run
from workflow.evo.host import gpu
from workflow.evo.host.devices import Device
from workflow.evo.host.process import exclusive_lock

CARDS = [Device("GPU-aaaa", "GPU-aaaa", "Test")]
TRAIN = """
import functools, sys
from pathlib import Path
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host import devices, gpu
from workflow.evo.training import run
from workflow.scripts import train
gpu.LOCKS, gpu.EARLIER, gpu.WAIT_SECONDS = Path(sys.argv.pop(1)), Path("none"), 0.05
cards = [devices.Device("GPU-aaaa", "GPU-aaaa", "Test")]
run.lease = functools.partial(gpu.lease, host=lambda: cards)
entry_point(train.main)
"""
"""The script `train` on a host with one GPU."""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
VARIANT = "level4_relu"


def test_no_gpu_has_two_live_holders_whatever_is_killed(tmp_path):
    outcome = run(tmp_path, seed=7, kills=6)
    assert outcome.collisions == []
    assert outcome.most_in_use == DEVICES
    assert outcome.kills.total() == 6


@pytest.fixture
def locks(tmp_path, monkeypatch):
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(gpu, "LOCKS", folder)
    monkeypatch.setattr(gpu, "EARLIER", tmp_path / "none")
    return folder


@pytest.fixture
def training(workspace, locks):
    """Starts the script `train` as a child of a process that stands for Snakemake, in a group of its own."""
    workspace.change(train={"device": 0})
    started = []

    def start() -> tuple[subprocess.Popen[str], psutil.Process]:
        arguments = [str(locks), "--config", str(workspace.config), "--variant", VARIANT]
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, TRAIN, *arguments],
            cwd=workspace.folder,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment(PYTHONPATH=str(ROOT)),
        )
        started.append(parent)
        assert "waiting" in parent.stderr.readline()
        return parent, psutil.Process(parent.pid).children()[0]

    yield start
    for parent in started:
        parent.kill()
        parent.wait()
        parent.stderr.close()


def stop(how: str, parent: subprocess.Popen[str], child: psutil.Process) -> None:
    if how == "Ctrl-C":
        os.killpg(parent.pid, signal.SIGINT)
    elif how == "the parent is killed":
        parent.kill()
    else:
        child.send_signal(signal.Signals[how])


def wait_until_gone(child: psutil.Process, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it waits on"
        time.sleep(0.02)


STOPS = ["Ctrl-C", "SIGTERM", "SIGUSR1", "the parent is killed"]


@pytest.mark.parametrize("how", STOPS)
def test_a_training_that_waits_for_a_gpu_stops_when_asked(workspace, locks, training, how):
    lock = workspace.path(VARIANT, "train", ".checkpoints", "lock")
    with gpu.lease(None, print, host=lambda: CARDS):
        parent, child = training()
        stop(how, parent, child)
        wait_until_gone(child)
        assert "before the training began; what was finished earlier is kept" in parent.stderr.read()
        with exclusive_lock(lock, "it", pytest.fail, 0):
            pass


@pytest.mark.parametrize("how", ["SIGTERM", "the parent is killed"])
def test_a_training_that_waits_for_its_lock_stops_when_asked(workspace, locks, training, how):
    with exclusive_lock(workspace.path(VARIANT, "train", ".checkpoints", "lock"), "it", pytest.fail, 0):
        parent, child = training()
        stop(how, parent, child)
        wait_until_gone(child)
        assert "before the training began; what was finished earlier is kept" in parent.stderr.read()
