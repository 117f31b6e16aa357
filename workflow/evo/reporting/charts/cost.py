"""Where the cycles of a compiled network go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...config.variants import PARTS
from ...text import wording
from ...text.language import Language
from ..evidence import OTHER
from .chart import Chart, data, emphasis, finish, tip


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
        alt.Chart(data(drawn))
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
            opacity=emphasis(1, 0.25),
            tooltip=[
                tip(alt, "variant", _("Variant")),
                tip(alt, "group", _("Part or operator")),
                tip(alt, "cycles", _("Cycles, Vela's estimate"), ",d"),
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
        finish(
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
