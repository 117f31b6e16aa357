"""Jobs on other machines: which are submitted, and what they look at before they begin."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Workspace, environment
from tests.quick_python import quick_python
from tests.unit.dataset_folder import save_dataset
from workflow.evo.files import read_json

REMOTE = Path(__file__).parent / "remote"
LOCAL = {"all", "check", "draw_digits", "validate_model", "bundle_deploy", "render_report", "compare_variants"}

LOCAL_RULES = """
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

root, config = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))
with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(configfiles=[root / "config/config.yaml", config]),
        snakefile=root / "Snakefile",
    )._workflow
    print(*workflow._localrules)
"""


def submit(workspace: Workspace, *targets: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with the executor of `tests.workflow.remote`."""
    command = workspace.command(*targets, "--executor", "elsewhere", "--jobs", "1", "--latency-wait", "0")
    variables = environment(PYTHONPATH=str(REMOTE), EVO_TEST_ELSEWHERE=str(REMOTE), **extra)
    return subprocess.run(
        command, cwd=workspace.folder, env=variables, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def own(workspace) -> Workspace:
    """A session of a dataset of its own."""
    save_dataset(workspace.folder / "own", images=8)
    workspace.change(data="own/data.yaml", grid={"levels": [4], "activations": ["relu"]})
    return workspace


def test_a_job_elsewhere_neither_reads_nor_looks_at_the_dataset(own):
    watched, notes = own.folder / "own" / "images", own.folder / "notes.txt"
    watching = {"EVO_TEST_WATCHED": str(watched), "EVO_TEST_NOTES": str(notes)}
    done = submit(own, own.path("data", "fingerprint.json").relative_to(own.folder), **watching)
    assert done.returncode == 0, done.stderr
    assert (own.folder / "submitted.check_dataset.txt").is_file()
    assert read_json(own.path("identities.json"), "identities")["data"]["names"] == ["cat", "dog"]
    planned = notes.read_text().splitlines()  # of the process that submits, which has looked at each folder once
    assert {line.partition(" ")[0] for line in planned} >= {"open"}
    notes.unlink()
    submitted = remote_dry_run(own, "check_dataset:", **watching)
    assert submitted.returncode == 0, submitted.stderr
    assert not notes.exists()


def test_without_a_record_of_the_session_a_job_elsewhere_finds_out_by_itself(own):
    watched, notes = own.folder / "own" / "images", own.folder / "notes.txt"
    done = remote_dry_run(own, "check_dataset:", EVO_TEST_WATCHED=str(watched), EVO_TEST_NOTES=str(notes))
    assert done.returncode == 0, done.stderr
    assert "open" in notes.read_text()


def remote_dry_run(workspace: Workspace, job: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Plan one job as a process on another machine does."""
    options = ["--mode", "remote", "--no-hooks", "--nolock", "--force", "-n"]
    variables = environment(PYTHONPATH=str(REMOTE), **extra)
    command = workspace.command("--target-jobs", job, *options)
    return subprocess.run(
        command, cwd=workspace.folder, env=variables, capture_output=True, text=True, timeout=300, check=False
    )


def test_what_takes_a_second_is_not_submitted(workspace):
    done = subprocess.run(
        [quick_python(small=True), "-c", LOCAL_RULES, ROOT, workspace.config],
        cwd=workspace.folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert set(done.stdout.split()) == LOCAL
