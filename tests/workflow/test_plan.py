"""What Snakemake plans, without running a job."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT, SNAKEMAKE, environment, error_lines
from tests.unit.dataset_folder import save_dataset

VARIANTS = [f"level{level}_{activation}" for level in (2, 3, 4) for activation in ("relu", "leaky")]


def test_default_session_plans_six_trainings(workspace):
    done = subprocess.run(
        [SNAKEMAKE, "-s", ROOT / "Snakefile", "--cores", "8", "--resources", "gpu=1", "-n"],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for variant in VARIANTS:
        assert f"results/v3/{variant}/train/best.pt" in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("\nrule train:") == len(VARIANTS)


def test_a_dry_run_writes_no_results(workspace):
    workspace.snakemake("-n")
    assert not workspace.path().exists()


@pytest.mark.parametrize(
    ("levels", "activations", "expected"),
    [
        ([4], ["leaky"], {"level4_leaky"}),
        ([2, 3], ["relu"], {"level2_relu", "level3_relu"}),
        ([1], [], {"level1_silu"}),
        ([1, 4], ["relu", "leaky"], {"level1_silu", "level4_relu", "level4_leaky"}),
    ],
)
def test_any_subset_of_the_grid_is_planned(workspace, levels, activations, expected):
    workspace.change(grid={"levels": levels, "activations": activations})
    planned = workspace.planned()["train"]
    assert {output.split("/")[2] for output in planned} == expected


def test_a_further_variant_by_its_own_yaml_is_planned(workspace):
    source = ROOT / "models" / "train" / "npu_level4_activation_relu.yaml"
    (workspace.folder / "mine.yaml").write_text(source.read_text())
    workspace.change(grid={"levels": []}, models={"mine": {"yaml": "mine.yaml"}})
    assert [output.split("/")[2] for output in workspace.planned()["train"]] == ["mine"]


def test_nested_overrides_of_the_command_line_have_the_right_types(workspace):
    done = workspace.snakemake("-n", "--config", "train={epochs: 3, amp: false, lr0: 0.02}", "grid={levels: [4]}")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("\nrule train:") == 1


def test_until_stops_at_the_named_rule(workspace):
    planned = workspace.planned("--until", "verify_activations")
    assert "train" not in planned
    assert len(planned["verify_activations"]) == 2


def test_check_plans_every_check_and_no_training(workspace):
    planned = workspace.planned("check")
    assert {"check_environment", "check_dataset", "validate_model", "verify_activations"} <= set(planned)
    assert "train" not in planned


def test_memory_is_checked_before_a_training_unless_it_runs_on_the_cpu(workspace):
    assert "check_memory" not in workspace.planned()
    config = yaml.safe_load(workspace.config.read_text())
    del config["train"]["device"]
    workspace.write(config)
    assert len(workspace.planned()["check_memory"]) == 2
    assert "check_memory" not in workspace.planned("check")


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ({"grid": {"activations": ["leaked"]}}, "did you mean 'leaky'?"),
        ({"data": "nowhere/data.yaml"}, "nowhere/data.yaml"),
    ],
)
def test_bad_configuration_is_refused_in_one_line_with_exit_code_2(workspace, overlay, said):
    workspace.change(**overlay)
    done = workspace.snakemake("-n")
    assert done.returncode == 2
    (error,) = error_lines(done.stderr)
    assert said in error
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", ["session: tiny\nsession: other\n", "train: {epochs: 1, epochs: 2}\n"])
def test_a_key_that_stands_twice_in_a_configuration_is_refused(workspace, text):
    workspace.config.write_text(text)
    done = workspace.snakemake("-n")
    assert done.returncode == 2
    assert f"error: {workspace.config}: not valid YAML (line" in done.stderr
    assert "duplicate key '" in done.stderr


def test_nothing_of_a_dataset_in_the_session_s_own_folder_is_lost(workspace):
    path = save_dataset(workspace.path("data"))
    path.rename(path.with_name("dataset.yaml"))  # what the rule that checks it is to make
    before = {file: file.read_bytes() for file in workspace.path("data").rglob("*") if file.is_file()}
    workspace.change(data="results/tiny/data/dataset.yaml")
    done = workspace.snakemake("--until", "check_dataset")
    assert done.returncode == 2
    assert "is in the results of session tiny" in done.stderr
    assert {file: file.read_bytes() for file in workspace.path("data").rglob("*") if file.is_file()} == before


PLANTED = "import sys\nopen('planted', 'a').write(__name__)\nsys.exit(9)\n"


def test_no_module_of_the_working_directory_is_imported(workspace):
    save_dataset(workspace.folder)
    for name in ("yaml", "json", "numpy", "PIL", "warnings", "pathlib", "jsonschema", "sitecustomize", "workflow"):
        (workspace.folder / f"{name}.py").write_text(PLANTED)
    workspace.change(data="data.yaml", grid={"levels": [4]})
    done = workspace.snakemake("--until", "check_dataset", afresh=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert workspace.path("data", "fingerprint.json").is_file()
    assert dry_run_jobs(workspace)
    assert not (workspace.folder / "planted").exists()


def dry_run_jobs(workspace) -> list[str]:
    """The rules that the plan for people finds, asked for in the working directory."""
    code = "import sys; from workflow.evo.plan.dry_run import dry_run; print(*(j.rule for j in dry_run(sys.argv[1:])))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "--cores", "1", "--configfile", workspace.config.name],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
        check=True,
        env=environment(PYTHONPATH=str(ROOT)),
    )
    return done.stdout.split()


def test_modules_beside_the_workflow_stand_in_for_none_of_a_library(tmp_path):
    """A dataset unpacked into the checkout: what Python needs before the first line of this workflow is beyond it."""
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    for name in ("yaml", "json", "numpy", "argparse", "difflib", "jsonschema"):
        (tmp_path / f"{name}.py").write_text(PLANTED)
    command = [sys.executable, "-m", "workflow.scripts.train", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "planted").exists()


def test_leaked_is_refused_as_a_target_and_leaky_suggested(workspace):
    workspace.change(grid={"activations": ["relu", "leaky"]})
    done = workspace.snakemake("results/tiny/level2_leaked/train/best.pt", "-n")
    assert done.returncode == 2
    assert "did you mean 'level2_leaky'?" in done.stderr


def test_lint_is_clean():
    done = subprocess.run([SNAKEMAKE, "--lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
