"""From the text of a dry run and the files of a session to what a person reads."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.unit import synthetic
from tests.unit.synthetic import digest
from workflow.evo.errors import EvoError, UserError
from workflow.evo.files import read_json, sha256_json, write_json
from workflow.evo.plan import dry_run as dry_run_module
from workflow.evo.plan.cost import UNKNOWN, Conditions, disk_to_write, measured, pace
from workflow.evo.plan.dry_run import Job, command, dry_run, parse
from workflow.evo.plan.outlook import outlook
from workflow.evo.plan.reasons import recipe_changes, why
from workflow.evo.results.history import read_times
from workflow.evo.results.journal import Journal
from workflow.evo.results.stages import BY_RULE
from workflow.evo.session.lifecycle import running
from workflow.evo.training.checkpoints import DELIVERED, CheckpointStore

RECORDED = """\
Building DAG of jobs...
Job stats:
job               count
--------------  -------
train                 1
compile_npu           1
compare_variants      1
all                   1
total                 4


[Tue Nov 24 13:32:40 2026]
rule train:
    input: results/demo/environment.json, results/demo/level2_relu/check/model.json
    output: results/demo/level2_relu/train/best.pt, results/demo/level2_relu/train/last.pt
    log: results/demo/logs/train/level2_relu.log
    jobid: 4
    reason: Missing output files: results/demo/level2_relu/train/best.pt; Input files updated by another job: \
results/demo/environment.json
    wildcards: variant=level2_relu
    priority: 50
    threads: 2
    resources: tmpdir=/tmp, gpu=1
[Tue Nov 24 13:32:40 2026]
rule compile_npu:
    output: results/demo/level2_relu/npu/preset-u55-256/model_int8_vela.tflite
    jobid: 5
    reason: Params have changed since last execution: Union of exclusive params before and now across all output: \
before: {'clock_mhz': 500.0; 1} now: {'clock_mhz': 400.0}
    wildcards: variant=level2_relu, board=preset-u55-256
[Tue Nov 24 13:32:40 2026]
localrule compare_variants:
    output: results/demo/report.html
    reason: Input files updated by another job: results/demo/level2_relu_training_summary.json
[Tue Nov 24 13:32:40 2026]
rule all:
    input: results/demo/report.html
    reason: Input files updated by another job: results/demo/report.html
Job stats:
job               count
--------------  -------
train                 1
compile_npu           1
compare_variants      1
all                   1
total                 4

Reasons:
    (check individual jobs above for details)
    params have changed since last execution:
        compile_npu
This was a dry-run (flag -n). The order of jobs does not reflect the order of execution.
"""
CPU = Conditions(320, 16, digest("data"), "Test CPU")
VERSIONS = {"torch": "2.14.1", "ultralytics": "8.4.190"}


def recipe_of(session, name, **arguments):
    return {
        "arguments": {**session.train.arguments, "optimizer": "MuSGD", **arguments},
        "model": digest("network", name),
        "data": digest("data"),
        "pretrained": None,
        **VERSIONS,
    }


def finish(session, name, recipe, **changes):
    """Write all that a finished variant leaves, trained by ``recipe`` on the device of `CPU`."""
    environment = {"device": "Test CPU", "versions": VERSIONS}
    synthetic.write_done(session, name, 0.4, recipe=sha256_json(recipe), environment=environment, **changes)


def keep(session, name, recipe, epoch, *, finished=False, times=()):
    """Write a checkpoint and the journal of an attempt."""
    folder = session.layout.variant(name).checkpoints
    with CheckpointStore(folder).writing(sha256_json(recipe), epoch, finished=finished, batch=16) as draft:
        rows = [f"{number},{time}" for number, time in enumerate(times, 1)]
        (draft / "results.csv").write_text("\n".join(["epoch,time", *rows]) + "\n")
    Journal(folder).start_attempt(sha256_json(recipe), 16)


def job(rule, reason, variant="level2_relu", board=None):
    return Job(rule, (f"results/v3/{variant}/x",), variant, board, reason)


def look(session, name, recipe, *jobs, checked=True):
    return outlook(session, session.variant(name), jobs, recipe, "Test CPU", checked)


def missing(session, name, file):
    return job("train", f"Missing output files: results/{session.name}/{name}/train/{file}", name)


def test_a_recorded_dry_run_is_read_with_variants_boards_and_reasons():
    train, compile_npu, compare = parse(RECORDED)
    assert (train.rule, train.variant, train.board) == ("train", "level2_relu", None)
    assert train.outputs[1] == "results/demo/level2_relu/train/last.pt"
    assert train.missing == ["best.pt"]
    assert train.causes["Input files updated by another job"] == "results/demo/environment.json"
    assert compile_npu.board == "preset-u55-256"
    assert list(compile_npu.causes) == ["Params have changed since last execution"]
    assert (compare.rule, compare.variant) == ("compare_variants", None)


def test_nothing_to_be_done_is_no_job():
    assert (
        parse("Building DAG of jobs...\nNothing to be done (all requested files are present and up to date).\n") == []
    )


@pytest.mark.parametrize("text", ["", RECORDED.replace("rule compile_npu:", "Compile for the board")])
def test_output_that_cannot_be_parsed_is_refused_not_guessed(text):
    with pytest.raises(EvoError, match="cannot be parsed"):
        parse(text)


def test_the_refusal_of_snakemake_is_passed_on_as_it_is(monkeypatch):
    class Refused:
        returncode, stdout, stderr = 2, "", "Assuming unrestricted…\nerror: unknown variant 'x' — did you mean 'y'?\n"

    monkeypatch.setattr(dry_run_module.subprocess, "run", lambda *_, **__: Refused)
    with pytest.raises(UserError, match=r"^unknown variant 'x' — did you mean 'y'\?$"):
        dry_run([])
    Refused.returncode, Refused.stderr = 1, "KeyError in file Snakefile\n"
    with pytest.raises(EvoError, match="the dry run failed: KeyError in file Snakefile"):
        dry_run([])


def test_the_command_ends_with_the_options_that_take_every_word():
    assert command(4, ["a.yaml"], ["train={epochs: 3}"])[-4:] == [
        "--configfile",
        "a.yaml",
        "--config",
        "train={epochs: 3}",
    ]
    assert "--configfile" not in command(4, [], [])


@pytest.mark.parametrize(
    ("rule", "reason", "said"),
    [
        ("evaluate", "Missing output files: a/metrics.json, a/plots", "evaluate: metrics.json, plots missing"),
        ("evaluate", "Input files updated by another job: a/best.pt", None),
        ("evaluate", "Missing output files: a/plots; Input files updated by another job: a/best.pt", None),
        ("evaluate", "Incomplete output files: a/plots", "evaluate: the last run was interrupted during it"),
        ("evaluate", "Updated input files: a/best.pt", "evaluate: Snakemake says: Updated input files: a/best.pt"),
        ("evaluate", "Forced execution", "evaluate: the last run was interrupted during it"),
        ("evaluate", "Something new", "evaluate: Snakemake says: Something new"),
        (
            "export_int8",
            "Params have changed since last execution: before: 64 now: 128",
            "export_int8: npu.calibration_images, the class names, the exporters or the code of the export changed",
        ),
    ],
)
def test_a_reason_is_said_in_plain_words_or_quoted(rule, reason, said):
    assert why(job(rule, reason)) == said


def test_what_changed_of_a_recipe_is_named_with_both_values(session):
    name = "level2_relu"
    training = synthetic.write_training(session, name, environment={"device": "Test CPU", "versions": VERSIONS})
    recipe = recipe_of(session, name, epochs=9)
    assert recipe_changes(training, recipe_of(session, name)) == []
    assert recipe_changes(training, recipe) == ["epochs 4 → 9"]
    other = {**recipe, "model": "m", "data": "d", "pretrained": "p", "torch": "2.15.0"}
    assert recipe_changes(training, other) == [
        "epochs 4 → 9",
        "the network in the model file",
        "the dataset",
        "the pretrained weights",
        "torch 2.14.1 → 2.15.0",
    ]
    assert recipe_changes(training, recipe_of(session, name, **{f"a{i}": i for i in range(9)}))[-1] == "3 more settings"


def test_a_batch_halved_for_lack_of_memory_is_not_a_changed_setting(session):
    incident = {"time": "t", "kind": "out_of_memory", "message": "m", "batch_before": 16, "batch_after": 8}
    training = synthetic.write_training(
        session,
        "level2_relu",
        arguments={**session.train.arguments, "optimizer": "MuSGD", "batch": 8},
        incidents=[incident],
        environment={"device": "Test CPU", "versions": VERSIONS},
    )
    assert recipe_changes(training, recipe_of(session, "level2_relu", seed=1)) == ["seed 0 → 1"]


def test_a_variant_without_files_was_never_run(session):
    found = look(session, "level2_relu", recipe_of(session, "level2_relu"), missing(session, "level2_relu", "best.pt"))
    assert found.reasons == ("never run",)
    assert found.stages["Training"] == "will run, 4 epochs"
    assert found.training.pace.basis == UNKNOWN
    assert (found.training.seconds, found.training.disk) == (None, None)


def test_a_finished_variant_is_done_everywhere(session):
    recipe = recipe_of(session, "level2_relu")
    finish(session, "level2_relu", recipe)
    found = look(session, "level2_relu", recipe)
    assert set(found.stages.values()) == {"done"}
    assert (found.training, found.reasons) == (None, ())


def test_more_epochs_train_again_and_are_expected_at_the_pace_of_the_earlier_run(session):
    finish(session, "level2_relu", recipe_of(session, "level2_relu"))
    recipe = recipe_of(session, "level2_relu", epochs=9)
    found = look(session, "level2_relu", recipe, job("train", "Input files updated by another job: environment.json"))
    assert found.reasons == ("train: changed: epochs 4 → 9",)
    assert found.training.seconds == 4 * 61.5  # the session itself has four
    assert found.training.pace.basis == "measured in its own earlier run, 2026-03-01"


def test_deleted_weights_are_told_from_lost_ones(session):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    finish(session, name, recipe)
    keep(session, name, recipe, 4, finished=True)
    found = look(session, name, recipe, missing(session, name, "best.pt"))
    assert found.stages["Training"] == "publishes its weights"
    assert found.training.seconds == 0
    assert found.reasons == ("train: best.pt missing",)
    (session.layout.variant(name).checkpoints / DELIVERED).touch()
    found = look(session, name, recipe, missing(session, name, "best.pt"))
    assert found.stages["Training"] == "will run, 4 epochs"
    assert found.reasons == ("train: best.pt deleted after the session had ended, which asks for a new training",)
    assert (session.layout.variant(name).checkpoints / "epoch00004").is_dir()  # only looked at


def test_an_earlier_recipe_comes_back_with_its_checkpoint(session):
    name, recipe, other = "level2_relu", recipe_of(session, "level2_relu"), recipe_of(session, "level2_relu", lr0=0.5)
    finish(session, name, other)
    keep(session, name, recipe, 4, finished=True)
    store = CheckpointStore(session.layout.variant(name).checkpoints)
    store.set_aside(sha256_json(other), sha256_json(recipe))
    found = look(session, name, recipe, job("train", "Params have changed since last execution: before: 1 now: 2"))
    assert found.stages["Training"] == "publishes its weights"
    assert found.reasons[0].endswith("; it was trained like this before")
    assert not list(store.folder.glob("epoch*"))  # only looked at


def test_an_interrupted_training_continues_and_its_own_epochs_tell_the_time(session, monkeypatch):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    synthetic.write_shared(session)
    synthetic.write_checks(session, name)
    keep(session, name, recipe, 3, times=(10, 21, 31))
    found = look(session, name, recipe, missing(session, name, "best.pt"))
    assert found.stages["Training"] == "continues at epoch 4 of 4"
    assert found.reasons == ("train: unfinished, epoch 3 is saved",)
    assert (found.training.epochs, found.training.seconds) == (1, 10)
    assert found.training.pace.basis == "the median of its own epochs so far"
    assert found.training.disk == disk_to_write(session, session.variant(name), afresh=False)
    assert found.training.disk < disk_to_write(session, session.variant(name), afresh=True)


def test_a_damaged_checkpoint_is_not_promised_to_be_continued(session):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    synthetic.write_checks(session, name)
    keep(session, name, recipe, 3)
    (session.layout.variant(name).checkpoints / "epoch00003" / "results.csv").write_text("x")
    found = look(session, name, recipe, missing(session, name, "best.pt"))
    assert found.stages["Training"] == "will run, 4 epochs"
    assert found.reasons == (
        "train: started, but no finished epoch was saved; epoch00003 is unusable (damaged results.csv)",
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Forced execution", "the last run was interrupted during it"),
        ("Input files updated by another job: a/b.json", "a check before it runs again, its recipe is unchanged"),
        ("Updated input files: a/b.json", "Snakemake says: Updated input files: a/b.json"),
    ],
)
def test_a_training_whose_recipe_is_unchanged_is_only_published_again(session, reason, said):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    finish(session, name, recipe)
    keep(session, name, recipe, 4, finished=True)
    found = look(session, name, recipe, job("train", reason))
    assert found.stages["Training"] == "publishes its weights"
    assert found.reasons == (f"train: {said}",)


def test_a_session_is_running_while_the_process_of_its_lock_is_a_snakemake(session):
    assert running(session) is None
    session.root.mkdir(parents=True)
    lock = session.root / ".lock"
    lock.write_text(str(os.getpid()))
    assert running(session) is None
    lock.write_text("not a number")
    assert running(session) is None
    command = [sys.executable, "-c", "import time; time.sleep(60)", "snakemake"]
    with subprocess.Popen(command) as process:
        lock.write_text(str(process.pid))
        for _ in range(100):
            if running(session):
                break
            time.sleep(0.01)
        assert running(session) == process.pid
        process.kill()
    assert running(session) is None


def test_a_stage_that_failed_says_so_with_its_reason(session):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    finish(session, name, recipe)
    layout = session.layout.variant(name)
    layout.metrics.unlink()
    log = session.root / "logs" / "evaluate" / f"{name}.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: no space left on the disk\n")
    found = look(session, name, recipe, job("evaluate", f"Missing output files: {layout.metrics}"))
    assert found.stages["Evaluation"] == "will run, failed before"
    assert found.reasons == (
        "evaluate failed before: no space left on the disk",
        "evaluate: metrics.json missing",
    )
    assert look(session, name, recipe).reasons[0].startswith("evaluate has failed, and nothing changed")


@pytest.mark.parametrize(
    ("rule", "column", "board"), [("check_memory", "Checks", None), ("bundle_deploy", "NPU", synthetic.NPU.boards[0])]
)
def test_a_memory_check_or_a_bundle_that_failed_is_a_failed_stage(session, rule, column, board):
    name, recipe = "level2_relu", recipe_of(session, "level2_relu")
    finish(session, name, recipe)
    layout = session.layout.variant(name)
    if rule == "check_memory":
        layout.training.unlink()
        layout.memory.unlink()
    else:
        layout.board(board).deploy.rmdir()
    log = BY_RULE[rule].log(session.layout, name, board)
    log.parent.mkdir(parents=True)
    log.write_text("error: no space left\n")
    found = look(session, name, recipe)
    assert found.stages[column] == "failed"
    on = f"{board}: " if board else ""
    assert found.reasons == (f"{rule} has failed, and nothing changed: {on}no space left",)
    assert look(session, name, recipe, job(rule, "x", board=board)).stages[column] == "will run, failed before"


def test_a_variant_that_misses_a_gate_is_not_promised_to_train(session):
    name, recipe = "level4_relu", recipe_of(session, "level4_relu")
    synthetic.write_checks(session, name)
    synthetic.write_preflight(session, name, sram_kib=9999.0)
    found = look(session, name, recipe, missing(session, name, "best.pt"))
    assert found.stages["Training"] == "refused by a gate"
    assert found.training.epochs == 0
    assert found.reasons[0].startswith("train: refused, ")


def test_another_variant_tells_the_time_only_under_the_same_conditions(session):
    finish(session, "level3_relu", recipe_of(session, "level3_relu"))
    level2 = session.variant("level2_relu")
    found = pace(session, level2, CPU, None, checked=True)
    assert (found.seconds, found.basis) == (61.5, "measured in level3_relu, 2026-03-01")
    training = read_json(session.layout.variant("level3_relu").training, "training")
    others = (
        Conditions(640, 16, CPU.data_hash, CPU.device),
        Conditions(320, 8, CPU.data_hash, CPU.device),
        Conditions(320, 16, digest("other data"), CPU.device),
        Conditions(320, 16, CPU.data_hash, "Test GPU"),
    )
    for conditions in others:
        assert measured(training, conditions) is None
        assert pace(session, level2, conditions, None, checked=True).basis == UNKNOWN


def test_timed_steps_count_only_while_environment_json_holds(session, monkeypatch):
    synthetic.write_shared(session)
    facts = read_json(session.layout.environment, "environment")
    facts["expected"] = {"hours": 1.0, "basis": synthetic.quoted("a few timed steps"), "seconds_per_image": 0.5}
    write_json(session.layout.environment, "environment", facts)
    monkeypatch.setattr("workflow.evo.plan.cost.training_images", lambda _: 100)
    found = pace(session, session.variant("level2_relu"), CPU, None, checked=True)
    assert found.seconds == 50
    assert "without validation" in found.basis
    assert pace(session, session.variant("level2_relu"), CPU, None, checked=False).seconds is None


def test_the_times_of_a_continued_run_leave_out_where_the_clock_went_back(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("epoch,time\n1,10\n2,21\n3,4\n4,14.5\n")
    assert read_times(path) == [10, 11, 10.5]
    assert read_times(tmp_path / "none.csv") == []
