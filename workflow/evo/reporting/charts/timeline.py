"""When each job of the session ran."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ...results.stages import BY_RULE, GROUPS
from ...text import wording
from ...text.facts import sentence
from ...text.language import Language
from ..timeline import WAITING, Bar, Mark
from .chart import Chart, data, emphasis, finish, tip

COLOURS = dict(
    zip(GROUPS, (f"var(--series-{number})" for number in (7, 0, 2, 4, 3)), strict=True),
    **{WAITING: "var(--rule)"},
)
"""Colour of each group of stages, in their order, and of the time in between."""


def group_names(language: Language) -> dict[str, str]:
    """Return what the groups of stages are called, in their order."""
    _ = language.gettext
    return {**{group: _(name) for group, name in GROUPS.items()}, WAITING: _("waiting: none of its jobs runs")}


def _group(rule: str) -> str:
    return BY_RULE[rule].group if rule in BY_RULE else WAITING


def timeline(bars: list[Bar], marks: list[Mark], order: list[str], language: Language) -> Chart | None:
    """When each job ran, in minutes or hours since the first one, with the incidents of the trainings."""
    import altair as alt

    _ = language.gettext
    if not bars:
        return None
    begin = min(bar.start for bar in bars)
    length = max([bar.end for bar in bars] + [mark.time for mark in marks]) - begin
    unit, scale = (_("hours"), 3600) if length > 3 * 3600 else (_("minutes"), 60)
    session, names = _("session"), group_names(language)
    stages = [names[group] for group in COLOURS]
    drawn: list[dict[str, Any]] = [
        {
            "variant": bar.row or session,
            "job": bar.stage if bar.stage != WAITING else names[WAITING],
            "stage": names[_group(bar.stage)],
            "start": round((bar.start - begin) / scale, 4),
            "end": round((bar.end - begin) / scale, 4),
            "lasts": wording.duration(bar.end - bar.start, language),
            "at": _clock(bar.start),
        }
        for bar in bars
    ]
    incidents = [
        {
            "variant": mark.row,
            "start": round((mark.time - begin) / scale, 4),
            "kind": wording.kind(mark.incident["kind"], language),
            "message": sentence(mark.incident, language),
            "at": _clock(mark.time),
        }
        for mark in marks
    ]
    rows = [session, *order] if any(bar.row is None for bar in bars) else order
    seen = {row["variant"] for row in drawn}
    rows = [row for row in rows if row in seen]
    y = alt.Y("variant:N", sort=rows, scale=alt.Scale(domain=rows), title=None, axis=alt.Axis(labelLimit=130))
    title = _("%(unit)s since %(moment)s UTC") % {"unit": unit, "moment": _clock(begin)}
    jobs = (
        alt.Chart(data(drawn))
        .mark_bar(height=alt.RelativeBandSize(0.66), minBandSize=1)
        .encode(
            x=alt.X("start:Q", title=title, axis=alt.Axis(tickCount=8)),
            x2="end:Q",
            y=y,
            color=alt.Color("stage:N", scale=alt.Scale(domain=stages, range=list(COLOURS.values())), legend=None),
            opacity=emphasis(1, 0.25),
            tooltip=[
                tip(alt, "variant", _("Variant")),
                tip(alt, "job", _("Job")),
                tip(alt, "lasts", _("Wall time")),
                tip(alt, "at", _("Started, UTC")),
            ],
        )
    )
    layers = [jobs]
    if incidents:
        layers.append(
            alt.Chart(data(incidents))
            .mark_point(shape="diamond", filled=True, size=90, color="var(--bad)", opacity=1)
            .encode(
                x="start:Q",
                y=y,
                tooltip=[
                    tip(alt, "variant", _("Variant")),
                    tip(alt, "message", _("Incident")),
                    tip(alt, "at", _("Time, UTC")),
                ],
            )
        )
    return Chart(
        "timeline",
        _("When each job ran"),
        _("Bars over time, one row per variant, coloured by stage; diamonds are incidents of the training."),
        finish(alt.layer(*layers), max(120, 26 * len(rows))),
        [_("Variant"), _("Job"), _("Started, UTC"), _("Wall time")],
        [[row["variant"], row["job"], row["at"], row["lasts"]] for row in drawn],
        [(colour, names[stage]) for stage, colour in COLOURS.items()],
    )


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
