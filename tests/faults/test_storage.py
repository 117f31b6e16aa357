"""The results folder cannot be written, or its disk is full."""

from __future__ import annotations

import ctypes
import json
import resource

import pytest

from tests.conftest import Workspace, error_lines

CAP_DAC_OVERRIDE = 1  # linux/capability.h: what lets root write anywhere
PR_CAPBSET_DROP = 24  # linux/prctl.h
VARIANT = "level4_relu"


def as_ordinary_user() -> None:
    """Let permissions hold for the child even when the tests run as root."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def with_file_limit(mebibytes: int):
    """Return what makes a child's writes fail beyond that size, as they do on a full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (mebibytes << 20, mebibytes << 20))

    return limit


@pytest.fixture
def one(workspace) -> Workspace:
    workspace.change(grid={"levels": [4], "activations": ["relu"]})
    return workspace


def test_a_read_only_results_folder_is_refused_in_one_line(one):
    root = one.path()
    root.mkdir(parents=True)
    root.chmod(0o555)
    try:
        run = one.snakemake(before=as_ordinary_user)
    finally:
        root.chmod(0o755)
    assert run.returncode == 2
    (error,) = error_lines(run.stderr)
    assert error.startswith(f"error: {root}: not allowed to write — make it writable")
    assert "Traceback" not in run.stderr
    assert list(root.iterdir()) == []


def test_read_only_logs_are_refused_in_one_line(one):
    logs = one.path("logs", "train")
    logs.mkdir(parents=True)
    (logs / f"{VARIANT}.log").touch()
    logs.chmod(0o555)
    try:
        run = one.snakemake(before=as_ordinary_user)
    finally:
        logs.chmod(0o755)
    assert run.returncode == 2
    assert error_lines(run.stderr) == [f"error: {logs}: not allowed to write — make it writable, or move it elsewhere"]
    assert "Traceback" not in run.stderr and not one.path("environment.json").exists()


def test_no_space_for_a_checkpoint_loses_nothing_and_the_next_run_finishes(one):
    weights = f"results/tiny/{VARIANT}/train/best.pt"
    checked = one.snakemake("check")
    assert checked.returncode == 0, checked.stderr
    full = one.snakemake(weights, before=with_file_limit(12))
    assert full.returncode != 0
    assert "(ulimit -f) is reached while writing the checkpoint of epoch 1" in full.stderr
    assert "raise that limit, then run the same command again" in full.stderr
    train = one.path(VARIANT, "train")
    assert not (train / "best.pt").exists()
    assert not [path.name for path in (train / ".checkpoints").glob("epoch*")]
    assert not (train / ".checkpoints" / ".draft").exists()
    attempts = sorted(one.path("logs", "train", "attempts").iterdir())
    assert [path.name for path in attempts] == [f"{VARIANT}.{number}.log" for number in (1, 2, 3)]
    for path in attempts:
        assert "is reached while writing the checkpoint of epoch 1" in path.read_text()
    assert f"logs of failed attempts: {one.path('logs', 'train', 'attempts').relative_to(one.folder)}" in full.stderr

    run = one.snakemake(weights)
    assert run.returncode == 0, run.stderr
    assert sorted(one.path("logs", "train", "attempts").iterdir()) == attempts
    training = json.loads((train / "training.json").read_text())
    assert [incident["kind"] for incident in training["incidents"]] == ["restart"] * (training["attempts"] - 1)
