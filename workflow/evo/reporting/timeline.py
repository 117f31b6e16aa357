"""When each job of a session ran: from the wall times that Snakemake kept, and what trainings recorded themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..layout import SessionLayout
from ..results.benchmarks import span
from ..results.stages import CHECKS, SESSION, STAGES, boards_of
from .summary import VariantSummary

SHARED = tuple(stage for stage in STAGES if stage.scope == SESSION and stage.group == CHECKS)
"""Stages that run once per session, before any variant."""

WAITING = "waiting"
"""The stage of a bar in which no job of the variant ran."""

LEAST_WAIT = 1.0
"""Shortest time between two jobs of a variant, in seconds, that is drawn as waiting."""


@dataclass(frozen=True)
class Bar:
    """One job of the timeline.

    Attributes:
        row: the variant; None for a job of the whole session.
        stage: name of the rule, or `WAITING`.
        start: seconds since 1970.
        end: the same.
    """

    row: str | None
    stage: str
    start: float
    end: float


@dataclass(frozen=True)
class Mark:
    """An incident of a training, at a moment in seconds since 1970."""

    row: str
    time: float
    incident: Mapping[str, Any]


def read_timeline(root: Path, variants: Iterable[VariantSummary]) -> list[Bar]:
    """Return the jobs whose time is known, in the order of their start.

    The end of a job is when Snakemake wrote its benchmark, its start that minus the wall time. A training that was
    interrupted spans all its attempts.
    """
    session = SessionLayout(root)
    bars = [Bar(None, stage.rule, *found) for stage in SHARED if (found := span(stage.benchmark(session)))]
    for variant in variants:
        own = [
            Bar(variant.name, stage.rule, *found)
            for stage in STAGES
            if stage.scope != SESSION
            for board in boards_of(stage, variant.document["boards"])
            if (found := span(stage.benchmark(session, variant.name, board)))
        ]
        own = _with_training(variant, own)
        bars += own + _pauses(variant.name, own)
    return sorted(bars, key=lambda bar: (bar.start, bar.end))


def marks(variants: Iterable[VariantSummary]) -> list[Mark]:
    """Return the incidents of the trainings whose time is known."""
    return [
        Mark(variant.name, moment, incident)
        for variant in variants
        for incident in variant.document["incidents"]
        if (moment := _moment(incident["time"])) is not None
    ]


def _with_training(variant: VariantSummary, bars: list[Bar]) -> list[Bar]:
    """Let the training begin where its first attempt did: its benchmark is of the last one."""
    started, finished = map(_moment, (variant.training.started, variant.training.finished))
    if started is None or finished is None:
        return bars
    last = next((bar for bar in bars if bar.stage == "train"), Bar(variant.name, "train", started, finished))
    whole = Bar(last.row, "train", min(started, last.start), max(finished, last.end))
    return [*(bar for bar in bars if bar.stage != "train"), whole]


def _pauses(name: str, bars: list[Bar]) -> list[Bar]:
    """Return the times between the jobs of one variant."""
    found, reached = [], None
    for bar in sorted(bars, key=lambda bar: bar.start):
        if reached is not None and bar.start - reached >= LEAST_WAIT:
            found.append(Bar(name, WAITING, reached, bar.start))
        reached = bar.end if reached is None else max(reached, bar.end)
    return found


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (OverflowError, OSError, TypeError, ValueError):
        return None
