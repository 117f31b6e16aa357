"""Which trackers may be asked for, and that the workflow refuses what is not installed before anything runs."""

import importlib.util
import os

import pytest

from workflow.evo.config.loading import load_session
from workflow.evo.errors import UserError
from workflow.evo.training.tracking import forget, prepare_mlflow, require_trackers


def test_nothing_is_tracked_unless_it_is_asked_for():
    assert load_session({}).track == ()
    assert load_session({"track": ["mlflow", "tensorboard"]}).track == ("mlflow", "tensorboard")


def test_an_unknown_tracker_is_refused_and_the_nearest_suggested():
    with pytest.raises(UserError, match=r"unknown tracker 'tensorbord' in 'track.0', did you mean 'tensorboard'\?"):
        load_session({"track": ["tensorbord"]})


@pytest.mark.parametrize("missing", ["tensorboard", "mlflow", "sqlalchemy"])
def test_a_missing_package_is_refused_in_one_line_with_what_to_install(monkeypatch, missing):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    tracker = "tensorboard" if missing == "tensorboard" else "mlflow"
    with pytest.raises(UserError) as refused:
        require_trackers(["tensorboard", "mlflow"])
    assert str(refused.value) == (
        f"configuration key 'track': {tracker}: not installed in this Python environment — "
        f"`.venv/bin/pip install {tracker}`, or leave it out"
    )


def test_a_folder_of_that_name_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(UserError, match="tensorboard: not installed"):
        require_trackers(["tensorboard"])


def test_the_users_own_mlflow_settings_win_and_nothing_is_made(monkeypatch, session):
    own = {"MLFLOW_TRACKING_URI": "http://server", "MLFLOW_RUN": "mine", "MLFLOW_DISABLE_TELEMETRY": "false"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    prepare_mlflow(session, "level2_relu")
    assert {name: os.environ[name] for name in own} == own
    assert os.environ.pop("MLFLOW_EXPERIMENT_NAME") == "v3"
    assert not session.layout.tracking.exists()


def test_events_of_an_earlier_training_are_forgotten_and_nothing_else(tmp_path):
    (tmp_path / "events.out.tfevents.1.host.2.0").touch()
    (tmp_path / "results.csv").touch()
    forget(tmp_path)
    forget(tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]
