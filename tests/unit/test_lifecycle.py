import contextlib
import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.evo.config.loading import load_session
from workflow.evo.errors import DiskFull, UserError
from workflow.evo.results.journal import Journal
from workflow.evo.session import lifecycle
from workflow.evo.text.facts import fact
from workflow.evo.training.checkpoints import DELIVERED, CheckpointStore

ROOT = Path(__file__).resolve().parents[2]
NAME, OTHER = "level2_relu", "level4_leaky"
HOLDER = """
import sys
sys.path.insert(0, sys.argv[1])
from workflow.evo.session import lifecycle
from workflow.evo.config.loading import load_session
lifecycle.start(load_session({"session": "s"}))
print("running", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session in a folder of its own, whose lock is let go after the test."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as opened:
        monkeypatch.setattr(lifecycle, "_open_sessions", opened)
        yield load_session({"session": "s"})


@contextlib.contextmanager
def running_elsewhere():
    """The same session, running in another process."""
    command = [sys.executable, "-c", HOLDER, str(ROOT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "running\n"
            yield process
        finally:
            process.kill()


def trained(session, name, epochs=(11, 12)):
    """Put a finished training with its published files in place; return its layout."""
    layout = session.layout.variant(name)
    Journal(layout.checkpoints).start_attempt("recipe", 4)
    for epoch in epochs:
        with CheckpointStore(layout.checkpoints).writing("recipe", epoch, finished=epoch == 12, batch=4) as draft:
            (draft / "state.pt").write_bytes(b"state")
    for path in outputs(layout):
        path.write_text("published")
    return layout


def outputs(layout):
    return [layout.best, layout.last, layout.results_csv, layout.training]


def checkpoints(layout):
    return sorted(path.name for path in layout.checkpoints.glob("epoch*"))


def test_a_second_run_of_a_session_is_refused_by_the_pid_of_the_first(session):
    with running_elsewhere() as first, pytest.raises(UserError) as refused:
        lifecycle.start(session)
    assert str(refused.value) == (
        f"results/s/.lock: session s is in use by process {first.pid}"
        " — wait for it to end, or end it, then run the same command again"
    )


def test_a_killed_run_leaves_no_lock(session):
    with running_elsewhere() as first:
        first.kill()
        first.wait()
        lifecycle.start(session)
    assert session.layout.config.is_file()


def test_another_session_runs_beside_it(session):
    with running_elsewhere():
        lifecycle.start(load_session({"session": "another"}))


def test_the_refused_run_changes_nothing(session):
    layout = trained(session, NAME)
    lifecycle.end(session)
    with running_elsewhere():
        layout.best.unlink()
        session.layout.config.write_text("of the first run")
        with pytest.raises(UserError):
            lifecycle.start(session)
    assert session.layout.config.read_text() == "of the first run"
    assert checkpoints(layout) == ["epoch00012"]


@pytest.mark.parametrize("name", ["logs", "benchmarks", "data", NAME, ".", "config.json", ".lock"])
def test_what_stands_in_the_way_of_a_session_is_named_before_it_starts(session, name):
    path = (session.root / name).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in {"config.json", ".lock"}:
        path.mkdir()
    else:
        path.write_text("mine")
    with pytest.raises(UserError, match=r"stands where a (file|folder) is needed|has to be a regular file") as refused:
        lifecycle.start(session)
    assert str(path.relative_to(Path.cwd())) in str(refused.value)
    assert path.is_dir() or path.read_text() == "mine"


@pytest.mark.parametrize("name", ["logs/check_dataset.log", "benchmarks/train/level2_relu.tsv"])
def test_a_file_behind_a_link_among_the_logs_is_not_written(session, tmp_path, name):
    (tmp_path / "precious").write_text("mine")
    (session.root / name).parent.mkdir(parents=True)
    (session.root / name).symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=f"{name}: a link, through which {tmp_path}/precious is written — remove"):
        lifecycle.start(session)


@pytest.mark.parametrize("name", ["logs", "logs/check_dataset.log", "benchmarks/train", NAME])
def test_what_the_jobs_may_not_write_is_named_before_it_starts(session, monkeypatch, name):
    locked = session.root / name
    (locked.parent if locked.suffix else locked).mkdir(parents=True)
    if locked.suffix:
        locked.touch()
    monkeypatch.setattr(lifecycle.os, "access", lambda path, _mode: Path(path) != locked)
    with pytest.raises(UserError, match=f"{locked}: not allowed to write — make it writable"):
        lifecycle.start(session)


def test_the_jobs_read_the_configuration_of_the_session(session):
    lifecycle.start(session)
    written = json.loads(session.layout.config.read_text())
    assert written == session.document
    assert load_session(written) == session


def test_the_end_marks_a_complete_training_and_keeps_its_newest_checkpoint(session):
    layout = trained(session, NAME)
    lifecycle.end(session)
    assert (layout.checkpoints / DELIVERED).exists()
    assert checkpoints(layout) == ["epoch00012"]


@pytest.mark.parametrize("missing", range(4))
def test_the_end_leaves_an_incomplete_training_its_checkpoints(session, missing):
    layout = trained(session, NAME)
    outputs(layout)[missing].unlink()
    lifecycle.end(session)
    assert not (layout.checkpoints / DELIVERED).exists()
    assert checkpoints(layout) == ["epoch00011", "epoch00012"]


def test_a_deleted_best_pt_asks_for_a_new_training_of_that_variant_and_nothing_is_lost(session):
    layout, other = trained(session, NAME), trained(session, OTHER)
    lifecycle.end(session)
    layout.best.unlink()
    lifecycle.start(session)
    assert checkpoints(layout) == []
    assert not (layout.checkpoints / DELIVERED).exists()
    assert Journal(layout.checkpoints).run == {}
    retired = layout.checkpoints / "superseded" / "retired-recipe"
    assert sorted(path.name for path in retired.iterdir()) == ["epoch00012", "run.json"]
    assert CheckpointStore(retired).newest("recipe", pytest.fail).finished
    assert checkpoints(other) == ["epoch00012"]
    assert (other.checkpoints / DELIVERED).exists()
    assert Journal(other.checkpoints).run["attempts"] == 1


def test_what_a_person_deletes_twice_is_put_away_twice(session):
    for _ in range(2):
        layout = trained(session, NAME)
        lifecycle.end(session)
        layout.best.unlink()
        lifecycle.start(session)
        lifecycle._open_sessions.close()
    names = sorted(path.name for path in (layout.checkpoints / "superseded").iterdir())
    assert names == ["retired-recipe", "retired-recipe.1"]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_any_other_output_of_a_delivered_training_comes_back_from_its_checkpoint(session, missing):
    layout = trained(session, NAME)
    lifecycle.end(session)
    outputs(layout)[missing].unlink()
    lifecycle.start(session)
    assert checkpoints(layout) == ["epoch00012"]
    assert Journal(layout.checkpoints).run["recipe"] == "recipe"


def test_outputs_that_snakemake_deleted_before_a_job_are_no_wish_for_a_new_training(session):
    """It deletes all of them, training.json first, when it starts the job and when the job fails."""
    layout = trained(session, NAME)
    lifecycle.end(session)
    for path in (layout.training, layout.best, layout.last, layout.results_csv):
        path.unlink()
        lifecycle.start(session)
        lifecycle._open_sessions.close()
        assert checkpoints(layout) == ["epoch00012"]


def test_a_training_that_had_stopped_for_good_is_tried_again(session):
    layout = session.layout.variant(NAME)
    journal = Journal(layout.checkpoints)
    journal.start_attempt("recipe", 4)
    journal.stop(fact("memory_out"))
    lifecycle.start(session)
    assert Journal(layout.checkpoints).stopped("recipe") is None


def test_a_complete_delivery_keeps_its_checkpoint(session):
    layout = trained(session, NAME)
    lifecycle.end(session)
    lifecycle.start(session)
    assert checkpoints(layout) == ["epoch00012"]


def test_checkpoints_that_were_never_delivered_are_kept_whatever_is_missing(session):
    layout = trained(session, NAME)
    for path in outputs(layout):
        path.unlink()
    lifecycle.start(session)
    assert checkpoints(layout) == ["epoch00011", "epoch00012"]
    assert Journal(layout.checkpoints).run["recipe"] == "recipe"


def test_published_files_without_checkpoints_are_left_as_they_are(session):
    layout = session.layout.variant(NAME)
    layout.train.mkdir(parents=True)
    for path in outputs(layout):
        path.write_text("published")
    lifecycle.end(session)
    assert not layout.checkpoints.exists()


def test_a_disk_that_is_full_at_the_start_is_one_error_that_says_what_to_do(session, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(
        DiskFull, match=r"^results/s/\.lock: no space left while starting the session — free disk space"
    ):
        lifecycle.start(session)


def test_logs_that_cannot_be_written_are_refused_before_anything_starts(session, monkeypatch):
    (session.layout.logs / "train").mkdir(parents=True)
    monkeypatch.setattr("os.access", lambda path, _: path.name != "train")
    with pytest.raises(UserError, match=r"/results/s/logs/train: not allowed to write — make it writable"):
        lifecycle.start(session)
    assert not session.layout.config.exists()
