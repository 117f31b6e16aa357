"""A real tiny session from nothing to the report, and what runs again after a change."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Workspace, environment
from tests.sockets import Witness

BOARD = "ethos-u55-256"


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> tuple[Workspace, Witness]:
    """A session that has not begun, in a folder with an apostrophe, and who watches its sockets."""
    workspace = Workspace(tmp_path_factory.mktemp("it's a session"))
    return workspace, Witness(workspace, tmp_path_factory.mktemp("witness"))


@pytest.fixture(scope="module")
def done(watched) -> Workspace:
    """A finished session of two variants; the tests of this module run in order and change it step by step."""
    workspace, _ = watched
    (workspace.folder / "mine.yaml").write_text((ROOT / "models/train/npu_level4_activation_leaky.yaml").read_text())
    workspace.change(grid={"levels": [2], "activations": ["relu"]}, models={"mine": {"yaml": "mine.yaml"}})
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    return workspace


def trained(workspace: Workspace) -> set[str]:
    return {outputs.split("/")[2] for outputs in workspace.planned().get("train", [])}


def test_every_file_of_the_contract_is_there(done):
    for variant in ("level2_relu", "mine"):
        for name in ("check/model.json", "check/activations.json", "train/best.pt", "train/last.pt"):
            assert done.path(variant, *name.split("/")).stat().st_size > 0
        metrics = json.loads(done.path(variant, "evaluate", "metrics.json").read_text())
        assert {"map50", "map50_95", "precision", "recall", "per_class"} <= set(metrics["val"])
        assert done.path(f"{variant}_training_report.md").is_file()
        assert json.loads(done.path(f"{variant}_training_summary.json").read_text())["schema_version"] == 1
    with done.path("summary.csv").open() as stream:
        assert {row["variant"] for row in csv.DictReader(stream)} == {"level2_relu", "mine"}
    assert "<html" in done.path("report.html").read_text()


def test_no_process_of_a_session_turns_to_another_host(done, watched):
    _, witness = watched
    rules = {
        *("check_environment", "draw_digits", "check_dataset", "validate_model", "verify_activations", "preflight_npu"),
        *("train", "evaluate", "export_int8", "compile_npu", "evaluate_int8", "bundle_deploy"),
        *("render_report", "compare_variants"),
    }
    assert witness.programs() == {"snakemake", *rules}, "each was watched"
    assert witness.elsewhere() == []


@pytest.mark.parametrize(
    "call",
    [
        "s.setblocking(False); s.connect_ex(('192.0.2.1', 9))",
        "s.sendto(b'', ('192.0.2.1', 9))",
        "socket.getaddrinfo('192.0.2.1', 9)",
    ],
)
def test_the_witness_sees_who_turns_to_another_host(tmp_path, call):
    witness = Witness(workspace := Workspace(tmp_path), tmp_path)
    code = f"import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\ntry:\n    {call}\nexcept OSError:\n    pass"
    harmless = "import socket\na, b = socket.socketpair()\na.send(b'x')\nsocket.getaddrinfo('127.0.0.1', 9)"
    for program in (code, harmless):
        subprocess.run([workspace.program[-1], "-c", program], env=environment(**workspace.environment), check=True)
    (seen,) = witness.elsewhere()
    assert "192.0.2.1" in seen


def test_the_trained_weights_hold_the_promised_activation(done):
    training = json.loads(done.path("level2_relu", "train", "training.json").read_text())
    assert training["environment"]["torch_threads"] == 1, "on every host, since the weights depend on it"
    assert training["activations"]["verified"] is True
    assert set(training["activations"]["found"]["backbone"]) == {"ReLU"}
    assert set(training["activations"]["found"]["neck"]) == {"SiLU"}


@pytest.mark.parametrize("variant", ["level2_relu", "mine"])
def test_the_int8_model_runs_on_the_npu_completely_and_has_its_bundle(done, variant):
    board = done.path(variant, "npu", BOARD)
    verdict = json.loads((board / "compatibility.json").read_text())
    assert (verdict["ops_percent"], verdict["npu_blobs"], verdict["cpu_operators"]) == (100, 1, [])
    metrics = json.loads(done.path(variant, "npu", "metrics_int8.json").read_text())
    assert {"map50", "map50_95", "precision", "recall", "per_class"} <= set(metrics["val"])
    assert (board / "deploy" / "MODEL_CARD.md").is_file()


@pytest.mark.parametrize("variant", ["level2_relu", "mine"])
def test_the_untrained_network_compiles_to_what_the_trained_one_does(done, variant):
    trained = json.loads(done.path(variant, "npu", BOARD, "compatibility.json").read_text())
    untrained = json.loads(done.path(variant, "check", "npu.json").read_text())["boards"][BOARD]
    for key in ("ops_percent", "macs_percent", "macs", "npu_blobs", "cpu_operators"):
        assert untrained[key] == trained[key]
    assert untrained["estimate"]["cycles"] == pytest.approx(trained["estimate"]["cycles"], rel=0.03)


def test_nothing_is_left_to_do(done):
    assert done.planned() == {}


def test_touched_files_plan_no_training(done):
    for path in (done.folder / "mine.yaml", done.config, done.path("data", "digits", "data.yaml")):
        os.utime(path)
    assert trained(done) == set()


def test_a_comment_in_a_model_file_plans_no_training_of_it(done):
    with (done.folder / "mine.yaml").open("a") as stream:
        stream.write("# a comment\n")
    assert trained(done) == set()
    run = done.snakemake()
    assert run.returncode == 0, run.stderr
    assert done.planned() == {}


@pytest.mark.parametrize("name", ["device", "plots", "workers"])
def test_arguments_that_change_no_weights_plan_no_training(done, name):
    value = {"device": "cpu", "plots": "true", "workers": 3}[name]
    run = done.snakemake("-n", "--config", f"train={{{name}: {value}}}")
    assert run.returncode == 0, run.stderr
    assert "\nrule train:" not in run.stdout + run.stderr


def test_a_tracker_plans_nothing_at_all(done):
    assert done.planned("--config", "track=[tensorboard]") == {}


@pytest.mark.parametrize("change", ["epochs: 3", "lr0: 0.02", "seed: 1", "imgsz: 96", "batch: 2"])
def test_arguments_that_change_weights_plan_every_training(done, change):
    run = done.snakemake("-n", "--config", f"train={{{change}}}")
    assert run.returncode == 0, run.stderr
    assert (run.stdout + run.stderr).count("\nrule train:") == 2


def test_another_language_makes_the_reports_again_and_nothing_else(done):
    planned = done.planned("--config", "report={language: ko}")
    assert set(planned) == {"render_report", "compare_variants", "all"}


@pytest.mark.parametrize("change", ["boards: [ethos-u85-256]", "gate: warn", "max_latency_ms: 0.001", "time_limit: 60"])
def test_boards_and_gates_plan_no_training(done, change):
    run = done.snakemake("-n", "--config", f"npu={{{change}}}")
    assert run.returncode == 0, run.stderr
    said = run.stdout + run.stderr
    assert "\nrule train:" not in said and "\nrule preflight_npu:" not in said
    assert ("\nrule compile_npu:" in said) is change.startswith("boards")


def test_a_missed_gate_fails_the_check_and_refuses_the_training(done):
    gates = ["--config", "npu={max_latency_ms: 0.001}"]
    checked = done.snakemake("check", *gates)
    assert checked.returncode != 0
    assert "(Vela), limit: 0.001 ms" in checked.stderr
    (done.folder / "strict.yaml").write_text("npu: {max_latency_ms: 0.001}\n")
    train = subprocess.run(
        [sys.executable, "-m", "workflow.scripts.train", "--config", done.config, "strict.yaml", "--variant", "mine"],
        cwd=done.folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert train.returncode == 2
    errors = [line for line in train.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "npu: mine misses a gate: ethos-u55-256: " in errors[0]
    assert done.snakemake("check").returncode == 0


def test_another_board_together_with_another_recipe_plans_every_training(done):
    run = done.snakemake("-n", "--config", "npu={boards: [ethos-u85-256]}", "train={lr0: 0.02}")
    assert (run.stdout + run.stderr).count("\nrule train:") == 2


def test_a_larger_calibration_exports_again_and_trains_nothing(done):
    planned = done.planned("--config", "npu={calibration_images: 9}")
    assert "train" not in planned and len(planned["export_int8"]) == 2


def test_other_data_plan_every_training(done):
    run = done.snakemake("-n", "--config", "digits={seed: 1}")
    assert (run.stdout + run.stderr).count("\nrule train:") == 2


def test_a_changed_network_plans_its_own_training_only(done):
    original = (done.folder / "mine.yaml").read_text()
    (done.folder / "mine.yaml").write_text(original.replace("torch.nn.LeakyReLU(0.1)", "torch.nn.LeakyReLU(0.2)"))
    assert trained(done) == {"mine"}
    (done.folder / "mine.yaml").write_text(original)
    assert trained(done) == set()


def test_a_deleted_model_trains_alone_and_renews_its_evaluation_and_the_reports(done):
    other = done.path("mine", "train", "best.pt").stat().st_mtime_ns
    done.path("level2_relu", "train", "best.pt").unlink()
    run = done.snakemake("results/tiny/level2_relu/train/best.pt")
    assert run.returncode == 0, run.stderr
    assert "level2_relu: training 2 epochs from scratch" in run.stderr
    assert done.path("mine", "train", "best.pt").stat().st_mtime_ns == other
    planned = done.planned()
    npu = {"export_int8", "compile_npu", "evaluate_int8", "bundle_deploy"}
    assert set(planned) <= {"evaluate", *npu, "render_report", "compare_variants", "all"}
    assert {outputs.split("/")[2] for rule in npu for outputs in planned.get(rule, [])} <= {"level2_relu"}
    assert [outputs.split("/")[2] for outputs in planned["evaluate"]] == ["level2_relu"]
    assert done.snakemake().returncode == 0
    assert done.planned() == {}


def test_snakemakes_own_report_is_written(done):
    target = done.folder / "snakemake.html"
    run = done.snakemake("--report", target)
    assert run.returncode == 0, run.stderr
    assert "level2_relu" in target.read_text()


def test_a_training_by_force_publishes_its_weights_again_and_trains_nothing(done):
    best = done.path("mine", "train", "best.pt")
    before = best.read_bytes()
    run = done.snakemake("results/tiny/mine/train/best.pt", "--forcerun", "train")
    assert run.returncode == 0, run.stderr
    assert "mine: already trained by this recipe (2 epochs): publishing the weights" in run.stderr
    assert best.read_bytes() == before


def test_pretrained_weights_train_again_and_the_report_says_how_many_tensors_matched(done):
    """The weights of level 4 fit level 4 completely, and level 2 except for what the levels do not share."""
    (done.folder / "start.pt").write_bytes(done.path("mine", "train", "best.pt").read_bytes())
    done.change(train={"pretrained": "start.pt", "epochs": 1})
    assert trained(done) == {"level2_relu", "mine"}
    run = done.snakemake()
    assert run.returncode == 0, run.stderr
    for variant, all_match in (("level2_relu", False), ("mine", True)):
        used = json.loads(done.path(variant, "train", "training.json").read_text())["pretrained"]
        assert 0 < used["matched"] <= used["total"]
        assert (used["matched"] == used["total"]) is all_match
        text = f"start.pt: {used['matched']} of {used['total']} tensors matched"
        assert text in done.path(f"{variant}_training_report.md").read_text()
        assert f"{variant}: pretrained weights: {used['matched']} of {used['total']} tensors matched" in run.stderr
    (done.folder / "start.pt").rename(done.folder / "elsewhere.pt")
    done.change(train={"pretrained": "elsewhere.pt"})
    assert trained(done) == set(), "the same weights by another path"
