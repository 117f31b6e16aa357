"""A real tiny session from nothing to the report, and what runs again after a change."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess

import pytest

from tests.conftest import ROOT, Workspace, environment, error_lines, run_script
from tests.witness import Witness
from workflow.evo.files import read_json

BOARD = "preset-u55-256"


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> tuple[Workspace, Witness]:
    """A finished session of one variant, in a folder with an apostrophe, and who has watched its sockets."""
    workspace = Workspace(tmp_path_factory.mktemp("it's a session"))
    witness = Witness(workspace, tmp_path_factory.mktemp("witness"))
    (workspace.folder / "mine.yaml").write_text((ROOT / "models/train/npu_level4_activation_leaky.yaml").read_text())
    workspace.change(grid={"levels": [], "activations": ["relu"]}, models={"mine": {"yaml": "mine.yaml"}})
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    witness.jobs = declared(run.stderr + run.stdout)
    return workspace, witness


JOB = re.compile(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", re.M)
OUTSIDE = ("config.json", "identities.json", ".lock", "logs", "benchmarks", "data/view", "data/digits", ".ultralytics")
"""What belongs to a session and to no job: its configuration, its logs, and the dataset behind ``dataset.yaml``."""


def declared(text: str) -> dict[tuple[str, ...], tuple[set[str], set[str]]]:
    """Return the inputs and outputs of each job that a run has printed, by rule and wildcards."""
    jobs = {}
    for rule, body in JOB.findall(text):
        lines = dict(line.strip().partition(": ")[::2] for line in body.splitlines())
        wildcards = dict(pair.split("=", 1) for pair in lines.get("wildcards", "").split(", ") if "=" in pair)
        names = [wildcards[name] for name in ("variant", "board") if name in wildcards]
        files = [set(filter(None, lines.get(key, "").split(", "))) for key in ("input", "output")]
        jobs[rule, *names] = (files[0], files[1])
    return jobs


@pytest.fixture(scope="module")
def done(watched) -> Workspace:
    """The same session, finished once more with a further variant: to be read, and to be left as it is."""
    workspace = Workspace(watched[0].folder, config=None)
    workspace.change(grid={"levels": [2]})
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "mine: training" not in run.stderr
    return workspace


@pytest.fixture
def copy(done, tmp_path) -> Workspace:
    """A copy of the finished session, to change."""
    shutil.copytree(done.folder, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy", config=None)


def trained(workspace: Workspace, *arguments: object) -> set[str]:
    return {outputs.split("/")[2] for outputs in workspace.planned(*arguments).get("train", [])}


def test_every_file_of_the_contract_is_there(done):
    for variant in ("level2_relu", "mine"):
        for name in ("check/model.json", "check/activations.json", "train/best.pt", "train/last.pt"):
            assert done.path(variant, *name.split("/")).stat().st_size > 0
        metrics = json.loads(done.path(variant, "evaluate", "metrics.json").read_text())
        assert {"map50", "map50_95", "precision", "recall", "per_class"} <= set(metrics["val"])
        assert done.path(f"{variant}_training_report.md").is_file()
        assert read_json(done.path(f"{variant}_training_summary.json"), "summary")["variant"] == variant
    with done.path("summary.csv").open() as stream:
        assert {row["variant"] for row in csv.DictReader(stream)} == {"level2_relu", "mine"}
    assert "<html" in done.path("report.html").read_text()


def test_no_process_of_a_session_turns_to_another_host(watched):
    _, witness = watched
    rules = {
        *("check_environment", "draw_digits", "check_dataset", "validate_model", "verify_activations", "preflight_npu"),
        *("train", "evaluate", "export_int8", "compile_npu", "evaluate_int8", "bundle_deploy"),
        *("render_report", "compare_variants"),
    }
    assert witness.programs() == {"snakemake", *rules}, "each was watched"
    assert witness.elsewhere() == []


def test_what_a_script_reads_is_what_its_rule_declares(watched):
    workspace, witness = watched
    root, read = workspace.path().relative_to(workspace.folder).as_posix(), witness.read()
    assert {rule for rule, *_ in witness.jobs} >= {"train", "evaluate", "export_int8", "compile_npu"}
    for job, (inputs, outputs) in witness.jobs.items():
        if job[0] in {"all", "check"}:
            continue
        found = {path for path in read.get(job, set()) if path.startswith(f"{root}/")}
        unread = {path for path in inputs if not any(seen.startswith(path) for seen in found)}
        # Of a bundle, a report says whether there is one.
        assert {path for path in unread if not path.endswith("/deploy")} == set(), f"{job} reads not all it declares"
        known = (*inputs, *outputs, *(f"{root}/{name}" for name in OUTSIDE))
        further = {path for path in found if not path.startswith(known) and "/." not in path}
        assert {path for path in further if not (workspace.folder / path).is_dir()} == set(), f"{job} reads more"


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


def test_what_changes_no_weights_and_no_page_plans_nothing(done):
    """Touched files, a comment in a model file, and arguments of no consequence: `tests.workflow.edits` has each."""
    original = (done.folder / "mine.yaml").read_text()
    (done.folder / "mine.yaml").write_text(f"{original}# a comment\n")
    for path in (done.folder / "mine.yaml", done.config, done.path("data", "digits", "data.yaml")):
        os.utime(path)
    assert done.planned() == {}
    (done.folder / "mine.yaml").write_text(original)
    assert done.planned("--config", "track=[tensorboard]", "train={device: cpu, plots: true, workers: 3}") == {}


@pytest.mark.parametrize(
    "changes", [["npu={boards: [preset-u85-256]}", "train={lr0: 0.02}"], ["digits={seed: 1}"]], ids=["recipe", "data"]
)
def test_another_recipe_and_other_data_plan_every_training(done, changes):
    assert trained(done, "--config", *changes) == {"level2_relu", "mine"}


def test_another_board_compiles_and_trains_nothing(done):
    planned = done.planned("--config", "npu={boards: [preset-u85-256]}")
    assert len(planned["compile_npu"]) == len(planned["preflight_npu"]) == 2 and "train" not in planned


def test_a_changed_network_plans_its_own_training_only(done):
    original = (done.folder / "mine.yaml").read_text()
    (done.folder / "mine.yaml").write_text(original.replace("torch.nn.LeakyReLU(0.1)", "torch.nn.LeakyReLU(0.2)"))
    assert trained(done) == {"mine"}
    (done.folder / "mine.yaml").write_text(original)
    assert trained(done) == set()


def test_a_missed_gate_fails_the_check_and_refuses_the_training(done):
    checked = done.snakemake("check", "--config", "npu={max_latency_ms: 0.001}")
    assert checked.returncode != 0
    assert "(Vela), limit: 0.001 ms" in checked.stderr
    (done.folder / "strict.yaml").write_text("npu: {max_latency_ms: 0.001}\n")
    train = run_script("train", "--config", done.config, "strict.yaml", "--variant", "mine", folder=done.folder)
    assert train.returncode == 2
    (error,) = error_lines(train.stderr)
    assert "npu: mine misses a gate: preset-u55-256: " in error
    assert done.snakemake("check").returncode == 0


def test_snakemakes_own_report_is_written(done):
    target = done.folder / "snakemake.html"
    run = done.snakemake("--report", target)
    assert run.returncode == 0, run.stderr
    assert "level2_relu" in target.read_text()


def test_a_training_by_force_publishes_its_weights_again_and_trains_nothing(copy):
    best = copy.path("mine", "train", "best.pt")
    before = best.read_bytes()
    run = copy.snakemake("results/tiny/mine/train/best.pt", "--forcerun", "train")
    assert run.returncode == 0, run.stderr
    assert "mine: already trained by this recipe (2 epochs): publishing the weights" in run.stderr
    assert best.read_bytes() == before


def test_a_deleted_model_trains_alone_and_renews_its_evaluation_and_the_reports(copy):
    other = copy.path("mine", "train", "best.pt").stat().st_mtime_ns
    copy.path("level2_relu", "train", "best.pt").unlink()
    run = copy.snakemake("results/tiny/level2_relu/train/best.pt")
    assert run.returncode == 0, run.stderr
    assert "level2_relu: training 2 epochs from scratch" in run.stderr
    assert copy.path("mine", "train", "best.pt").stat().st_mtime_ns == other
    planned = copy.planned()
    npu = {"export_int8", "compile_npu", "evaluate_int8", "bundle_deploy"}
    assert set(planned) <= {"evaluate", *npu, "render_report", "compare_variants", "all"}
    assert {outputs.split("/")[2] for rule in npu for outputs in planned.get(rule, [])} <= {"level2_relu"}
    assert [outputs.split("/")[2] for outputs in planned["evaluate"]] == ["level2_relu"]
    assert copy.snakemake().returncode == 0
    assert copy.planned() == {}


def test_pretrained_weights_train_again_and_the_report_says_how_many_tensors_matched(copy):
    """The weights of level 4 fit level 4 completely, and level 2 except for what the levels do not share."""
    variants = ("level2_relu", "mine")
    (copy.folder / "start.pt").write_bytes(copy.path("mine", "train", "best.pt").read_bytes())
    copy.change(train={"pretrained": "start.pt", "epochs": 1})
    assert trained(copy) == {*variants}
    run = copy.snakemake(*(f"results/tiny/{variant}/train/training.json" for variant in variants))
    assert run.returncode == 0, run.stderr
    for variant, all_match in zip(variants, (False, True), strict=True):
        used = json.loads(copy.path(variant, "train", "training.json").read_text())["pretrained"]
        assert 0 < used["matched"] <= used["total"]
        assert (used["matched"] == used["total"]) is all_match
        text = f"start.pt: {used['matched']} of {used['total']} tensors matched"
        rendered = run_script("render_report", "--config", copy.config, "--variant", variant, folder=copy.folder)
        assert rendered.returncode == 0, rendered.stderr
        assert text in copy.path(f"{variant}_training_report.md").read_text()
        assert f"{variant}: pretrained weights: {used['matched']} of {used['total']} tensors matched" in run.stderr
    (copy.folder / "start.pt").rename(copy.folder / "elsewhere.pt")
    copy.change(train={"pretrained": "elsewhere.pt"})
    assert trained(copy) == set(), "the same weights by another path"
