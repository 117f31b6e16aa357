"""The state of a session: frozen dataclasses, and a document of ``monitor.schema.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .. import documents
from .jobs import Job

NEW, STOPPED = "new", "stopped"


@dataclass(frozen=True)
class Training:
    """How far a training is.

    Attributes:
        phase: ``phase`` of ``status.schema.json``; None without a status.
        epoch: the current or the last finished one, from 1.
        epochs: of the configuration.
        epochs_done: finished epochs.
        batch: finished batches of the epoch or its validation.
        batches: batches of the epoch or its validation.
        images_per_batch: lower than configured after running out of memory.
        losses: mean over the epoch so far, or of the last finished one.
        map50: of the last validation.
        map50_95: of the last validation.
        seconds_trained: of all finished epochs.
        seconds_per_epoch: mean of the last five, training and validation.
        images_per_s: trained images per second in this epoch, loading included; while it runs only.
        seconds_left: remaining epochs at ``seconds_per_epoch``: an estimate; while it runs only.
        attempts: processes that were started for it.
        cpu_percent: of its process, 100 for one processor.
        memory_mib: resident memory of its process.
        host: where it runs or ran.
        pid: its process there.
        seen: when its status was last written, ISO 8601.
        gpu: UUID of the GPU it runs on.
    """

    phase: str | None
    epoch: int | None
    epochs: int
    epochs_done: int
    batch: int | None
    batches: int | None
    images_per_batch: int | None
    losses: dict[str, float | None] | None
    map50: float | None
    map50_95: float | None
    seconds_trained: float | None
    seconds_per_epoch: float | None
    images_per_s: float | None
    seconds_left: float | None
    attempts: int
    cpu_percent: float | None
    memory_mib: float | None
    host: str | None
    pid: int | None
    seen: str | None
    gpu: str | None


@dataclass(frozen=True)
class VariantState:
    """One variant.

    Attributes:
        name: the variant.
        state: ``running``, ``done``, ``failed``, ``stopped`` (begun, and nothing shows that it still runs), ``waiting``
            (the session runs, its turn comes later) or ``new``.
        stage: the rule that runs, failed, stopped or is next.
        words: evidence, reason, or what it waits for.
        jobs: of all its rules, in order.
        training: how far its training is.
        map50_95: ``{"float": …, "int8": …}`` of the best weights on val, once evaluated.
        incidents: how many there were.
        incident: the last one, ``{"time", "kind", "message"}``.
    """

    name: str
    state: str
    stage: str
    words: str | None
    jobs: tuple[Job, ...]
    training: Training
    map50_95: dict[str, float | None]
    incidents: int
    incident: dict[str, str] | None


@dataclass(frozen=True)
class Gpu:
    """A GPU in use: its host, the variant that trains on it, and ``gpu`` of ``status.schema.json``, figures of NVML."""

    host: str
    variant: str
    figures: documents.StatusGpu


@dataclass(frozen=True)
class SessionState:
    """A session at one moment.

    Attributes:
        name: the session.
        folder: its results, absolute.
        time: the moment, ISO 8601.
        state: ``running``, ``done``, ``failed`` (over, something failed), ``stopped`` (over, something is left to do)
            or ``new``.
        words: the evidence for ``running``.
        started: when Snakemake last started on it, ISO 8601.
        elapsed_s: seconds since then, while it runs.
        jobs: those that the variants share.
        variants: in the order of the grid.
        counts: variants by state.
        epochs_done: finished epochs of the variants that have not failed.
        epochs: all epochs of those variants.
        trained_s: known seconds of all finished epochs.
        seconds_left: of training, an estimate; None before the first epoch is finished, 0 when nothing is left.
        retries: attempts beyond the first of each training.
        incidents: of all trainings.
        gpus: those in use by a training.
        disk_free_gib: of the file system of the results.
        disk_needed_gib: of the whole session, as estimated by check_environment.
        report: whether report.html exists.
    """

    name: str
    folder: str
    time: str
    state: str
    words: str | None
    started: str | None
    elapsed_s: float | None
    jobs: tuple[Job, ...]
    variants: tuple[VariantState, ...]
    counts: dict[str, int]
    epochs_done: int
    epochs: int
    trained_s: float
    seconds_left: float | None
    retries: int
    incidents: int
    gpus: tuple[Gpu, ...]
    disk_free_gib: float
    disk_needed_gib: float | None
    report: bool

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the state, without its ``schema_version``."""
        return json.loads(json.dumps(asdict(self)))
