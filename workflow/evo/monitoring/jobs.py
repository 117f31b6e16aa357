"""The jobs of a session, each with what its output, its log and its benchmark say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ..config.session import Session
from ..layout import VariantLayout
from ..results.collect import PER_BOARD, STAGES
from ..results.logs import benchmark_file, log_file, logged_error
from .pulse import STALE_SECONDS, Pulse
from .words import clock_time, plain

DONE, RUNNING, FAILED, INTERRUPTED, WAITING = "done", "running", "failed", "interrupted", "waiting"


@dataclass(frozen=True)
class Job:
    """One job of a variant, or of the session.

    Attributes:
        rule: its name.
        board: the board it works for; None where the rule runs once.
        state: ``done``; ``running``, when there is evidence for it; ``failed``; ``interrupted``, when it began and
            nothing says that it goes on; ``waiting``, when it has not begun.
        words: the evidence, or the error.
        seconds: how long it took, by Snakemake's benchmark.
    """

    rule: str
    board: str | None
    state: str
    words: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """The run of Snakemake on this session.

    Attributes:
        holder: its process, which holds the session's lock; None when no process of this host does.
        started: when it took the lock, seconds since 1970; None when none ever did.
        now: seconds since 1970.
    """

    holder: int | None
    started: float | None
    now: float

    def begins_anew(self, moment: float) -> bool:
        """Return whether what broke off or failed at that moment, in an earlier run, is still to come in this one."""
        return self.holder is not None and self.started is not None and moment < self.started


def session_jobs(session: Session, run: Run) -> list[Job]:
    """Return the jobs that the variants share, in order."""
    layout = session.layout
    outputs = {"check_environment": layout.environment}
    if session.data is None:
        outputs["draw_digits"] = layout.digits / "data.yaml"
    outputs |= {"check_dataset": layout.fingerprint, "compare_variants": layout.report}
    return [_job(layout.root, rule, None, None, output, run) for rule, output in outputs.items()]


def variant_jobs(session: Session, name: str, pulse: Pulse | None, run: Run) -> list[Job]:
    """Return the jobs of one variant in order; ``pulse`` is that of its training."""
    layout = session.layout.variant(name)
    jobs = []
    for rule, board, output in _outputs(layout, session.npu.boards):
        job = _job(layout.root, rule, name, board, output, run)
        jobs.append(_with_pulse(job, pulse, run) if rule == "train" and pulse else job)
    return jobs


@cache
def _outputs(layout: VariantLayout, boards: tuple[str, ...]) -> tuple[tuple[str, str | None, Path], ...]:
    """Return rule, board and file of each job of a variant."""
    return tuple(_each_output(layout, boards))


def _each_output(layout: VariantLayout, boards: tuple[str, ...]) -> Iterator[tuple[str, str | None, Path]]:
    for rule, (attribute, _) in STAGES.items():
        for board in boards if rule in PER_BOARD else (None,):
            yield rule, board, getattr(layout.board(board) if board else layout, attribute)
    for board in boards:
        yield "bundle_deploy", board, layout.board(board).deploy
    yield "render_report", None, layout.report


def _job(root: Path, rule: str, variant: str | None, board: str | None, output: Path, run: Run) -> Job:
    """Judge a job. Snakemake removes its output before it starts it, and each start empties its log."""
    if output.exists():
        return Job(rule, board, DONE, seconds=_benchmark(benchmark_file(root, rule, variant, board)))
    log = log_file(root, rule, variant, board)
    try:
        spoke = log.stat().st_mtime
    except OSError:
        return Job(rule, board, WAITING)
    if run.begins_anew(spoke):
        return Job(rule, board, WAITING)
    if error := logged_error(log):
        return Job(rule, board, FAILED, plain(error))
    silent = max(run.now - spoke, 0.0)
    if run.holder is not None:
        return Job(rule, board, RUNNING, f"Snakemake is process {run.holder}, log written {silent:.0f} s ago")
    if silent < STALE_SECONDS:
        return Job(rule, board, RUNNING, f"log written {silent:.0f} s ago")
    return Job(rule, board, INTERRUPTED, f"no result, and no word since {clock_time(spoke, run.now)}")


def _with_pulse(job: Job, pulse: Pulse, run: Run) -> Job:
    if pulse.alive:
        return replace(job, state=RUNNING, words=pulse.evidence)
    if job.state in {DONE, FAILED} or run.begins_anew(pulse.seen):
        return job
    since = clock_time(pulse.seen, pulse.seen + pulse.age_s)
    state = FAILED if pulse.status["phase"] == "failed" else INTERRUPTED
    return replace(job, state=state, words=plain(f"not running since {since}: {pulse.evidence}"))


def _benchmark(path: Path) -> float | None:
    """Return the seconds of the first run in a benchmark of Snakemake; None without a readable one."""
    try:
        header, first = path.read_text().splitlines()[:2]
        seconds = float(dict(zip(header.split("\t"), first.split("\t"), strict=False))["s"])
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    except (OSError, ValueError, KeyError):
        return None
