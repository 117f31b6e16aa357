"""`make plan` against real dry runs, on a session that is finished on paper: its files, and Snakemake's record."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Workspace, environment
from tests.quick_python import quick_python
from tests.unit import synthetic
from workflow.evo.config.boards import board_names
from workflow.evo.config.loading import load_session_files
from workflow.evo.data.source import session_hashes
from workflow.evo.host.environment import cpu_name
from workflow.evo.plan.dry_run import parse
from workflow.evo.results.journal import Journal
from workflow.evo.training.checkpoints import CheckpointStore
from workflow.evo.training.recipe import arguments_of, recipe_document, standing_recipe

PLAN = """
import sys
sys.executable = sys.argv.pop(1)
from workflow.evo.host.entry_point import entry_point
from workflow.scripts.plan import main
entry_point(main)
"""
"""The script, which starts Snakemake by the first argument."""
NAMES = ("level2_relu", "level4_relu")
SECONDS = 3.0
"""Of each epoch, by the training.json of the finished session."""


def plan(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    python = quick_python(small=True)
    command = [python, "-c", PLAN, python, "--config", workspace.config, *arguments]
    env = environment(PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False, env=env)


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of the table by variant: what stands under each heading."""
    found = {}
    for line in text.splitlines():
        cells = re.split(r" {2,}", line)
        if cells[0] in {"Variant", *NAMES}:
            found[cells[0]] = cells
    return found


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workspace:
    """A session of two variants with every document, made up, and recorded by Snakemake as made by these rules."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    for job in parse(workspace.snakemake("-n").stdout):
        for output in map(workspace.folder.joinpath, job.outputs):
            folder = output if not output.suffix else output.parent
            folder.mkdir(parents=True, exist_ok=True)
            (output / "stub" if not output.suffix else output).write_text("a stub")
    names = "".join(f"  {label}: '{label}'\n" for label in range(10))
    workspace.path("data", "digits", "data.yaml").write_text(f"path: .\ntrain: images/train\nnames:\n{names}")
    before = Path.cwd()
    os.chdir(workspace.folder)
    try:
        _write_documents(workspace)
    finally:
        os.chdir(before)
    done = workspace.snakemake("--touch", "--forceall")
    assert done.returncode == 0, done.stderr
    return workspace


def _write_documents(workspace: Workspace) -> None:
    files = [ROOT / "config" / "config.yaml", workspace.config]
    session = load_session_files(files)
    hashes = session_hashes(session)
    data, names = hashes.training, hashes.names
    synthetic.write_shared(session, names, test=False)
    for variant in session.variants:
        document = recipe_document(session, variant, data, len(names))
        identity = standing_recipe(session, variant, document)
        versions = {package: document[package] for package in ("torch", "ultralytics")}
        synthetic.write_done(
            session,
            variant.name,
            0.4,
            names=names,
            test=False,
            recipe=identity,
            arguments=arguments_of(session.train),
            model_fingerprint=document["model"],
            data_hash=data,
            epochs=[{"epoch": epoch, "seconds": SECONDS, "batch": session.train.batch} for epoch in (1, 2)],
            environment={"device": cpu_name(), "versions": versions},
        )
        synthetic.write_preflight(session, variant.name, boards=board_names())
        folder = session.layout.variant(variant.name).checkpoints
        with CheckpointStore(folder).writing(identity, 2, finished=True, batch=session.train.batch) as draft:
            (draft / "state.pt").write_bytes(b"state")
        Journal(folder).start_attempt(identity, session.train.batch)


@pytest.fixture
def copy(finished, tmp_path) -> Workspace:
    """The finished session, to change; Snakemake's record of it goes by paths relative to it."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return Workspace(folder)


def test_a_fresh_session_is_planned_without_a_file_of_it(workspace):
    done = plan(workspace)
    assert done.returncode == 0, done.stderr
    assert not (workspace.folder / "results").exists()
    found = rows(done.stdout)
    for name in NAMES:
        assert found[name][1:] == [
            "will run (3)",
            "will run, 2 epochs",
            "will run",
            "will run (4)",
            "will run",
            "unknown",
            "never run",
        ]
    assert "Session tiny: 24 jobs to run, 2 trainings on " in done.stdout
    assert "unknown until the first epoch" in done.stdout
    assert "100 bytes per parameter" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(f"--resources gpu=1 --configfile {workspace.config}")


def test_a_finished_session_has_nothing_to_run_and_is_left_as_it_is(finished):
    before = contents(finished.path())
    done = plan(finished)
    assert done.returncode == 0, done.stderr
    assert "Nothing to run. The report: results/tiny/report.html" in done.stdout
    assert [cells[1:7] for name, cells in rows(done.stdout).items() if name in NAMES] == [["done"] * 5 + ["—"]] * 2
    assert contents(finished.path()) == before


def test_deleted_weights_train_again_and_a_further_board_does_not(copy):
    copy.path("level2_relu", "train", "best.pt").unlink()
    before = contents(copy.path())
    done = plan(copy, "--set", "npu={boards: [preset-u55-256, preset-u65-256]}")
    found = rows(done.stdout)
    assert found["level2_relu"][2] == "will run, 2 epochs"
    assert "best.pt deleted after the session had ended" in found["level2_relu"][-1]
    assert found["level2_relu"][6] == f"≈ {2 * SECONDS:.1f} s"
    assert "Time of level2_relu: measured in its own earlier run" in done.stdout
    assert found["level4_relu"][1:6] == ["will run", "done", "done", "will run (2)", "will run"]
    assert "compile_npu for preset-u65-256: " in found["level4_relu"][-1]
    assert contents(copy.path()) == before


def test_changed_epochs_train_again_and_the_settings_are_named(finished):
    done = plan(finished, "--cores", "2", "--set", "train={epochs: 5}")
    found = rows(done.stdout)
    for name in NAMES:
        assert found[name][2] == "will run, 5 epochs"
        assert found[name][-1] == "train: changed: epochs 2 → 5"
        assert found[name][6] == f"≈ {5 * SECONDS:.1f} s"
    assert "CPU: about 15.0 s for 2 trainings, 2 at a time" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("--config 'train={epochs: 5}'")


def test_a_wrong_configuration_is_refused_in_one_line(workspace):
    done = plan(workspace, "--set", "train={epoch: 3}")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert "did you mean 'epochs'?" in done.stderr
