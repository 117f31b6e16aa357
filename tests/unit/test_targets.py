import subprocess
from types import SimpleNamespace

import pytest
from snakemake.cli import get_argument_parser

from workflow.evo.config.loading import load_session
from workflow.evo.errors import UserError
from workflow.evo.host import environment
from workflow.evo.session.targets import unknown_targets


def session(**config):
    return load_session({"session": "s", **config})


def targets_of(arguments):
    return get_argument_parser().parse_known_args(arguments)[0].targets or []


def refusal(*arguments):
    with pytest.raises(UserError) as refused:
        unknown_targets(session(), arguments, targets_of)
    return str(refused.value)


# unknown_targets


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("level2_leaked", "level2_leaky"),
        ("level3_rleu", "level3_relu"),
        ("Level4_ReLU", "level4_relu"),
        ("level4-leaky", "level4_leaky"),
    ],
)
def test_an_unknown_variant_is_refused_and_the_nearest_named(asked, nearest):
    target = f"results/s/{asked}/train/best.pt"
    assert refusal("-n", target) == f"{target}: unknown variant '{asked}' — did you mean '{nearest}'?"


def test_a_variant_like_no_other_gets_the_list():
    assert refusal("results/s/zzz/train/best.pt").endswith("valid: " + ", ".join(session().variant_names))


def test_a_target_of_another_session_is_refused_by_the_name_of_this_one():
    target = "results/demo/level2_relu/train/best.pt"
    assert refusal(target) == (
        f"{target}: the session is 's', not 'demo' — name its configuration with --configfile, or ask for results/s/…"
    )


def test_a_board_that_the_session_does_not_have_is_refused_and_the_nearest_named():
    target = "results/s/level2_relu/npu/ethos-u55-257/deploy"
    assert refusal(target) == (
        f"{target}: no board 'ethos-u55-257' in this session — did you mean 'preset-u55-256'? Boards are named in "
        "'npu.boards'"
    )
    assert unknown_targets(session(), ["results/s/level2_relu/npu/preset-u55-256/deploy"], targets_of) is None


def test_one_wrong_target_among_good_ones_is_found():
    assert "level9_relu" in refusal("results/s/level2_relu/train/best.pt", "./results/s/level9_relu/train/best.pt")


@pytest.mark.parametrize(
    "argument",
    [
        "results/s/level2_relu/train/best.pt",
        "./results/s/level4_leaky/evaluate/metrics.json",
        "results/s/data/fingerprint.json",
        "results/s/logs/train/level2_relu.log",
        "results/s/benchmarks/train/level2_relu.tsv",
        "results/s/report.html",
        "results/s",
        "results",
        "train",
        "--cores",
        "8",
        "config/demo.yaml",
        "",
    ],
)
def test_what_is_configured_or_no_target_at_all_passes(argument):
    assert unknown_targets(session(), [argument], targets_of) is None


@pytest.mark.parametrize("name", ["level2_leaked_training_summary.json", "level2_leaked_training_report.md"])
def test_a_report_of_an_unknown_variant_is_refused(name):
    assert refusal(f"results/s/{name}").endswith("did you mean 'level2_leaky'?")


@pytest.mark.parametrize("option", ["-d", "--directory", "--configfile", "--report", "--profile"])
def test_a_path_that_belongs_to_an_option_is_no_target(option):
    arguments = [option, "results/other/level9/config.json", "--cores", "2"]
    assert unknown_targets(session(), arguments, targets_of) is None
    with pytest.raises(UserError, match="unknown variant 'level9'"):
        unknown_targets(session(), [*arguments, "results/s/level9/train/best.pt"], targets_of)


def test_a_further_model_of_the_configuration_is_a_variant(tmp_path):
    (tmp_path / "mine.yaml").touch()
    chosen = session(models={"mine": {"yaml": str(tmp_path / "mine.yaml")}})
    assert unknown_targets(chosen, ["results/s/mine/train/best.pt"], targets_of) is None


# The environment


def test_a_host_is_described_in_full(tmp_path):
    found = environment.describe(tmp_path)
    assert set(found) == {"versions", "git", "host", "gpus", "memory_gib", "disk_free_gib"}
    assert {"python", "ultralytics", "torch", "ethos-vision-optimizer"} <= set(found["versions"])
    assert found["host"]["cpus"] == environment.cpu_count() >= 1
    assert found["memory_gib"] > 0 and found["disk_free_gib"] > 0


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package",))
    assert "no-such-package" not in environment.versions.__wrapped__()


@pytest.mark.parametrize("missing", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 20)], ids=repr)
def test_without_git_the_state_of_the_repository_is_unknown(monkeypatch, missing):
    def run(*_arguments, **_options):
        raise missing

    monkeypatch.setattr(environment.subprocess, "run", run)
    assert environment.git_state.__wrapped__() == {"commit": None, "branch": None, "dirty": None}


@pytest.mark.parametrize(("limit", "expected"), [("1073741824\n", 2**30), ("max\n", 2**34), (str(2**50), 2**34)])
def test_the_memory_is_that_of_the_control_group_where_it_is_less(monkeypatch, tmp_path, limit, expected):
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(environment, "Path", lambda _: tmp_path / "memory.max")
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=2**34))
    assert environment.memory_bytes() == expected
