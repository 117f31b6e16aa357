"""What a live view says of a session, from folders as sessions leave them."""

import fcntl
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from tests.unit.live_session import (
    HERE,
    NOW,
    Clock,
    look,
    of,
    start,
    watch,
    write,
    write_busy,
    write_finished,
    write_status,
)
from tests.unit.synthetic import make_session, write_checks
from workflow.evo.config.variants import Variant, model_file
from workflow.evo.errors import UserError
from workflow.evo.files import dump_json
from workflow.evo.host.process import exclusive_lock, lock_holder
from workflow.evo.monitoring import watch as watch_module
from workflow.evo.monitoring.terminal import render
from workflow.evo.monitoring.watch import Watch
from workflow.evo.results.collect import collect_variant, files_of_variant

NAME = "level2_relu"


def test_a_session_that_has_not_begun_is_new(session):
    start(session)
    state = look(session)
    assert (state.counts["new"], of(state, NAME).state, of(state, NAME).words) == (6, "new", "not run yet")
    assert (state.epochs_done, state.epochs, state.seconds_left) == (0, 24, None)


def test_a_folder_without_a_session_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"config\.json: configuration file not found"):
        Watch(tmp_path).read()


def test_nothing_is_written_and_no_lock_is_touched(session):
    write_busy(session)
    files = {path: path.stat().st_mtime_ns for path in session.root.rglob("*")}
    watch_it = watch(session)
    watch_it.read()
    watch_it.read()
    assert {path: path.stat().st_mtime_ns for path in session.root.rglob("*")} == files


def test_a_fresh_sign_of_another_machine_is_a_running_training(session):
    start(session)
    write_checks(session, NAME)
    write_status(session, NAME, age=3)
    state = look(session)
    variant = of(state, NAME)
    assert (state.state, variant.state, variant.stage) == ("running", "running", "train")
    assert variant.words == f"process {os.getpid()} on box wrote its status 3 s ago"
    training = variant.training
    assert (training.epoch, training.epochs, training.epochs_done) == (3, 4, 2)
    assert (training.batch, training.batches, training.images_per_s) == (40, 76, 19.6)
    assert training.losses == {"box": 1.234, "cls": 2.5, "dfl": 1.01}
    assert (training.map50, training.map50_95, training.seconds_left) == (0.512, 0.317, 90.0)


def test_an_old_sign_of_another_machine_is_a_training_that_ended(session):
    start(session)
    write_status(session, NAME, age=91)
    state = look(session)
    variant = of(state, NAME)
    assert (state.state, variant.state) == ("stopped", "stopped")
    assert variant.words.startswith("not running since ")
    assert f"process {os.getpid()} on box has not written its status for 91 s" in variant.words
    assert (variant.training.epoch, variant.training.images_per_s, variant.training.seconds_left) == (2, None, None)


def test_a_killed_process_of_this_machine_is_known_at_once(session):
    start(session)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_status(session, NAME, age=1, machine=HERE, pid=child.pid, process_started=NOW)
    variant = of(look(session), NAME)
    assert variant.state == "stopped"
    assert variant.words.endswith(f"process {child.pid} is gone")


def test_another_process_of_the_same_number_is_not_taken_for_the_training(session):
    start(session)
    write_status(session, NAME, age=1, machine=HERE, process_started=psutil.Process().create_time() - 1000)
    assert of(look(session), NAME).state == "stopped"


def test_a_training_that_was_killed_and_started_again_runs(session):
    start(session)
    write_status(session, NAME, age=600)
    view = watch(session)
    assert of(view.read(), NAME).state == "stopped"
    write_status(session, NAME, age=0, machine=HERE, attempt=2, beat=1)
    assert of(view.read(), NAME).state == "running"


def test_a_live_process_that_writes_nothing_is_reported(session):
    start(session)
    write_status(session, NAME, age=200, machine=HERE)
    variant = of(look(session), NAME)
    assert (variant.state, variant.words) == (
        "running",
        f"process {os.getpid()} is alive, but has written nothing for 200 s",
    )


def test_whoever_looks_twice_does_not_depend_on_the_clocks(session):
    start(session)
    clock = Clock()
    view = watch(session, clock)
    write_status(session, NAME, age=3600)  # a clock that is an hour behind
    assert of(view.read(), NAME).state == "stopped"
    clock.wait(2)
    write_status(session, NAME, age=3600, beat=8)
    assert of(view.read(), NAME).state == "running"
    write_status(session, NAME, age=-3600, beat=9)  # one that is an hour ahead
    assert of(view.read(), NAME).state == "running"
    clock.wait(100)
    assert of(view.read(), NAME).state == "stopped"


@pytest.mark.parametrize(("phase", "expected"), [("failed", "failed"), ("stopped", "stopped")])
def test_a_training_that_says_how_it_ended_is_believed(session, phase, expected):
    start(session)
    write_checks(session, NAME)
    write_status(session, NAME, age=1, phase=phase, message="no space left")
    variant = of(look(session), NAME)
    assert variant.state == expected
    assert "no space left" in variant.words


def test_an_error_in_a_log_fails_the_variant_with_its_reason(session):
    start(session)
    write(session.root / "logs" / "validate_model" / f"{NAME}.log", "error: model.yaml: unknown module 'Evil'\n", 60)
    state = look(session)
    variant = of(state, NAME)
    assert (variant.state, variant.stage) == ("failed", "validate_model")
    assert variant.words == "model.yaml: unknown module 'Evil'"
    assert (state.state, state.epochs) == ("failed", 20), "its epochs are not waited for"


def test_a_memory_check_that_failed_fails_the_variant_and_its_training_does_not_wait(session):
    start(session)
    write_checks(session, NAME)
    session.layout.variant(NAME).memory.unlink()
    write(session.root / "logs" / "check_memory" / f"{NAME}.log", "error: not even one image fits\n", 60)
    state = look(session)
    variant = of(state, NAME)
    assert (variant.state, variant.stage, variant.words) == ("failed", "check_memory", "not even one image fits")
    assert (state.state, state.counts["failed"], state.epochs) == ("failed", 1, 20)
    assert "✗ memory" in row(state, NAME)


def test_a_bundle_that_failed_fails_the_variant(session):
    start(session)
    write_finished(session, NAME)
    board = session.npu.boards[0]
    session.layout.variant(NAME).board(board).deploy.rmdir()
    write(session.root / "logs" / "bundle_deploy" / f"{NAME}.{board}.log", "error: no space left\n", 60)
    state = look(session)
    variant = of(state, NAME)
    assert (variant.state, variant.stage, variant.words) == ("failed", "bundle_deploy", f"{board}: no space left")
    assert state.counts["done"] == 0
    assert "✗ bundle" in row(state, NAME)


def row(state, name):
    """Return the row of a variant in a terminal."""
    console = Console(file=io.StringIO(), width=160)
    render(state, console)
    return next(line for line in console.file.getvalue().splitlines() if line.startswith(f"{name} "))


def test_what_failed_in_the_run_before_waits_for_its_turn_in_this_one(session):
    start(session)
    write(session.root / "logs" / "validate_model" / f"{NAME}.log", "error: unknown module\n", 7200)
    with exclusive_lock(session.layout.lock, "session", lambda _: None):
        os.utime(session.layout.lock, (NOW - 3600, NOW - 3600))
        variant = of(look(session), NAME)
    assert (variant.state, variant.stage, variant.words) == ("waiting", "validate_model", "for a free processor")
    assert of(look(session), NAME).state == "failed"


def test_what_was_killed_in_the_run_before_waits_for_its_turn_in_this_one(session):
    start(session)
    write_checks(session, NAME)
    write_status(session, NAME, age=7200)
    assert of(look(session), NAME).state == "stopped"
    with exclusive_lock(session.layout.lock, "session", lambda _: None):
        os.utime(session.layout.lock, (NOW - 3600, NOW - 3600))
        variant = of(look(session), NAME)
    assert (variant.state, variant.stage, variant.training.epochs_done) == ("waiting", "train", 2)


def test_a_job_is_running_only_with_evidence(session):
    start(session)
    log = session.root / "logs" / "preflight_npu" / f"{NAME}.log"
    write_checks(session, NAME)
    session.layout.variant(NAME).npu_check.unlink()
    write(log, "compiling", 5)
    job = of(look(session), NAME).jobs[2]
    assert (job.rule, job.state, job.words) == ("preflight_npu", "running", "log written 5 s ago")
    write(log, "compiling", 500)
    job = of(look(session), NAME).jobs[2]
    assert job.state == "interrupted"
    assert job.words.startswith("no result, and nothing logged since ")


def test_the_process_that_holds_the_session_is_evidence_for_jobs_whose_log_is_of_this_run(session):
    start(session)
    write(session.root / "logs" / "check_dataset.log", "counting", 1800)
    session.layout.fingerprint.unlink()
    with exclusive_lock(session.layout.lock, "session", lambda _: None):
        os.utime(session.layout.lock, (NOW - 3600, NOW - 3600))
        state = look(session)
    assert (state.state, state.words) == ("running", f"Snakemake is process {os.getpid()}")
    job = next(job for job in state.jobs if job.rule == "check_dataset")
    assert (job.state, job.words) == ("running", f"Snakemake is process {os.getpid()}, log written 1800 s ago")
    assert {variant.state for variant in state.variants} == {"waiting"}


def test_the_holder_of_a_lock_is_found_without_trying_the_lock(tmp_path):
    path = tmp_path / ".lock"
    assert lock_holder(path) is None
    with exclusive_lock(path, "it", lambda _: None):
        assert lock_holder(path) == os.getpid()
    assert lock_holder(path) is None
    with path.open() as shared:
        fcntl.flock(shared, fcntl.LOCK_SH)
        assert lock_holder(path) is None


@pytest.mark.parametrize("file", ["missing", "damaged"])
def test_the_memory_check_of_a_trained_variant_does_not_matter(session, file):
    start(session)
    write_finished(session, NAME)
    memory = session.layout.variant(NAME).memory
    memory.unlink() if file == "missing" else memory.write_text("{")
    write(session.root / "logs" / "check_memory" / f"{NAME}.log", "error: not even one image fits\n", 60)
    variant = of(look(session), NAME)
    assert (variant.state, variant.stage) == ("done", "render_report")


def test_a_finished_session_is_done_with_its_figures(session):
    start(session)
    for name in session.variant_names:
        write_finished(session, name)
    assert look(session).state == "stopped", "the comparison is missing"
    write(session.layout.report, "<html>")
    write(session.root / "benchmarks" / "train" / f"{NAME}.tsv", "s\th:m:s\n103.94\t0:01:43\n")
    state = look(session)
    variant = of(state, NAME)
    assert (state.state, state.report, state.counts["done"]) == ("done", True, 6)
    assert (state.epochs_done, state.epochs, state.trained_s, state.seconds_left) == (24, 24, 6 * 246.0, 0)
    assert variant.map50_95 == {"float": 0.5, "int8": 0.495}
    assert [job.seconds for job in variant.jobs if job.rule == "train"] == [103.94]


def test_what_is_left_is_expected_at_the_pace_of_the_others(session):
    write_busy(session)
    state = look(session)
    # running: 90 s; killed: two epochs of 61.5; not begun: twice four epochs of 61.5 (all have that pace)
    assert state.seconds_left == pytest.approx(90 + 2 * 61.5 + 2 * 4 * 61.5)
    assert (state.epochs_done, state.epochs) == (4 + 2 + 2, 20)
    assert state.counts == {"running": 1, "done": 1, "failed": 1, "stopped": 1, "waiting": 2, "new": 0}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', "\x00\xff"])
def test_a_damaged_status_is_no_sign_and_no_crash(session, content):
    start(session)
    write_checks(session, NAME)
    write_status(session, NAME, age=500)
    write(session.layout.variant(NAME).status, content, 1)
    variant = of(look(session), NAME)
    assert (variant.state, variant.stage, variant.training.phase) == ("stopped", "train", None)


@pytest.mark.parametrize("content", ['"text"', "[]", "{}\n[1]\nnull", '{"message": 3}'])
def test_damaged_incidents_and_bookkeeping_are_no_crash(session, content):
    start(session)
    write_checks(session, NAME)
    folder = session.layout.variant(NAME).checkpoints
    write(folder / "incidents.jsonl", content)
    write(folder / "run.json", '{"attempts": "many"}')
    assert of(look(session), NAME).training.attempts == 0


def test_text_of_others_becomes_one_plain_line(session):
    write_busy(session)
    state = look(session)
    for text in (of(state, "level2_leaky").incident["message"], of(state, "level3_relu").words):
        assert text.isprintable()
        assert "<script>alert(1)</script> [bold red]not markup[/]" in text


def test_the_state_is_a_document_of_its_schema(session):
    write_busy(session)
    assert '"schema_version": 1' in dump_json("monitor", look(session).document())
    assert len(look(session).gpus) == 1


def test_a_look_at_a_session_lists_no_folder_and_costs_the_same_for_every_variant(tmp_path, monkeypatch):
    """Whoever lists the logs of all variants for each of them takes four times as long for twice as many."""
    looked: list[object] = []
    original = os.stat

    def counted(count: int) -> int:
        variants = [Variant(f"v{number}", model_file(4, "relu"), 4, "relu") for number in range(count)]
        session = make_session(tmp_path / str(count), variants)
        for name in session.variant_names:
            write(session.root / "logs" / "train" / f"{name}.log", "epoch 1/3")
        watching = Watch(session.root, session)
        watching.read()
        looked.clear()
        watching.read()
        return len(looked)

    def stat(*arguments, **options):
        looked.append(arguments[0])
        return original(*arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "scandir", forbidden)
    monkeypatch.setattr(os, "listdir", forbidden)
    few, some, many = counted(2), counted(4), counted(8)
    assert many - some == 2 * (some - few) > 0


def forbidden(*_: object) -> None:
    raise AssertionError("a folder was listed")


OPENED: list[list[str]] = []
sys.addaudithook(lambda event, arguments: OPENED[-1].append(str(arguments[0])) if OPENED and event == "open" else None)


@pytest.mark.parametrize("finished", [True, False])
def test_what_a_summary_reads_is_what_is_watched_for_a_change(session, finished):
    start(session)
    name = session.variant_names[0]
    write_finished(session, name) if finished else write_status(session, name)
    watched = {str(path) for path in files_of_variant(session, name)}
    OPENED.append([])
    collect_variant(session, name)
    opened = {path for path in OPENED.pop() if path.startswith(str(session.root))}
    assert opened and opened <= watched


def test_the_configuration_is_read_again_only_when_it_has_changed(session, monkeypatch):
    start(session)
    seen: list[Path] = []
    original = watch_module.recorded_session
    monkeypatch.setattr(watch_module, "recorded_session", lambda root: (seen.append(root), original(root))[1])
    watching = watch(session)
    watching.read()
    watching.read()
    assert len(seen) == 1
    document = {**session.document, "models": {"mine": {"yaml": str(model_file(4, "relu"))}}}
    session.layout.config.write_text(json.dumps(document))
    assert watching.read().variants[-1].name == "mine"
