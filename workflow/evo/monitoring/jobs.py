"""The jobs of a session, each with what its output, its log and its benchmark say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.session import Session
from ..results.benchmarks import wall_seconds
from ..results.logs import logged_error
from ..results.stages import benchmark_file, log_file, shared_stages, variant_stages
from .status_reader import STALE_SECONDS, Sign
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
    return [_job(layout.root, s.rule, None, None, s.output(layout), run) for s in shared_stages(session)]


def variant_jobs(session: Session, name: str, sign: Sign | None, run: Run) -> list[Job]:
    """Return the jobs of one variant in order; ``sign`` is that of its training."""
    jobs = []
    for rule, board, output in _outputs(session, name):
        job = _job(session.layout.root, rule, name, board, output, run)
        jobs.append(_with_sign(job, sign, run) if rule == "train" and sign else job)
    return jobs


def _outputs(session: Session, name: str) -> Iterator[tuple[str, str | None, Path]]:
    """Yield rule, board and file of each job of a variant."""
    trained = session.layout.variant(name).training.exists()
    for stage, board in variant_stages(session):
        output = stage.output(session.layout, name, board)
        # A memory check is for a training to come: with the training, it is done.
        yield (
            stage.rule,
            board,
            session.layout.variant(name).training if stage.rule == "check_memory" and trained else output,
        )


def _job(root: Path, rule: str, variant: str | None, board: str | None, output: Path, run: Run) -> Job:
    """Judge a job. Snakemake removes its output before it starts it, and each start empties its log."""
    if output.exists():
        return Job(rule, board, DONE, seconds=wall_seconds(benchmark_file(root, rule, variant, board)))
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


def _with_sign(job: Job, sign: Sign, run: Run) -> Job:
    if sign.alive:
        return replace(job, state=RUNNING, words=sign.evidence)
    if job.state in {DONE, FAILED} or run.begins_anew(sign.seen):
        return job
    since = clock_time(sign.seen, sign.seen + sign.age_s)
    state = FAILED if sign.status["phase"] == "failed" else INTERRUPTED
    return replace(job, state=state, words=plain(f"not running since {since}: {sign.evidence}"))
