"""The course of the trainings."""

from __future__ import annotations

from collections.abc import Iterable

from ...text import wording
from ...text.language import Language
from ..summary import VariantSummary
from .chart import Chart, Palette, data, emphasis, finish, tip

SERIES = ("map50_95", "map50", "box_loss", "cls_loss")
"""Series of a training that are drawn; the first two are of val, the others of train."""


def training_curves(variants: Iterable[VariantSummary], palette: Palette, language: Language) -> list[Chart]:
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
            history = variant.document["history"]
            known = [value for value in history.get(series, ()) if value is not None]
            if not known:
                continue
            best = variant.training.best_epoch
            values = [value if value is None else round(value, 4) for value in history[series]]
            rows.append(
                {
                    "variant": variant.name,
                    "first": variant.first,
                    "activation": variant.group,
                    "best": best,
                    "epoch": history["epoch"],
                    "value": values,
                }
            )
            standing = values[history["epoch"].index(best)] if best in history["epoch"] else None
            table.append(
                [
                    variant.name,
                    str(best or wording.DASH),
                    wording.metric(standing, language),
                    wording.metric(known[-1], language),
                ]
            )
        if not rows:
            continue
        base = alt.Chart(data(rows)).transform_flatten(["epoch", "value"])
        x = alt.X(
            "epoch:Q",
            title=_("Epoch"),
            axis=alt.Axis(tickMinStep=1, format="d"),
            scale=alt.Scale(zero=False, nice=False),
        )
        y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=series in {"map50_95", "map50"}))
        tips = [
            tip(alt, "variant", _("Variant")),
            tip(alt, "epoch", _("Epoch"), "d"),
            tip(alt, "value", titles[series], ".4f"),
        ]
        colour = palette.colour
        lines = base.mark_line(strokeWidth=1.8, interpolate="linear").encode(
            x=x, y=y, color=colour, detail="variant:N", opacity=emphasis(0.95), tooltip=tips
        )
        dots = (
            base.transform_filter("datum.epoch == datum.best")
            .mark_point(filled=True, size=58)
            .encode(x=x, y=y, color=colour, opacity=emphasis(), tooltip=tips)
        )
        charts.append(
            Chart(
                f"curve-{series}",
                titles[series],
                _("Line chart over the epochs, one line per variant; the dot is the epoch of the best weights."),
                finish(alt.layer(lines, dots), 240),
                [_("Variant"), _("Best epoch"), _("At the best epoch"), _("At the last epoch")],
                table,
                palette.legend,
            )
        )
    return charts
