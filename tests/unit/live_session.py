"""A results folder as a running session leaves it: signs of life, logs and half of the outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psutil

from tests.unit.synthetic import write_checks, write_done, write_history, write_shared
from workflow.evo.config.session import Session
from workflow.evo.files import write_json
from workflow.evo.monitoring.state import SessionState, VariantState
from workflow.evo.monitoring.status_reader import StatusReader
from workflow.evo.monitoring.watch import Watch

NOW = 1_800_000_000.0
HERE = "boot/pid:[1]"


class Clock:
    """Both clocks of a reader, moved by hand."""

    def __init__(self) -> None:
        self.now, self.counted = NOW, 100.0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.counted += seconds


def watch(session: Session, clock: Clock | None = None) -> Watch:
    """Return a watch whose clocks stand still at `NOW`, on the machine `HERE`."""
    clock = clock or Clock()
    return Watch(session.root, status_reader=StatusReader(lambda: clock.now, lambda: clock.counted, HERE))


def look(session: Session) -> SessionState:
    return watch(session).read()


def of(state: SessionState, name: str) -> VariantState:
    return next(variant for variant in state.variants if variant.name == name)


def start(session: Session) -> None:
    """Write what Snakemake writes when it starts, an hour ago; no process holds the lock."""
    session.root.mkdir(parents=True, exist_ok=True)
    session.layout.config.write_text(json.dumps(session.document))
    write(session.layout.lock, "4711", age=3600)
    write_shared(session)
    write(session.layout.digits / "data.yaml", "names: []")


def write(path: Path, text: str, age: float = 0.0) -> Path:
    """Write a file that was changed ``age`` seconds before `NOW`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return aged(path, age)


def aged(path: Path, age: float) -> Path:
    os.utime(path, (NOW - age, NOW - age))
    return path


def write_status(session: Session, name: str, age: float = 1.0, **changes: Any) -> None:
    """Write status.json of a training in its third epoch of four, and what such a training has left so far."""
    layout = session.layout.variant(name)
    process = psutil.Process()
    document = {
        "variant": name,
        "phase": "training",
        "message": None,
        "beat": 7,
        "time": "2027-01-15T09:00:00.000+01:00",
        "started": "2027-01-15T08:59:00+01:00",
        "attempt": 1,
        "host": "box",
        "machine": "another boot",
        "pid": process.pid,
        "process_started": process.create_time(),
        "epoch": 3,
        "epochs": 4,
        "batch": 40,
        "batches": 76,
        "images_per_batch": 16,
        "losses": {"box": 1.234, "cls": 2.5, "dfl": 1.01},
        "metrics": {"epoch": 2, "map50": 0.512, "map50_95": 0.317},
        "seconds_trained": 123.0,
        "seconds_per_epoch": 61.5,
        "images_per_s": 19.6,
        "seconds_left": 90.0,
        "cpu_percent": 99.0,
        "memory_mib": 1843.2,
        "gpu": None,
        **changes,
    }
    write_json(layout.status, "status", document)
    aged(layout.status, age)
    write_history(layout.checkpoints / "work" / "results.csv", 2)
    write(layout.checkpoints / "run.json", json.dumps({"recipe": "r", "started": "2027-01-15", "attempts": 1}))
    write(session.root / "logs" / "train" / f"{name}.log", "epoch 3/4", age)


def write_finished(session: Session, name: str) -> None:
    """Write everything of a variant, its bundle and report too."""
    write_done(session, name, 0.5)
    session.layout.variant(name).report.write_text("# report\n")


GPU = {
    "uuid": "GPU-1",
    "name": "Test GPU",
    "utilisation_percent": 97.0,
    "memory_used_mib": 40_960.0,
    "memory_total_mib": 81_920.0,
    "temperature_c": 61.0,
    "power_w": 305.0,
    "power_limit_w": 700.0,
}

HOSTILE = "<script>alert(1)</script> [bold red]not markup[/] \x1b[2J\x9b31m \u202eevil\nsecond line"


def write_busy(session: Session) -> None:
    """Write a session whose variants are done, training on a GPU, failed, killed, and waiting for two reasons."""
    start(session)
    names = session.variant_names
    write_finished(session, names[0])
    write_checks(session, names[1])
    write_status(session, names[1], gpu=GPU)
    layout = session.layout.variant(names[1])
    incident = {"time": "2027-01-15T08:59:30+01:00", "kind": "out_of_memory", "message": HOSTILE}
    write(layout.checkpoints / "incidents.jsonl", json.dumps(incident) + "\n")
    write(session.root / "logs" / "validate_model" / f"{names[2]}.log", f"error: bad model {HOSTILE}\n", 60)
    write_checks(session, names[3])
    write_status(session, names[3], age=600)
    write_checks(session, names[4])
