"""A batch does not fit into memory: it is halved in a new process, and the training goes on."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.conftest import ROOT, Workspace, environment, error_lines, run_script
from tests.quick_python import quick_python
from workflow.evo.text.facts import sentence

VARIANT = "level4_relu"
TOO_MUCH = """
import sys
from workflow.evo.text.facts import sentence
from workflow.evo.host.entry_point import entry_point
from workflow.evo.training import run

build = run._Training._train

def with_little_memory(self, checkpoint):
    from workflow.evo.training.trainer import VariantTrainer
    prepare = VariantTrainer.preprocess_batch

    def refuse(trainer, batch):
        if trainer.epoch >= {epoch} and len(batch["img"]) > {fits}:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.\\nGPU 0 has a total capacity of …")
        return prepare(trainer, batch)

    VariantTrainer.preprocess_batch = refuse
    return build(self, checkpoint)

run._Training._train = with_little_memory
from workflow.scripts.train import main
entry_point(main)
"""


PROBE = """
import json, sys
from pathlib import Path
from workflow.evo.host import ultralytics_env
from workflow.evo.config.loading import load_session_files
ultralytics_env.prepare(Path("settings"))
from workflow.evo.models.definition import load_definition
from workflow.evo.training import memory
from workflow.evo.training.run import trainer_arguments
from workflow.evo.training.trainer import NetworkTrainer
session = load_session_files([Path(sys.argv[1])])
variant = session.variant(sys.argv[2])
prepare, steps = NetworkTrainer.preprocess_batch, []

def refuse(trainer, batch):
    if len(batch["img"]) > 2:
        raise RuntimeError("CUDA out of memory.")
    steps.append(len(batch["img"]))
    return prepare(trainer, batch)

NetworkTrainer.preprocess_batch = refuse
arguments = trainer_arguments(session, variant, batch=4, save_dir=session.layout.root, leased=False)
train = memory.train_one_epoch(load_definition(variant.yaml), print)
tried = memory.probe(arguments, train, session.layout.view)
print(json.dumps({"tried": tried, "steps": steps}))
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> Workspace:
    """A session whose checks have run once for all tests."""
    workspace = Workspace(tmp_path_factory.mktemp("checked"))
    workspace.change(grid={"levels": [4], "activations": ["relu"]})
    run = workspace.snakemake("--until", "preflight_npu", "check_dataset", "check_environment")
    assert run.returncode == 0, run.stderr
    return workspace


@pytest.fixture
def train(checked, tmp_path):
    """Run the training of a checked variant on a device that has memory for few images, from some epoch on."""
    shutil.copytree(checked.folder, tmp_path / "session", symlinks=True)
    workspace = Workspace(tmp_path / "session")

    def run(fits: int, epoch: int) -> subprocess.CompletedProcess[str]:
        code = TOO_MUCH.format(fits=fits, epoch=epoch)
        return subprocess.run(
            [quick_python(), "-c", code, "--config", workspace.path("config.json"), "--variant", VARIANT],
            cwd=workspace.folder,
            env=environment(PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return workspace, run


def test_the_batch_is_halved_until_it_fits_and_finished_epochs_are_kept(train):
    workspace, run = train
    done = run(fits=1, epoch=1)
    assert done.returncode == 0, done.stderr
    training = json.loads(workspace.path(VARIANT, "train", "training.json").read_text())
    assert [(entry["epoch"], entry["batch"]) for entry in training["epochs"]] == [(1, 4), (2, 1)]
    halvings = [incident for incident in training["incidents"] if incident["kind"] == "out_of_memory"]
    assert [(item["batch_before"], item["batch_after"]) for item in halvings] == [(4, 2), (2, 1)]
    assert (
        "out of memory in epoch 2 at batch 2: continued at batch 1, nominal batch size 4 kept (accumulation 4)"
        in sentence(halvings[1])
    )
    assert training["arguments"]["nbs"] == 4 and training["arguments"]["batch"] == 1
    assert done.stderr.count("resumed from the checkpoint of epoch 1 of 2") == 2


def test_not_even_one_image_fits(train):
    workspace, run = train
    done = run(fits=0, epoch=0)
    assert done.returncode == 1
    (error,) = error_lines(done.stderr)
    assert "out of memory even at batch 1" in error and "lower train.imgsz" in error
    assert not workspace.path(VARIANT, "train", "best.pt").exists()


def test_the_memory_check_takes_real_steps_and_finds_the_batch_that_fits(train):
    workspace, _ = train
    command = [quick_python(), "-c", PROBE, workspace.path("config.json"), VARIANT]
    place = {"cwd": workspace.folder, "env": environment(PYTHONPATH=str(ROOT))}
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, **place).stdout
    found = json.loads(said.splitlines()[-1])
    assert [(entry["batch"], entry["fits"]) for entry in found["tried"]] == [(4, False), (2, True)]
    assert found["steps"] == [2, 2, 2]

    options = ["--config", workspace.path("config.json"), "--variant", VARIANT]
    done = run_script("check_memory", *options, folder=workspace.folder)
    assert done.returncode == 0, done.stderr
    document = json.loads(workspace.path(VARIANT, "check", "memory.json").read_text())
    assert document["skipped"] == "no GPU to try it on" and document["tried"] == []
