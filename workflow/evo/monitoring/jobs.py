"""The jobs of a session, each with its state by its output, its log and its benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..config.session import Session
from ..results.benchmarks import wall_seconds
from ..results.logs import logged_error
from ..results.stages import Stage, shared_stages, variant_stages
from .status_reader import STALE_SECONDS, TrainingStatus
from .words import clock_time, plain

DONE, RUNNING, FAILED, INTERRUPTED, WAITING = "done", "running", "failed", "interrupted", "waiting"


@dataclass(frozen=True)
class Job:
    """One job of a variant, or of the session.

    Attributes:
        rule: the name of its rule.
        board: the board it is for, if for one.
        state: ``done``; ``running``, on evidence; ``failed``; ``interrupted``, when it began and nothing shows that it
            still runs; ``waiting``, when it has not begun.
        words: the evidence, or the error.
        seconds: wall time, from Snakemake's benchmark.
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
        holder: the process that holds the session's lock; None when no process of this host does.
        started: when the lock was last taken, seconds since 1970; None when it never was.
        now: seconds since 1970.
    """

    holder: int | None
    started: float | None
    now: float

    def will_repeat(self, moment: float) -> bool:
        """Return whether what failed or was interrupted at that moment, in an earlier run, is repeated in this one."""
        return self.holder is not None and self.started is not None and moment < self.started


def session_jobs(session: Session, run: Run) -> list[Job]:
    """Return the jobs that the variants share, in order."""
    return [_job(session, stage, None, None, run) for stage in shared_stages(session)]


def variant_jobs(session: Session, name: str, status: TrainingStatus | None, run: Run) -> list[Job]:
    """Return the jobs of one variant in order; ``status`` is that of its training."""
    trained = session.layout.variant(name).training.exists()
    jobs = []
    for stage, board in variant_stages(session):
        job = _job(session, stage, name, board, run)
        if trained and stage.before_training_only and job.state != DONE:
            continue
        jobs.append(_with_status(job, status, run) if stage.rule == "train" and status else job)
    return jobs


def _job(session: Session, stage: Stage, variant: str | None, board: str | None, run: Run) -> Job:
    """Return the state of a job. Snakemake removes its output before it starts it, and every start empties its log."""
    job = (session.layout, variant, board)
    if stage.output(*job).exists():
        return Job(stage.rule, board, DONE, seconds=wall_seconds(stage.benchmark(*job)))
    log = stage.log(*job)
    try:
        written = log.stat().st_mtime
    except OSError:
        return Job(stage.rule, board, WAITING)
    if run.will_repeat(written):
        return Job(stage.rule, board, WAITING)
    if error := logged_error(log):
        return Job(stage.rule, board, FAILED, plain(error))
    silent = max(run.now - written, 0.0)
    if run.holder is not None:
        return Job(stage.rule, board, RUNNING, f"Snakemake is process {run.holder}, log written {silent:.0f} s ago")
    if silent < STALE_SECONDS:
        return Job(stage.rule, board, RUNNING, f"log written {silent:.0f} s ago")
    return Job(stage.rule, board, INTERRUPTED, f"no result, and nothing logged since {clock_time(written, run.now)}")


def _with_status(job: Job, status: TrainingStatus, run: Run) -> Job:
    if status.alive:
        return replace(job, state=RUNNING, words=status.evidence)
    if job.state in {DONE, FAILED} or run.will_repeat(status.seen):
        return job
    since = clock_time(status.seen, status.seen + status.age_s)
    state = FAILED if status.document["phase"] == "failed" else INTERRUPTED
    return replace(job, state=state, words=plain(f"not running since {since}: {status.evidence}"))
