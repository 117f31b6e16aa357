"""What Snakemake plans, without running a job."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.conftest import ROOT, SNAKEMAKE, environment

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
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in done.stderr


def test_leaked_is_refused_as_a_target_and_leaky_suggested(workspace):
    workspace.change(grid={"activations": ["relu", "leaky"]})
    done = workspace.snakemake("results/tiny/level2_leaked/train/best.pt", "-n")
    assert done.returncode == 2
    assert "did you mean 'level2_leaky'?" in done.stderr


def test_lint_is_clean():
    done = subprocess.run([SNAKEMAKE, "--lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
