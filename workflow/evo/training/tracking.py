"""TensorBoard and MLflow beside a training, through Ultralytics' own integrations and only when asked for.

Ultralytics decides by its settings, where most of them are on. They lie in this training's own folder, see
`workflow.evo.host.ultralytics_env`, so switching them touches nothing of the user's.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..config.session import Session
from ..errors import UserError

PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
"""Tracker and the packages that it imports. The first has its name, and brings the others when it is installed."""

INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
"""Settings of Ultralytics that add callbacks to a trainer (``add_integration_callbacks``)."""


def require_trackers(trackers: Iterable[str]) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        UserError: naming what to install.
    """
    missing = [name for name in trackers if not all(map(_installed, PACKAGES[name]))]
    if missing:
        raise UserError(
            f"{' and '.join(missing)}: not installed in this Python environment",
            where="configuration key 'track'",
            hint=f"`.venv/bin/pip install {' '.join(missing)}`, or leave it out",
        )


def _installed(package: str) -> bool:
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None  # without one it is a folder of that name, no package


def allow(trackers: Iterable[str]) -> None:
    """Let these, and no other integration of Ultralytics, follow the trainers that this process makes from now on."""
    from ultralytics.utils import SETTINGS

    SETTINGS.update({name: name in trackers for name in INTEGRATIONS})


@contextlib.contextmanager
def following(session: Session, run: str, log: Callable[[str], None]) -> Iterator[None]:
    """Let the session's trackers, and none else, follow a trainer that is made in the block.

    Args:
        session: its ``track`` names them.
        run: name of the run in MLflow.
        log: gets one line when MLflow cannot be used; the training goes on.
    """
    chosen = set(session.track)
    before = dict(os.environ)
    if "mlflow" in chosen:
        try:
            prepare_mlflow(session, run)
        except Exception as error:  # of a database or a server: a training does not depend on it
            chosen.remove("mlflow")
            log(f"MLflow does not follow this training: {' '.join(str(error).split())[:300]}")
    allow(chosen)
    try:
        yield
    finally:  # a process that starts again in this one's place decides anew
        for name in os.environ.keys() - before.keys():
            if name.startswith("MLFLOW_"):
                del os.environ[name]


def prepare_mlflow(session: Session, run: str) -> None:
    """Set what Ultralytics reads, unless the user has, and make the experiment: its files default to ``./mlruns``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", session.name)
    os.environ.setdefault("MLFLOW_RUN", run)
    if "MLFLOW_TRACKING_URI" in os.environ:
        return
    folder = session.layout.tracking.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    import mlflow

    name = os.environ["MLFLOW_EXPERIMENT_NAME"]
    if mlflow.get_experiment_by_name(name) is None:
        mlflow.create_experiment(name, artifact_location=(folder / "artifacts").as_uri())


def forget(folder: Path) -> None:
    """Remove TensorBoard's files of an earlier training, whose epochs would mix with those of a fresh one."""
    for path in Path(folder).glob("events.out.tfevents.*"):
        path.unlink()
