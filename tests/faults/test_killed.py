"""Training, Snakemake or both are killed: the next command finishes, says what it resumed, and nothing trains on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Workspace, environment, error_lines, run_script
from workflow.evo.text.facts import sentence

EPOCHS = 6
VARIANT = "level4_relu"
WEIGHTS = f"results/tiny/{VARIANT}/train/best.pt"


def one_variant(folder: Path) -> Workspace:
    """A session whose epochs are long enough to be hit by a signal."""
    workspace = Workspace(folder)
    workspace.change(
        grid={"levels": [4], "activations": ["relu"]},
        digits={"train": 24},
        train={"epochs": EPOCHS, "imgsz": 96},
    )
    return workspace


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> Workspace:
    """The session after its checks, which are the same for every test."""
    workspace = one_variant(tmp_path_factory.mktemp("checked"))
    run = workspace.snakemake("check")
    assert run.returncode == 0, run.stderr
    return workspace


@pytest.fixture
def session(checked, tmp_path) -> Workspace:
    shutil.copytree(checked.folder, tmp_path / "session", symlinks=True)
    return one_variant(tmp_path / "session")


def start(workspace, *targets: str) -> subprocess.Popen[bytes]:
    log = (workspace.folder / "snakemake.log").open("wb")
    return subprocess.Popen(
        workspace.command(*targets),
        cwd=workspace.folder,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=environment(),
    )


def wait_for_epoch(workspace, epoch: int, run: subprocess.Popen[bytes], seconds: float = 600) -> None:
    folder = workspace.path(VARIANT, "train", ".checkpoints", f"epoch{epoch:05d}")
    deadline = time.monotonic() + seconds
    while not folder.exists():
        said = (workspace.folder / "snakemake.log").read_text()
        assert run.poll() is None and time.monotonic() < deadline, said
        time.sleep(0.05)


def training_processes(workspace) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if "workflow.scripts.train" in process.cmdline() and process.cwd() == str(workspace.folder):
                found.append(process)
    return found


def wait_until_nothing_trains(workspace, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while training_processes(workspace):
        assert time.monotonic() < deadline, "an orphan trains on"
        time.sleep(0.1)


def finish(workspace) -> dict:
    """Give the same command again; return training.json of the finished run."""
    done = workspace.snakemake(WEIGHTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resumed from the checkpoint of epoch" in done.stderr
    return check_finished(workspace)


def check_finished(workspace) -> dict:
    training = json.loads(workspace.path(VARIANT, "train", "training.json").read_text())
    assert [entry["epoch"] for entry in training["epochs"]] == list(range(1, EPOCHS + 1))
    assert len(workspace.path(VARIANT, "train", "results.csv").read_text().splitlines()) == EPOCHS + 1
    resumed = [incident for incident in training["incidents"] if incident["kind"] == "resume"]
    assert resumed and "resumed from the checkpoint of epoch" in sentence(resumed[0])
    return training


def test_the_training_process_is_killed(session):
    """The job is tried again by itself, what needs it goes on, and the report tells it."""
    run = start(session, WEIGHTS, f"results/tiny/{VARIANT}/evaluate/metrics.json")
    wait_for_epoch(session, 2, run)
    for process in training_processes(session):
        process.kill()
    assert run.wait(600) == 0, "the job is tried again by itself"
    said = (session.folder / "snakemake.log").read_text()
    assert "resumed from the checkpoint of epoch" in said
    assert check_finished(session)["attempts"] == 2
    assert session.path(VARIANT, "evaluate", "metrics.json").is_file()
    done = run_script("compare_variants", "--config", session.config, folder=session.folder)
    assert done.returncode == 0, done.stderr
    assert session.path("report.html").is_file()
    assert "resumed from the checkpoint of epoch" in session.path("report.md").read_text()


def test_snakemake_is_killed_and_no_orphan_trains_on(session):
    run = start(session, WEIGHTS)
    wait_for_epoch(session, 2, run)
    run.kill()
    run.wait(300)
    wait_until_nothing_trains(session)
    finish(session)


def test_the_whole_group_is_killed(session):
    run = start(session, WEIGHTS)
    wait_for_epoch(session, 2, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(300)
    wait_until_nothing_trains(session)
    finish(session)


def test_a_second_run_is_refused_and_ctrl_c_stops_the_first_after_the_batch_to_be_continued(session):
    run = start(session, WEIGHTS)
    wait_for_epoch(session, 1, run)
    second = session.snakemake(WEIGHTS)
    assert second.returncode != 0
    (error,) = error_lines(second.stderr)
    assert f"in use by process {run.pid}" in error
    wait_for_epoch(session, 2, run)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(300) != 0
    wait_until_nothing_trains(session)
    said = (session.folder / "snakemake.log").read_text()
    assert "stopped by SIGINT in epoch" in said and "run the same command again to continue" in said
    finish(session)


@pytest.mark.long
def test_usr1_of_a_scheduler_stops_after_the_batch_and_the_job_continues(session):
    run = start(session, WEIGHTS)
    wait_for_epoch(session, 2, run)
    for process in training_processes(session):
        process.send_signal(signal.SIGUSR1)
    assert run.wait(600) == 0, "the job is tried again by itself"
    said = (session.folder / "snakemake.log").read_text()
    assert "stopped by SIGUSR1 in epoch" in said
    assert check_finished(session)["attempts"] == 2


@pytest.mark.long
def test_a_second_ctrl_c_at_once_damages_nothing(session):
    run = start(session, WEIGHTS)
    wait_for_epoch(session, 2, run)
    os.killpg(run.pid, signal.SIGINT)
    time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGINT)
    assert run.wait(300) != 0
    wait_until_nothing_trains(session)
    training = finish(session)
    assert not [incident for incident in training["incidents"] if incident["kind"] == "damaged_checkpoint"]
