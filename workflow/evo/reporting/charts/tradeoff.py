"""Accuracy against latency: which variants are not beaten in both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...text import wording
from ...text.language import Language
from ...text.misses import verdict
from ..summary import VariantSummary
from .chart import TABULATED, Chart, Palette, data, emphasis, finish, tip


def pareto(
    variants: list[VariantSummary],
    boards: list[str],
    accuracies: Iterable[Mapping[str, Any]],
    palette: Palette,
    language: Language,
) -> Chart | None:
    """Accuracy in int8 against latency on each board, SRAM as size; None where there are no two variants to compare.

    Args:
        variants: of the session.
        boards: of the session.
        accuracies: of ``summary.json``: one point each, at the mean over its replicates, with its interval.
        palette: what colours distinguish.
        language: of the texts.
    """
    import altair as alt

    _ = language.gettext
    rows: list[dict[str, Any]] = []
    limits: list[dict[str, Any]] = []
    by_name, accuracies = {v.name: v for v in variants}, list(accuracies)
    for board in boards:
        points: list[dict[str, Any]] = []
        for entry in accuracies:
            variant, accuracy = by_name[entry["file"]], entry["int8"]["val"]["map50_95"]
            compiled, latency = variant.trained(board), variant.latency(board)
            milliseconds = compiled.latency_ms if latency.ms is None else latency.ms
            if accuracy["value"] is None or milliseconds is None:
                continue
            points.append(
                {
                    "variant": variant.name,
                    "first": variant.first,
                    "level": str(wording.DASH if variant.document["level"] is None else variant.document["level"]),
                    "activation": variant.group,
                    "board": board,
                    "latency": milliseconds,
                    "source": _("measured") if latency.measured else _("estimated by Vela"),
                    "accuracy": accuracy["value"],
                    "low": accuracy["low"],
                    "high": accuracy["high"],
                    "float": variant.float_val.map50_95,
                    "sram": compiled.used_kib("sram"),
                    "flash": compiled.used_kib("flash"),
                    "whole": latency.ms is not None,
                    "gates": verdict(variant.missed(board), language),
                }
            )
            limit = variant.latency_limit_ms
            if limit is not None and {"board": board, "limit": limit} not in limits:
                limits.append({"board": board, "limit": limit})
        middle = sum(point["latency"] for point in points) / max(1, len(points))
        for point in points:
            point["left"] = point["latency"] <= middle  # its name is written towards the middle
            point["front"] = point["whole"] and not any(_dominates(other, point) for other in points)
        rows += points
    if len({row["variant"] for row in rows}) < 2:
        return None

    shown = alt.param(name="board", value=boards[0])
    here = "datum.board == board"
    x = alt.X(
        "latency:Q",
        title=_("Latency, ms (estimated by Vela where not measured)"),
        scale=alt.Scale(zero=False, nice=False, padding=26),
        axis=alt.Axis(tickCount=8),
    )
    y = alt.Y(
        "accuracy:Q", title=_("int8 mAP50-95 on val (measured)"), scale=alt.Scale(zero=False, nice=True, padding=18)
    )
    base = alt.Chart(data(rows)).transform_filter(here)
    front = (
        base.transform_filter("datum.front")
        .mark_line(strokeDash=[4, 3], strokeWidth=1.4, color="var(--muted)", interpolate="step-after")
        .encode(x=x, y=y, order="latency:Q")
    )
    marks = base.mark_point(filled=True, strokeWidth=2).encode(
        x=x,
        y=y,
        color=palette.colour,
        stroke=palette.outline,
        size=alt.Size(
            "sram:Q",
            scale=alt.Scale(range=[0, 340], zero=True),
            legend=alt.Legend(
                title=_("SRAM, KiB"),
                orient="bottom",
                format=",.0f",
                values=_ends(rows, "sram"),
                symbolFillColor="var(--muted)",
                symbolStrokeWidth=0,
            ),
        ),
        fillOpacity=alt.condition("datum.whole", alt.value(0.85), alt.value(0)),
        opacity=emphasis(),
        tooltip=[
            tip(alt, "variant", _("Variant")),
            tip(alt, "level", _("Level")),
            tip(alt, "activation", _("Activation")),
            tip(alt, "accuracy", _("int8 mAP50-95, measured"), ".3f"),
            tip(alt, "low", _("Interval, from"), ".3f"),
            tip(alt, "high", _("to"), ".3f"),
            tip(alt, "float", _("float mAP50-95, measured"), ".3f"),
            tip(alt, "latency", _("Latency in ms"), ".2f"),
            tip(alt, "source", _("Latency is")),
            tip(alt, "sram", _("SRAM in KiB, allocated"), ",.0f"),
            tip(alt, "flash", _("Flash in KiB, counted"), ",.0f"),
            tip(alt, "gates", _("Gates")),
        ],
    )
    layers = [front, marks] if all(any(row["front"] for row in rows if row["board"] == b) for b in boards) else [marks]
    if any(row["low"] is not None for row in rows):
        intervals = base.transform_filter("datum.low != null").mark_rule(strokeWidth=1.4)
        low, faint = alt.Y("low:Q", title=None), emphasis(0.55)
        layers.insert(0, intervals.encode(x=x, y=low, y2="high:Q", color=palette.colour, opacity=faint))
    if len(rows) <= TABULATED * max(1, len(boards)):
        align, dx = alt.expr("datum.left ? 'left' : 'right'"), alt.expr("datum.left ? 8 : -8")
        named = base.mark_text(align=align, dx=dx, dy=-13, fontSize=12)
        layers.append(named.encode(x=x, y=y, text="variant:N", opacity=emphasis()))
    if limits:
        gates = alt.Chart(data(limits)).transform_filter(here)
        layers.append(gates.mark_rule(color="var(--bad)", strokeDash=[2, 2], strokeWidth=1.6).encode(x="limit:Q"))
    chart = alt.layer(*layers)
    return Chart(
        "pareto",
        _("Accuracy against latency"),
        _(
            "Scatter plot: further left is faster, further up is more accurate in int8, with its interval as a bar. "
            "The dashed line is the Pareto front: variants that no other beats in both."
        ),
        finish(chart, 400, shown),
        [
            _("Variant"),
            _("Board"),
            _("int8 mAP50-95"),
            _("Interval"),
            _("Latency"),
            _("Latency is"),
            _("SRAM"),
            _("On the Pareto front"),
        ],
        [
            [
                r["variant"],
                r["board"],
                wording.metric(r["accuracy"], language),
                wording.interval(r, language),
                wording.latency(r["latency"], language),
                r["source"],
                wording.kibibytes(r["sram"], language),
                _("yes") if r["front"] else _("no"),
            ]
            for r in rows
        ],
        palette.legend,
    )


def _dominates(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a whole network is as good in both and better in one."""
    left, right = (one["accuracy"], -one["latency"]), (other["accuracy"], -other["latency"])
    return one["whole"] and left != right and left[0] >= right[0] and left[1] >= right[1]


def _ends(rows: list[dict[str, Any]], key: str) -> list[float]:
    values = [row[key] for row in rows if row[key] is not None]
    return sorted({math.ceil(min(values)), math.ceil(max(values))}) if values else []
