"""From the files of a session to its state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.loading import recorded_session
from ..config.session import Session
from ..host.environment import GIB
from ..host.process import lock_holder
from ..layout import SessionLayout
from ..results.collect import collect_variant, files_of_variant
from ..results.journal import Journal
from ..results.read import read_if_there
from ..results.stages import BY_RULE, CHECKS
from ..text.facts import sentence
from ..training.progress import seconds_per_epoch
from .jobs import DONE, FAILED, INTERRUPTED, RUNNING, WAITING, Job, Run, session_jobs, variant_jobs
from .state import NEW, STOPPED, Gpu, SessionState, Training, VariantState
from .status_reader import StatusReader, TrainingStatus
from .words import iso_time, plain

Seen = tuple[TrainingStatus | None, list[Job], dict[str, Any]]
"""Of one variant: the status of its training, its jobs, and its summary."""


class Watch:
    """Reads the state of the session in ``root`` repeatedly. It writes nothing there and takes no lock.

    Args:
        root: the session's results folder.
        session: used while there is no ``config.json``.
        status_reader: reads the status files of trainings.
    """

    def __init__(self, root: Path, session: Session | None = None, status_reader: StatusReader | None = None):
        self.root, self._session = Path(root), session
        self.status_reader = status_reader or StatusReader()
        self._summaries: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._files: dict[str, list[str]] = {}  # what each summary is made from
        self._recorded: tuple[Any, Session] | None = None  # the session, and of which config.json it is

    def read(self) -> SessionState:
        """Return the state now.

        Raises:
            UserError: ``root`` is not the folder of a session.
        """
        session = self._current()
        layout, now = session.layout, self.status_reader.clock()
        started = layout.lock.stat().st_mtime if layout.lock.is_file() else None
        run = Run(lock_holder(layout.lock), started, now)
        shared = session_jobs(session, run)
        seen = [self._look(session, name, run) for name in session.variant_names]
        active = run.holder is not None or any(
            job.state == RUNNING for jobs in (shared, *(jobs for _, jobs, _ in seen)) for job in jobs
        )
        variants = tuple(
            _variant(session, name, *found, shared, active)
            for name, found in zip(session.variant_names, seen, strict=True)
        )
        counts = {state: sum(variant.state == state for variant in variants) for state in _STATES}
        environment, _ = read_if_there(layout.environment, "environment")
        existing = next(folder for folder in (self.root, *self.root.absolute().parents) if folder.is_dir())
        hopeful = [variant.training for variant in variants if variant.state != FAILED]
        words = None if not active else f"Snakemake is process {run.holder}" if run.holder else "its jobs are active"
        return SessionState(
            name=session.name,
            folder=str(self.root.absolute()),
            time=iso_time(now),
            state=_state(active, shared, counts),
            words=words,
            started=None if started is None else iso_time(started),
            elapsed_s=round(max(now - started, 0.0), 1) if active and started else None,
            jobs=tuple(shared),
            variants=variants,
            counts=counts,
            epochs_done=sum(training.epochs_done for training in hopeful),
            epochs=sum(training.epochs for training in hopeful),
            trained_s=round(sum(variant.training.seconds_trained or 0.0 for variant in variants), 1),
            seconds_left=_seconds_left(variants),
            retries=sum(max(variant.training.attempts - 1, 0) for variant in variants),
            incidents=sum(variant.incidents for variant in variants),
            gpus=_gpus(session, seen),
            disk_free_gib=round(shutil.disk_usage(existing).free / GIB, 1),
            disk_needed_gib=environment["disk_needed_gib"] if environment else None,
            report=layout.report.is_file(),
        )

    def _current(self) -> Session:
        """Return the session of the present ``config.json``, read again only when that has changed."""
        path = SessionLayout(self.root).config
        signature = _signature(str(path))
        if signature is None and self._session is not None:
            return self._session
        if self._recorded is None or signature is None or self._recorded[0] != signature:
            self._recorded = signature, recorded_session(self.root)
            self._files.clear()
        return self._recorded[1]

    def _look(self, session: Session, name: str, run: Run) -> Seen:
        status = self.status_reader.read(session.layout.variant(name).status)
        return status, variant_jobs(session, name, status, run), self._summary(session, name)

    def _summary(self, session: Session, name: str) -> dict[str, Any]:
        """Return `collect_variant`, read again when one of the files that it reads has changed."""
        if name not in self._files:
            self._files[name] = [str(path) for path in files_of_variant(session, name)]
        signature = [_signature(path) for path in self._files[name]]
        if name not in self._summaries or self._summaries[name][0] != signature:
            self._summaries[name] = signature, collect_variant(session, name)
        return self._summaries[name][1]


_STATES = (RUNNING, DONE, FAILED, STOPPED, WAITING, NEW)


def _signature(path: str) -> tuple[int, int, int] | None:
    try:
        facts = os.stat(path)  # noqa: PTH116 (a dozen per variant at every look)
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _state(active: bool, shared: list[Job], counts: dict[str, int]) -> str:
    if active:
        return RUNNING
    if counts[FAILED] or any(job.state == FAILED for job in shared):
        return FAILED
    if all(job.state == DONE for job in shared) and counts[DONE] == sum(counts.values()):
        return DONE
    return NEW if counts[NEW] == sum(counts.values()) and all(job.state == WAITING for job in shared) else STOPPED


def _variant(
    session: Session,
    name: str,
    status: TrainingStatus | None,
    jobs: list[Job],
    summary: dict[str, Any],
    shared: list[Job],
    active: bool,
) -> VariantState:
    state, stage, words = _verdict(jobs, summary, shared, active)
    incidents = summary["incidents"]
    last = {"time": incidents[-1]["time"], "kind": incidents[-1]["kind"]} if incidents else None
    if last:
        last = {key: plain(text) for key, text in {**last, "message": sentence(incidents[-1])}.items()}
    measured = {"float": summary["metrics"], "int8": summary["int8"]}
    return VariantState(
        name=name,
        state=state,
        stage=stage,
        words=words,
        jobs=tuple(jobs),
        training=_training(session, name, status, summary),
        map50_95={kind: document["val"]["map50_95"] if document else None for kind, document in measured.items()},
        incidents=len(incidents),
        incident=last,
    )


def _verdict(jobs: list[Job], summary: dict[str, Any], shared: list[Job], active: bool) -> tuple[str, str, str | None]:
    """Return state, stage and words of a variant."""
    if working := [job for job in jobs if job.state == RUNNING]:
        first = next((job for job in working if job.rule == "train"), working[0])
        return RUNNING, ", ".join(dict.fromkeys(job.rule for job in working)), first.words
    # What failed in an earlier run of the session waits for its turn in this one.
    waiting = {job.rule for job in (*jobs, *shared) if job.state == WAITING}
    if summary["status"] == "failed" and summary["stage"] not in waiting:
        return FAILED, summary["stage"], plain(sentence(summary["reason"]))
    for state, outcome in ((FAILED, FAILED), (INTERRUPTED, STOPPED)):
        if broken := next((job for job in jobs if job.state == state), None):
            return outcome, broken.rule, broken.words
    following = next((job for job in jobs if job.state == WAITING), None)
    if following is None:
        return DONE, jobs[-1].rule, None
    if active:
        stage = BY_RULE[following.rule]
        checks = [job.rule for job in shared if BY_RULE[job.rule].group == CHECKS and job.state != DONE]
        if stage.gpu and checks:
            return WAITING, following.rule, f"for {', '.join(checks)}"
        return WAITING, following.rule, "for its turn on the GPU token" if stage.gpu else "for a free processor"
    return (STOPPED if any(job.state == DONE for job in jobs) else NEW), following.rule, "not run yet"


def _training(session: Session, name: str, seen: TrainingStatus | None, summary: dict[str, Any]) -> Training:
    """Combine the status of the process, the history and ``training.json``; the most recent of them counts."""
    document, history = summary["training"], summary["history"]
    status: Mapping[str, Any] = seen.document if seen else {}
    live = status if seen and seen.alive else {}
    done = len(document["epochs"]) if document else int((history.get("epoch") or [0])[-1])
    losses = {key: history[f"{key}_loss"][-1] for key in ("box", "cls", "dfl") if f"{key}_loss" in history}
    metrics = status.get("metrics") or {key: (history.get(key) or [None])[-1] for key in ("map50", "map50_95")}
    run = Journal(session.layout.variant(name).checkpoints).run
    attempts = document["attempts"] if document else run.get("attempts", 0)
    pace = seconds_per_epoch(document["epochs"]) if document else status.get("seconds_per_epoch")
    return Training(
        phase=status.get("phase"),
        epoch=live.get("epoch") or done or None,
        epochs=session.train.epochs,
        epochs_done=done,
        batch=live.get("batch"),
        batches=live.get("batches"),
        images_per_batch=live.get("images_per_batch") or run.get("batch"),
        losses=status.get("losses") or losses or None,
        map50=metrics["map50"],
        map50_95=metrics["map50_95"],
        seconds_trained=document["epochs_seconds"] if document else status.get("seconds_trained"),
        seconds_per_epoch=None if pace is None else round(pace, 3),
        images_per_s=live.get("images_per_s"),
        seconds_left=live.get("seconds_left"),
        attempts=attempts if isinstance(attempts, int) else 0,
        cpu_percent=live.get("cpu_percent"),
        memory_mib=live.get("memory_mib"),
        host=status.get("host"),
        pid=status.get("pid"),
        seen=iso_time(seen.seen) if seen else None,
        gpu=(live.get("gpu") or {}).get("uuid"),
    )


def _seconds_left(variants: tuple[VariantState, ...]) -> float | None:
    """Return the training time that is left, with as many trainings at a time as run now.

    A training that has not begun is expected to have the mean pace of the others.
    """
    paces = [variant.training.seconds_per_epoch for variant in variants if variant.training.seconds_per_epoch]
    mean = sum(paces) / len(paces) if paces else None
    left, longest, at_a_time = 0.0, 0.0, 0
    for variant in variants:
        training = variant.training
        missing = training.epochs - training.epochs_done
        if variant.state in {DONE, FAILED} or missing <= 0:
            continue
        pace = training.seconds_per_epoch or mean
        if pace is None:
            return None
        mine = missing * pace if training.seconds_left is None else training.seconds_left
        left, longest = left + mine, max(longest, mine)
        at_a_time += training.pid is not None and variant.state == RUNNING
    return round(max(left / max(at_a_time, 1), longest), 1)


def _gpus(session: Session, seen: list[Seen]) -> tuple[Gpu, ...]:
    return tuple(
        Gpu(status.document["host"], name, status.document["gpu"])
        for name, (status, _, _) in zip(session.variant_names, seen, strict=True)
        if status and status.alive and status.document["gpu"]
    )
