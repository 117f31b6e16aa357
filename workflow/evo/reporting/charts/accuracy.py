"""Accuracy per class, precision over recall, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...text import wording
from ...text.language import Language
from ..summary import VariantSummary
from .chart import TABULATED, Chart, Palette, data, emphasis, finish, legend, tip


def _heat(base: Any, value: str, figure: str, form: str, written: bool) -> list[Any]:
    """Return cells as strong as a fraction is high, with a figure written in where there is room."""
    import altair as alt

    cells = base.mark_rect(color="var(--accent)", stroke="var(--card)").encode(
        fillOpacity=alt.FillOpacity(f"{value}:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.95]), legend=None),
        opacity=emphasis(1, 0.25),
    )
    if not written:
        return [cells]
    ink = alt.condition(f"datum.{value} > 0.55", alt.value("var(--on-accent)"), alt.value("var(--ink)"))
    return [cells, base.mark_text(fontSize=11).encode(text=alt.Text(f"{figure}:Q", format=form), color=ink)]


def classes(variants: list[VariantSummary], language: Language) -> Chart | None:
    """Average precision per class and variant, in float and in int8."""
    import altair as alt

    _ = language.gettext
    rows: list[dict[str, Any]] = []
    for variant in variants:
        for kind, accuracy in (("float", variant.val), ("int8", variant.int8_val)):
            rows += [
                {"variant": variant.name, "class": name, "kind": kind, "value": entry["map50_95"]}
                for name, entry in accuracy.per_class.items()
                if entry["map50_95"] is not None
            ]
    if not rows:
        return None
    names = list(dict.fromkeys(row["class"] for row in rows))
    base = (
        alt.Chart(data(rows))
        .transform_filter("datum.kind == kind")
        .encode(
            x=alt.X("variant:N", sort=[v.name for v in variants], title=None, axis=_across(len(variants))),
            y=alt.Y("class:N", sort=names, title=None, axis=alt.Axis(labelLimit=130)),
            tooltip=[
                tip(alt, "variant", _("Variant")),
                tip(alt, "class", _("Class")),
                tip(alt, "value", _("mAP50-95 on val"), ".3f"),
            ],
        )
    )
    layers = _heat(base, "value", "value", ".2f", len(variants) <= TABULATED)
    return Chart(
        "classes-heat",
        _("mAP50-95 on val per class"),
        _(
            "Heat map: classes down, variants across; the darker, the higher the average precision. The table below "
            "has all figures."
        ),
        finish(alt.layer(*layers), max(120, 26 * len(names)), alt.param(name="kind", value="float")),
    )


def _across(number: int) -> Any:
    import altair as alt

    return alt.Axis(orient="top", labelAngle=0 if number <= 2 else -40 if number <= TABULATED else -90, labelLimit=120)


def _precision_over_recall(
    rows: list[dict[str, Any]], key: str, title: str, language: Language, **encodings: Any
) -> Any:
    """Return a line for each row, whose ``recall`` and ``precision`` are lists; ``key`` names what it is of."""
    import altair as alt

    _ = language.gettext
    return (
        alt.Chart(data(rows))
        .transform_flatten(["recall", "precision"])
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X("recall:Q", title=_("Recall"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("precision:Q", title=_("Precision"), scale=alt.Scale(domain=[0, 1])),
            detail=f"{key}:N",
            tooltip=[
                tip(alt, key, title),
                tip(alt, "recall", _("Recall"), ".2f"),
                tip(alt, "precision", _("Precision"), ".3f"),
            ],
            **encodings,
        )
    )


def _nearest(values: list[float], wanted: float) -> int:
    """Return the index of the value that is nearest to ``wanted``."""
    distances = [abs(value - wanted) for value in values]
    return distances.index(min(distances))


def precision_recall(variants: Iterable[VariantSummary], palette: Palette, language: Language) -> Chart | None:
    """Precision over recall at IoU 0.5, the mean over the classes, one line per variant."""

    _ = language.gettext
    rows, table, shown = [], [], (0.0, 0.25, 0.5, 0.75, 0.9)
    for variant in variants:
        curve = variant.val.curves
        if not curve or not curve["recall"]:
            continue
        rows.append(
            {
                "variant": variant.name,
                "first": variant.first,
                "activation": variant.group,
                "recall": curve["recall"],
                "precision": curve["precision"],
            }
        )
        nearest = [_nearest(curve["recall"], at) for at in shown]
        table.append([variant.name, *(wording.metric(curve["precision"][i], language) for i in nearest)])
    if not rows:
        return None
    lines = _precision_over_recall(
        rows, "variant", _("Variant"), language, color=palette.colour, opacity=emphasis(0.95)
    )
    return Chart(
        "pr",
        _("Precision over recall, mean over the classes"),
        _("Line chart: precision at IoU 0.5 over recall on val, one line per variant; up and to the right is better."),
        finish(lines, 320),
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
    colour = alt.Color("class:N", sort=names, scale=alt.Scale(domain=names), legend=None)
    lines = _precision_over_recall(rows, "class", _("Class"), language, color=colour)
    lines = lines.transform_filter("datum.variant == shown")
    return Chart(
        "pr-classes",
        _("Precision over recall per class"),
        _("Line chart of one variant: precision at IoU 0.5 over recall on val, one line per class."),
        finish(lines, 320, alt.param(name="shown", value=next(iter(curves)))),
        legend=legend(names),
    )


def confusion(curves: Mapping[str, Mapping[str, Any]], language: Language) -> Chart | None:
    """The confusion matrix of one variant, the one that the page shows, as shares of the actual class."""
    import altair as alt

    _ = language.gettext
    background = _("background")
    rows: list[dict[str, Any]] = []
    labels: list[str] = []
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
        alt.Chart(data(rows))
        .transform_filter("datum.variant == shown")
        .encode(
            x=alt.X(
                "true:N",
                sort=labels,
                scale=alt.Scale(domain=labels),
                title=_("Actual"),
                axis=alt.Axis(labelAngle=-40, labelLimit=90),
            ),
            y=alt.Y(
                "predicted:N",
                sort=labels,
                scale=alt.Scale(domain=labels),
                title=_("Predicted"),
                axis=alt.Axis(labelLimit=90),
            ),
            tooltip=[
                tip(alt, "true", _("Actual")),
                tip(alt, "predicted", _("Predicted")),
                tip(alt, "count", _("Boxes"), ",d"),
                tip(alt, "share", _("Share of the actual class"), ".1%"),
            ],
        )
    )
    wrong = sorted((r for r in rows if r["true"] != r["predicted"]), key=lambda r: -r["count"])[:20]
    return Chart(
        "confusion",
        _("Confusion matrix"),
        _(
            "Confusion matrix of one variant on val: actual classes across, predicted classes down; the darker, the "
            "larger the share."
        ),
        finish(
            alt.layer(*_heat(base, "share", "count", ",d", len(labels) <= 16)),
            max(200, 24 * len(labels)),
            alt.param(name="shown", value=next(iter(curves))),
        ),
        [_("Variant"), _("Actual"), _("Predicted"), _("Boxes")],
        [[r["variant"], r["true"], r["predicted"], wording.count(r["count"], language)] for r in wrong],
    )
