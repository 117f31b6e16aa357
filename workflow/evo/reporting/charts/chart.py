"""What every chart of the page has: its look, its colours, and the variants that a reader has picked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..summary import VariantSummary

SERIES_COLOURS = 10
"""The style sheet defines ``--series-0`` to ``--series-9``."""

COLOURED = 8
"""Largest number of variants with a colour each, which their replicates share; of more, colours distinguish the
activations."""

TABULATED = 12
"""Variants up to which there is room for the name or the figure of each."""

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
        spec: Vega-Lite; data that several charts share is in each of them.
        head: titles of the columns of the table with the same figures.
        rows: its cells.
        legend: colour and name of each series; empty where the series are the variants.
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
    """What colours distinguish: the variants while there are few, their activations otherwise.

    Attributes:
        field: of the rows of a chart: ``first``, the name of the first replicate, or ``activation``.
        domain: its values.
        replicated: whether there are replicates, so that names do not tell colours.
    """

    field: str
    domain: list[str]
    replicated: bool = False

    @classmethod
    def of(cls, variants: Iterable[VariantSummary]) -> Palette:
        variants = list(variants)
        firsts = list(dict.fromkeys(v.first for v in variants))
        if len(firsts) <= COLOURED:
            return cls("first", firsts, len(variants) > len(firsts))
        return cls("activation", list(dict.fromkeys(v.group for v in variants)))

    def index(self, variant: VariantSummary) -> int:
        """Return which of the series colours a variant has."""
        value = variant.first if self.field == "first" else variant.group
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
        """Colour and name of each series; empty where the series are the variants."""
        return [] if self.field == "first" and not self.replicated else legend(self.domain)


def legend(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the series colours in order, each with its name."""
    return [(f"var(--series-{index % SERIES_COLOURS})", name) for index, name in enumerate(names)]


PICKED = "length(chosen) == 0 || indexof(chosen, datum.variant) >= 0"


def emphasis(normal: float = 1.0, faded: float = 0.12) -> Any:
    import altair as alt

    return alt.condition(PICKED, alt.value(normal), alt.value(faded))


def finish(chart: Any, height: int | None, *parameters: Any) -> dict[str, Any]:
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


def data(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Data(values=rows)


def tip(alt: Any, name: str, title: str, form: str | None = None) -> Any:
    kind = "Q" if form else "N"
    return alt.Tooltip(f"{name}:{kind}", title=title, **({"format": form} if form else {}))
