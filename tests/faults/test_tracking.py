"""TensorBoard and MLflow follow a training across a kill, and change nothing of it; unasked, nothing is written."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tools.faults import EPOCHS, SETUPS, VARIANT, Bench, Kill, differences, outcome
from workflow.evo.training.tracking import INTEGRATIONS

SETUP = SETUPS[0]


def outside_of_pytest() -> None:
    """Ultralytics' integrations stay silent in a test."""
    import ultralytics.utils

    ultralytics.utils.TESTS_RUNNING = False


def tracks(folder: Path) -> list[str]:
    names = ("*tfevents*", "mlruns", "mlflow*", "tracking", "wandb", "*.dvc")
    return sorted(str(path.relative_to(folder)) for name in names for path in folder.rglob(name))


def test_both_trackers_follow_a_training_across_a_kill_and_change_no_bit(bench: Bench, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN"):
        monkeypatch.delenv(name, raising=False)
    silent = bench.session(SETUP)
    assert bench.train(silent, outside_of_pytest) == 0
    reference = outcome(silent)
    assert tracks(bench.folder) == []

    bench.clear(silent)
    session = replace(silent, track=("tensorboard", "mlflow"))
    assert bench.train(session, outside_of_pytest, Kill("batch", 8, 0.0)) == -signal.SIGKILL
    assert bench.train(session, outside_of_pytest) == 0
    assert differences(reference, outcome(session)) == []

    layout = session.layout.variant(VARIANT)
    assert set(event_steps(layout.checkpoints / "work", "metrics/mAP50-95(B)")) == set(range(1, EPOCHS + 1))
    runs = mlflow_runs(session.layout.tracking / "mlflow.db")
    assert [(name, status) for name, status, _ in runs] == [(VARIANT, "RUNNING"), (f"{VARIANT} attempt 2", "FINISHED")]
    assert set().union(*(steps for *_, steps in runs)) == set(range(EPOCHS))
    artifacts = session.layout.tracking / "artifacts"
    assert [path.parent.name for path in artifacts.rglob("best.pt")] == ["weights"]
    from ultralytics.utils import SETTINGS_FILE  # of this process, which may have begun with other tests

    settings = json.loads(Path(SETTINGS_FILE).read_text())
    assert {name for name in INTEGRATIONS if settings[name]} == {"tensorboard", "mlflow"}
    assert not (bench.folder / "mlruns").exists()


def event_steps(folder: Path, tag: str) -> list[int]:
    """Return the steps of a scalar in the event files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


def mlflow_runs(database: Path) -> list[tuple[str, str, set[int]]]:
    """Return name, status and the steps of the accuracy of every run, in the order of their start."""
    with closing(sqlite3.connect(database)) as connection:
        runs = connection.execute("SELECT run_uuid, name, status FROM runs ORDER BY start_time").fetchall()
        steps = connection.execute("SELECT run_uuid, step FROM metrics WHERE key = 'metrics/mAP50-95B'").fetchall()
    return [(name, status, {step for owner, step in steps if owner == run}) for run, name, status in runs]
