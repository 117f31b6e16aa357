"""The charts of the page as Vega-Lite, made with Altair: data and encodings only, the library draws.

Every chart has the parameter ``chosen``, the variants that a reader has picked in any table or chart of the page;
colours are CSS variables of the page, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..variants import PARTS
from . import wording
from .compare import NOISE, value_at
from .decision import Decision
from .evidence import OTHER
from .language import Language
from .timeline import WAITING, Bar, Mark

SERIES_COLOURS = 10
"""The style sheet defines ``--series-0`` to ``--series-9``."""

COLOURED = 8
"""Variants that colours can tell apart; of more, the colour says the activation."""

TABULATED = 12
"""Variants up to which a heat map has its figures written into the cells."""

SERIES = ("map50_95", "map50", "box_loss", "cls_loss")
"""Series of a training that are drawn; the first two are of val, the others of train."""

CONFIG = {
    "background": "transparent",
    "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK KR', sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--muted)",
        "gridColor": "var(--rule)",
        "labelColor": "var(--muted)",
        "labelFontSize": 12,
        "tickColor": "var(--rule)",
        "titleColor": "var(--muted)",
        "titleFontSize": 12,
        "titleFontWeight": 500,
        "titlePadding": 8,
    },
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 12, "titleColor": "var(--muted)", "titleFontSize": 12},
    "text": {"color": "var(--ink)"},
    "range": {"category": [f"var(--series-{index})" for index in range(SERIES_COLOURS)]},
}
"""The look of every chart."""


@dataclass(frozen=True)
class Chart:
    """One figure of the page.

    Attributes:
        id: names it in the page.
        title: what it shows.
        description: what a reader who cannot see it should know.
        spec: Vega-Lite; data that several charts share stands in it once per chart.
        head: titles of the columns of the table that says the same.
        rows: its cells.
        legend: colour and name of what the colours tell apart; empty where they are the variants'.
    """

    id: str
    title: str
    description: str
    spec: dict[str, Any]
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Palette:
    """How variants are told apart: by their own colour while there are few, by their activation otherwise."""

    field: str
    domain: list[str]

    @classmethod
    def of(cls, variants: Iterable[Mapping[str, Any]]) -> Palette:
        variants = list(variants)
        if len(variants) <= COLOURED:
            return cls("variant", [v["variant"] for v in variants])
        return cls("activation", list(dict.fromkeys(activation(v) for v in variants)))

    def index(self, variant: Mapping[str, Any]) -> int:
        """Return which of the series colours a variant has."""
        value = variant["variant"] if self.field == "variant" else activation(variant)
        return self.domain.index(value) % SERIES_COLOURS

    @property
    def colour(self) -> Any:
        import altair as alt

        return alt.Color(f"{self.field}:N", scale=alt.Scale(domain=self.domain), legend=None)

    @property
    def outline(self) -> Any:
        import altair as alt

        return alt.Stroke(f"{self.field}:N", scale=alt.Scale(domain=self.domain), legend=None)

    @property
    def legend(self) -> list[tuple[str, str]]:
        """What the colours say where they are not the variants'."""
        return [] if self.field == "variant" else legend(self.domain)


def legend(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the series colours in order, each with its name."""
    return [(f"var(--series-{index % SERIES_COLOURS})", name) for index, name in enumerate(names)]


def activation(variant: Mapping[str, Any]) -> str:
    return str(variant["activation"] or value_at(variant, ("model", "activation")) or wording.DASH)


PICKED = "length(chosen) == 0 || indexof(chosen, datum.variant) >= 0"


def _emphasis(normal: float = 1.0, faded: float = 0.12) -> Any:
    import altair as alt

    return alt.condition(PICKED, alt.value(normal), alt.value(faded))


def _finish(chart: Any, height: int | None, *parameters: Any) -> dict[str, Any]:
    """Return the specification of a chart as wide as its place, with the shared selection."""
    import altair as alt

    chosen = alt.param(name="chosen", value=[])
    chart = chart.add_params(chosen, *parameters).properties(
        width="container", **({"height": height} if height else {})
    )
    chart = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    spec = chart.to_dict(validate=False)
    spec.pop("config", None)  # the theme of the page is the configuration
    spec.pop("$schema", None)
    return spec


def _data(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Data(values=rows)


def _tip(alt: Any, name: str, title: str, form: str | None = None) -> Any:
    kind = "Q" if form else "N"
    return alt.Tooltip(f"{name}:{kind}", title=title, **({"format": form} if form else {}))


def pareto(
    variants: Iterable[Mapping[str, Any]], boards: list[str], decision: Decision, palette: Palette, language: Language
) -> Chart | None:
    """Accuracy as int8 against latency on each board, SRAM as size; None where there are no two variants to compare."""
    import altair as alt

    _ = language.gettext
    rows, limits = [], []
    for board in boards:
        points = []
        for variant in variants:
            facts, accuracy = value_at(variant, ("npu", board)), value_at(variant, ("int8", "val", "map50_95"))
            milliseconds = value_at(facts, ("estimate", "latency_ms"))
            if variant["status"] != "done" or accuracy is None or milliseconds is None:
                continue
            points.append(
                {
                    "variant": variant["variant"],
                    "level": str(variant["level"] if variant["level"] is not None else wording.DASH),
                    "activation": activation(variant),
                    "board": board,
                    "latency": milliseconds,
                    "accuracy": accuracy,
                    "float": value_at(variant, ("int8", "float", "val", "map50_95")),
                    "sram": facts["memory"]["sram"]["used_kib"],
                    "flash": facts["memory"]["flash"]["used_kib"],
                    "whole": facts["estimate"]["covers_all_operators"],
                    "gates": wording.verdict(variant["preflight"], board, language),
                }
            )
            limit = value_at(variant, ("preflight", "gate", "limits", "max_latency_ms"))
            if limit is not None and {"board": board, "limit": limit} not in limits:
                limits.append({"board": board, "limit": limit})
        middle = sum(point["latency"] for point in points) / max(1, len(points))
        for point in points:
            point["left"] = point["latency"] <= middle  # its name is written towards the middle
            point["front"] = point["whole"] and not any(_dominates(other, point) for other in points)
        rows += points
    if len({row["variant"] for row in rows}) < 2:
        return None

    board = alt.param(name="board", value=boards[0])
    here = "datum.board == board"
    x = alt.X(
        "latency:Q",
        title=_("Latency, ms (Vela's estimate)"),
        scale=alt.Scale(zero=False, nice=False, padding=26),
        axis=alt.Axis(tickCount=8),
    )
    y = alt.Y(
        "accuracy:Q", title=_("mAP50-95 on val as int8 (measured)"), scale=alt.Scale(zero=False, nice=True, padding=18)
    )
    base = alt.Chart(_data(rows)).transform_filter(here)
    front = (
        base.transform_filter("datum.front")
        .mark_line(strokeDash=[4, 3], strokeWidth=1.4, color="var(--muted)", interpolate="step-after")
        .encode(x=x, y=y, order="latency:Q")
    )
    points = base.mark_point(filled=True, strokeWidth=2).encode(
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
        opacity=_emphasis(),
        tooltip=[
            _tip(alt, "variant", _("Variant")),
            _tip(alt, "level", _("Level")),
            _tip(alt, "activation", _("Activation")),
            _tip(alt, "accuracy", _("mAP50-95 as int8, measured"), ".3f"),
            _tip(alt, "float", _("mAP50-95 as float, measured"), ".3f"),
            _tip(alt, "latency", _("Latency in ms, Vela's estimate"), ".2f"),
            _tip(alt, "sram", _("SRAM in KiB, allocated"), ",.0f"),
            _tip(alt, "flash", _("Flash in KiB, counted"), ",.0f"),
            _tip(alt, "gates", _("Gates")),
        ],
    )
    layers = (
        [front, points] if all(any(row["front"] for row in rows if row["board"] == b) for b in boards) else [points]
    )
    if decision.accurate is not None:
        band = [{"low": decision.accurate.int8 - NOISE, "high": decision.accurate.int8}]
        noise = (
            alt.Chart(_data(band))
            .mark_rect(opacity=0.13, color="var(--muted)")
            .encode(y=alt.Y("low:Q", title=None), y2="high:Q")
        )
        layers.insert(0, noise)
    if len(rows) <= TABULATED * max(1, len(boards)):
        align, dx = alt.expr("datum.left ? 'left' : 'right'"), alt.expr("datum.left ? 8 : -8")
        named = base.mark_text(align=align, dx=dx, dy=-13, fontSize=12)
        layers.append(named.encode(x=x, y=y, text="variant:N", opacity=_emphasis()))
    if limits:
        gates = alt.Chart(_data(limits)).transform_filter(here)
        layers.append(gates.mark_rule(color="var(--bad)", strokeDash=[2, 2], strokeWidth=1.6).encode(x="limit:Q"))
    chart = alt.layer(*layers)
    return Chart(
        "pareto",
        _("Accuracy against latency"),
        _(
            "Scatter plot: to the left is faster by Vela's estimate, higher up is more accurate as int8. The dashed "
            "steps join the variants that no other beats in both."
        ),
        _finish(chart, 400, board),
        [
            _("Variant"),
            _("Board"),
            _("mAP50-95 as int8"),
            _("Latency, Vela's estimate"),
            _("SRAM"),
            _("Not beaten in both"),
        ],
        [
            [
                r["variant"],
                r["board"],
                wording.metric(r["accuracy"], language),
                wording.latency(r["latency"], language),
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


def training_curves(variants: Iterable[Mapping[str, Any]], palette: Palette, language: Language) -> list[Chart]:
    """One chart per series of the trainings, the epoch of the best weights marked."""
    import altair as alt

    _ = language.gettext
    titles = {
        "map50_95": _("mAP50-95 on val, higher is better"),
        "map50": _("mAP50 on val, higher is better"),
        "box_loss": _("Box loss on train, lower is better"),
        "cls_loss": _("Class loss on train, lower is better"),
    }
    charts = []
    for series in SERIES:
        rows, table = [], []
        for variant in variants:
            history = variant["history"]
            known = [value for value in history.get(series, ()) if value is not None]
            if not known:
                continue
            best = value_at(variant, ("training", "best_epoch"))
            values = [value if value is None else round(value, 4) for value in history[series]]
            rows.append(
                {
                    "variant": variant["variant"],
                    "activation": activation(variant),
                    "best": best,
                    "epoch": history["epoch"],
                    "value": values,
                }
            )
            standing = values[history["epoch"].index(best)] if best in history["epoch"] else None
            table.append(
                [
                    variant["variant"],
                    str(best or wording.DASH),
                    wording.metric(standing, language),
                    wording.metric(known[-1], language),
                ]
            )
        if not rows:
            continue
        base = alt.Chart(_data(rows)).transform_flatten(["epoch", "value"])
        x = alt.X(
            "epoch:Q",
            title=_("Epoch"),
            axis=alt.Axis(tickMinStep=1, format="d"),
            scale=alt.Scale(zero=False, nice=False),
        )
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=series in {"map50_95", "map50"}))
        tips = [
            _tip(alt, "variant", _("Variant")),
            _tip(alt, "epoch", _("Epoch"), "d"),
            _tip(alt, "value", titles[series], ".4f"),
        ]
        colour = palette.colour
        lines = base.mark_line(strokeWidth=1.8, interpolate="linear").encode(
            x=x, y=y, color=colour, detail="variant:N", opacity=_emphasis(0.95), tooltip=tips
        )
        dots = (
            base.transform_filter("datum.epoch == datum.best")
            .mark_point(filled=True, size=58)
            .encode(x=x, y=y, color=colour, opacity=_emphasis(), tooltip=tips)
        )
        charts.append(
            Chart(
                f"curve-{series}",
                titles[series],
                _("Line chart over the epochs, one line per variant; the dot is the epoch of the best weights."),
                _finish(alt.layer(lines, dots), 240),
                [_("Variant"), _("Best epoch"), _("At the best epoch"), _("At the last epoch")],
                table,
                palette.legend,
            )
        )
    return charts


def _heat(base: Any, value: str, figure: str, form: str, written: bool) -> list[Any]:
    """Return cells as strong as a fraction is high, with a figure written in where there is room."""
    import altair as alt

    cells = base.mark_rect(color="var(--accent)", stroke="var(--card)").encode(
        fillOpacity=alt.FillOpacity(f"{value}:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.95]), legend=None),
        opacity=_emphasis(1, 0.25),
    )
    if not written:
        return [cells]
    ink = alt.condition(f"datum.{value} > 0.55", alt.value("var(--on-accent)"), alt.value("var(--ink)"))
    return [cells, base.mark_text(fontSize=11).encode(text=alt.Text(f"{figure}:Q", format=form), color=ink)]


def classes(variants: Iterable[Mapping[str, Any]], language: Language) -> Chart | None:
    """Average precision per class and variant, as float and as int8."""
    import altair as alt

    _ = language.gettext
    rows: list[dict[str, Any]] = []
    variants = [v for v in variants if v["metrics"]]
    for variant in variants:
        for name, entry in variant["metrics"]["val"]["per_class"].items():
            rows.append({"variant": variant["variant"], "class": name, "kind": "float", "value": entry["map50_95"]})
        for name, entry in (value_at(variant, ("int8", "val", "per_class")) or {}).items():
            rows.append({"variant": variant["variant"], "class": name, "kind": "int8", "value": entry["map50_95"]})
    rows = [row for row in rows if row["value"] is not None]
    if not rows:
        return None
    names = list(dict.fromkeys(row["class"] for row in rows))
    base = (
        alt.Chart(_data(rows))
        .transform_filter("datum.kind == kind")
        .encode(
            x=alt.X("variant:N", sort=[v["variant"] for v in variants], title=None, axis=_across(len(variants))),
            y=alt.Y("class:N", sort=names, title=None, axis=alt.Axis(labelLimit=130)),
            tooltip=[
                _tip(alt, "variant", _("Variant")),
                _tip(alt, "class", _("Class")),
                _tip(alt, "value", _("mAP50-95 on val"), ".3f"),
            ],
        )
    )
    layers = _heat(base, "value", "value", ".2f", len(variants) <= TABULATED)
    return Chart(
        "classes-heat",
        _("mAP50-95 on val per class"),
        _(
            "Heat map: classes down, variants across; the stronger, the higher the average precision. The table below "
            "has all figures."
        ),
        _finish(alt.layer(*layers), max(120, 26 * len(names)), alt.param(name="kind", value="float")),
    )


def _across(number: int) -> Any:
    import altair as alt

    return alt.Axis(orient="top", labelAngle=0 if number <= 2 else -40 if number <= TABULATED else -90, labelLimit=120)


def precision_recall(variants: Iterable[Mapping[str, Any]], palette: Palette, language: Language) -> Chart | None:
    """Precision over recall at IoU 0.5, the mean over the classes, one line per variant."""
    import altair as alt

    _ = language.gettext
    rows, table, shown = [], [], (0.0, 0.25, 0.5, 0.75, 0.9)
    for variant in variants:
        curve = value_at(variant, ("metrics", "val", "curves"))
        if not curve or not curve["recall"]:
            continue
        rows.append(
            {
                "variant": variant["variant"],
                "activation": activation(variant),
                "recall": curve["recall"],
                "precision": curve["precision"],
            }
        )
        nearest = [min(range(len(curve["recall"])), key=lambda i, at=at: abs(curve["recall"][i] - at)) for at in shown]
        table.append([variant["variant"], *(wording.metric(curve["precision"][i], language) for i in nearest)])
    if not rows:
        return None
    lines = (
        alt.Chart(_data(rows))
        .transform_flatten(["recall", "precision"])
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("recall:Q", title=_("Recall"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("precision:Q", title=_("Precision"), scale=alt.Scale(domain=[0, 1])),
            color=palette.colour,
            detail="variant:N",
            opacity=_emphasis(0.95),
            tooltip=[
                _tip(alt, "variant", _("Variant")),
                _tip(alt, "recall", _("Recall"), ".2f"),
                _tip(alt, "precision", _("Precision"), ".3f"),
            ],
        )
    )
    return Chart(
        "pr",
        _("Precision over recall, mean over the classes"),
        _("Line chart: precision at IoU 0.5 over recall on val, one line per variant; up and to the right is better."),
        _finish(lines, 320),
        [_("Variant"), *(_("Precision at recall %(recall)s") % {"recall": f"{at:g}"} for at in shown)],
        table,
        palette.legend,
    )


def precision_recall_classes(curves: Mapping[str, Mapping[str, Any]], language: Language) -> Chart | None:
    """Precision over recall of each class of one variant, the one that the page shows."""
    import altair as alt

    _ = language.gettext
    rows = [
        {"variant": name, "class": label, "recall": document["val"]["recall"], "precision": values}
        for name, document in curves.items()
        for label, values in document["val"]["precision"].items()
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(row["class"] for row in rows))
    lines = (
        alt.Chart(_data(rows))
        .transform_filter("datum.variant == shown")
        .transform_flatten(["recall", "precision"])
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("recall:Q", title=_("Recall"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("precision:Q", title=_("Precision"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "class:N",
                sort=names,
                scale=alt.Scale(domain=names),
                legend=None,
            ),
            tooltip=[
                _tip(alt, "class", _("Class")),
                _tip(alt, "recall", _("Recall"), ".2f"),
                _tip(alt, "precision", _("Precision"), ".3f"),
            ],
        )
    )
    return Chart(
        "pr-classes",
        _("Precision over recall per class"),
        _("Line chart of one variant: precision at IoU 0.5 over recall on val, one line per class."),
        _finish(lines, 320, alt.param(name="shown", value=next(iter(curves)))),
        legend=legend(names),
    )


def confusion(curves: Mapping[str, Mapping[str, Any]], language: Language) -> Chart | None:
    """What one variant takes for what, the one that the page shows, as shares of the true class."""
    import altair as alt

    _ = language.gettext
    background = _("background")
    rows, labels = [], []
    for name, document in curves.items():
        split = document["val"]
        names = [*split["classes"], background]
        labels = labels or names
        totals: dict[int, int] = {}
        for cell in split["confusion"]:
            totals[cell["true"]] = totals.get(cell["true"], 0) + cell["count"]
        rows += [
            {
                "variant": name,
                "true": names[cell["true"]],
                "predicted": names[cell["predicted"]],
                "count": cell["count"],
                "share": round(cell["count"] / totals[cell["true"]], 4),
            }
            for cell in split["confusion"]
            if max(cell["true"], cell["predicted"]) < len(names)
        ]
    if not rows:
        return None
    base = (
        alt.Chart(_data(rows))
        .transform_filter("datum.variant == shown")
        .encode(
            x=alt.X(
                "true:N",
                sort=labels,
                scale=alt.Scale(domain=labels),
                title=_("True class"),
                axis=alt.Axis(labelAngle=-40, labelLimit=90),
            ),
            y=alt.Y(
                "predicted:N",
                sort=labels,
                scale=alt.Scale(domain=labels),
                title=_("Found as"),
                axis=alt.Axis(labelLimit=90),
            ),
            tooltip=[
                _tip(alt, "true", _("True class")),
                _tip(alt, "predicted", _("Found as")),
                _tip(alt, "count", _("Boxes"), ",d"),
                _tip(alt, "share", _("Share of the true class"), ".1%"),
            ],
        )
    )
    wrong = sorted((r for r in rows if r["true"] != r["predicted"]), key=lambda r: -r["count"])[:20]
    return Chart(
        "confusion",
        _("What is taken for what"),
        _(
            "Confusion matrix of one variant on val: true classes across, what they are found as down; the stronger, "
            "the larger the share."
        ),
        _finish(
            alt.layer(*_heat(base, "share", "count", ",d", len(labels) <= 16)),
            max(200, 24 * len(labels)),
            alt.param(name="shown", value=next(iter(curves))),
        ),
        [_("Variant"), _("True class"), _("Found as"), _("Boxes")],
        [[r["variant"], r["true"], r["predicted"], wording.count(r["count"], language)] for r in wrong],
    )


def operators(rows: list[dict[str, Any]], boards: list[str], language: Language) -> Chart | None:
    """Cycles by Vela's estimate, per part of the network or per type of operator."""
    import altair as alt

    _ = language.gettext
    if not rows:
        return None
    parts = {"backbone": _("backbone"), "neck": _("neck"), "detect": _("detection head"), OTHER: _("other")}
    kinds = [kind for kind, cycles in _totals(rows, "type").most_common()]
    ranks = {name: index for index, name in enumerate([*parts, *kinds])}
    drawn = [
        {**row, "part": parts[row["part"]], "part_rank": ranks[row["part"]], "type_rank": ranks[row["type"]]}
        for row in rows
    ]
    names = list(dict.fromkeys(row["variant"] for row in rows))
    bars = (
        alt.Chart(_data(drawn))
        .transform_filter("datum.board == board")
        .transform_calculate(
            group="by == 'part' ? datum.part : datum.type", rank="by == 'part' ? datum.part_rank : datum.type_rank"
        )
        .transform_aggregate(cycles="sum(cycles)", groupby=["variant", "group", "rank"])
        .mark_bar()
        .encode(
            y=alt.Y("variant:N", sort=names, title=None, axis=alt.Axis(labelLimit=130)),
            x=alt.X("cycles:Q", title=_("Cycles (Vela's estimate)"), axis=alt.Axis(format="~s", tickCount=6)),
            color=alt.Color(
                "group:N", sort=alt.EncodingSortField("rank"), legend=alt.Legend(title=None, orient="top", columns=3)
            ),
            order="rank:Q",
            opacity=_emphasis(1, 0.25),
            tooltip=[
                _tip(alt, "variant", _("Variant")),
                _tip(alt, "group", _("Part or operator")),
                _tip(alt, "cycles", _("Cycles, Vela's estimate"), ",d"),
            ],
        )
    )
    used = [part for part in (*PARTS, OTHER) if any(row["part"] == part for row in rows)]
    table = []
    for board in boards:
        for name in names:
            own = [row for row in rows if row["variant"] == name and row["board"] == board]
            if own:
                sums = [sum(row["cycles"] for row in own if row["part"] == part) for part in used]
                table.append([name, board, *(wording.count(number, language) for number in sums)])
    return Chart(
        "operators",
        _("Where the cycles go"),
        _(
            "Stacked bars: cycles of each variant by Vela's estimate, split by part of the network or by type of "
            "operator."
        ),
        _finish(
            bars,
            max(110, 26 * len(names)),
            alt.param(name="board", value=boards[0]),
            alt.param(name="by", value="part"),
        ),
        [_("Variant"), _("Board"), *(parts[part] for part in used)],
        table,
    )


def _totals(rows: Iterable[Mapping[str, Any]], key: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in rows:
        found[row[key]] += row["cycles"]
    return found


def stage_names(language: Language) -> dict[str, str]:
    """Return what the stages of the timeline are called, in their order."""
    _ = language.gettext
    return {
        "checks": _("checks"),
        "train": _("training"),
        "evaluate": _("evaluation"),
        "int8": _("int8: export, compile, evaluate"),
        "report": _("bundle and report"),
        WAITING: _("waiting, no job of it runs"),
    }


STAGES = {
    "checks": "var(--series-7)",
    "train": "var(--series-0)",
    "evaluate": "var(--series-2)",
    "int8": "var(--series-4)",
    "report": "var(--series-3)",
    WAITING: "var(--rule)",
}
"""Stages of the timeline in their order, and the colour of each."""

STAGE_OF = {
    "train": "train",
    "evaluate": "evaluate",
    "export_int8": "int8",
    "compile_npu": "int8",
    "evaluate_int8": "int8",
    "bundle_deploy": "report",
    "render_report": "report",
    WAITING: WAITING,
}
"""Stage of the timeline by rule; every other rule is a check."""


def timeline(bars: list[Bar], marks: list[Mark], order: list[str], language: Language) -> Chart | None:
    """When each job ran, in minutes or hours since the first one, with the incidents of the trainings."""
    import altair as alt

    _ = language.gettext
    if not bars:
        return None
    begin = min(bar.start for bar in bars)
    length = max([bar.end for bar in bars] + [mark.time for mark in marks]) - begin
    unit, scale = (_("hours"), 3600) if length > 3 * 3600 else (_("minutes"), 60)
    session, names = _("session"), stage_names(language)
    stages = [names[stage] for stage in STAGES]
    drawn = [
        {
            "variant": bar.row or session,
            "job": bar.stage if bar.stage != WAITING else names[WAITING],
            "stage": names[STAGE_OF.get(bar.stage, "checks")],
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
            "kind": wording.kind(mark.kind, language),
            "message": mark.message,
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
        alt.Chart(_data(drawn))
        .mark_bar(height=alt.RelativeBandSize(0.66), minBandSize=1)
        .encode(
            x=alt.X("start:Q", title=title, axis=alt.Axis(tickCount=8)),
            x2="end:Q",
            y=y,
            color=alt.Color("stage:N", scale=alt.Scale(domain=stages, range=list(STAGES.values())), legend=None),
            opacity=_emphasis(1, 0.25),
            tooltip=[
                _tip(alt, "variant", _("Variant")),
                _tip(alt, "job", _("Job")),
                _tip(alt, "lasts", _("Wall time")),
                _tip(alt, "at", _("Started, UTC")),
            ],
        )
    )
    layers = [jobs]
    if incidents:
        layers.append(
            alt.Chart(_data(incidents))
            .mark_point(shape="diamond", filled=True, size=90, color="var(--bad)", opacity=1)
            .encode(
                x="start:Q",
                y=y,
                tooltip=[
                    _tip(alt, "variant", _("Variant")),
                    _tip(alt, "message", _("Incident")),
                    _tip(alt, "at", _("Time, UTC")),
                ],
            )
        )
    return Chart(
        "timeline",
        _("When each job ran"),
        _("Bars over time, one row per variant, coloured by stage; diamonds are incidents of the training."),
        _finish(alt.layer(*layers), max(120, 26 * len(rows))),
        [_("Variant"), _("Job"), _("Started, UTC"), _("Wall time")],
        [[row["variant"], row["job"], row["at"], row["lasts"]] for row in drawn],
        [(colour, names[stage]) for stage, colour in STAGES.items()],
    )


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
