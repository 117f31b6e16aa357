"""Training curves as inline SVG that follows the page's light or dark colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

INK, MUTED, GRID = "#010203", "#020304", "#030405"
"""Stand-ins that become CSS variables in the finished SVG: matplotlib knows none."""

COLOURS = 8
"""CSS defines ``--series-0`` … ``--series-7``; further variants use them again with another dash."""

DASHES = {"relu": (), "leaky": (6.0, 2.5), "silu": (1.5, 1.5)}
OTHER_DASHES = ((8.0, 2.0, 1.5, 2.0), (3.0, 2.0), (10.0, 3.0))

PANELS = (
    ("map50_95", "mAP50-95 on val", "higher is better"),
    ("map50", "mAP50 on val", "higher is better"),
    ("box_loss", "Box loss on train", "lower is better"),
    ("cls_loss", "Class loss on train", "lower is better"),
)
"""Series, title and reading direction of each figure."""

ACCURACY = {"map50_95", "map50"}
"""Series that start at zero and are read at the best epoch."""


@dataclass(frozen=True)
class Style:
    """How one variant is drawn: index of its colour, and its dash pattern in points (empty: solid)."""

    colour: int
    dashes: tuple[float, ...]

    @property
    def css(self) -> str:
        return f"var(--series-{self.colour})"

    @property
    def sample(self) -> str:
        """An SVG line for the legend, drawn as in the figures."""
        dashes = f' stroke-dasharray="{" ".join(map(str, self.dashes))}"' if self.dashes else ""
        return (
            '<svg class="sample" viewBox="0 0 36 8" aria-hidden="true">'
            f'<line x1="0" y1="4" x2="36" y2="4" style="stroke:{self.css}" stroke-width="2"{dashes}/></svg>'
        )


def styles(variants: Iterable[Mapping[str, Any]]) -> dict[str, Style]:
    """Return a style per variant: the colour tells variants apart, the dash their activation."""
    found = {}
    for index, variant in enumerate(variants):
        dashes = DASHES.get(variant["activation"] or "")
        if dashes is None or index >= COLOURS:
            dashes = OTHER_DASHES[(index if index < COLOURS else index // COLOURS) % len(OTHER_DASHES)]
        found[variant["variant"]] = Style(index % COLOURS, dashes)
    return found


def training_curves(variants: Iterable[Mapping[str, Any]], drawn: Mapping[str, Style]) -> list[dict[str, str]]:
    """Return ``{title, direction, svg}`` for each panel that any variant has a series for."""
    variants = list(variants)
    figures = []
    for series, title, direction in PANELS:
        shown = [v for v in variants if any(value is not None for value in v["history"].get(series, ()))]
        if shown:
            figures.append({"title": title, "direction": direction, "svg": _panel(shown, series, title, drawn)})
    return figures


def _panel(variants: list[Mapping[str, Any]], series: str, title: str, drawn: Mapping[str, Style]) -> str:
    import matplotlib

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": series,  # the same data gives the same bytes
        "lines.scale_dashes": False,
        "font.size": 9,
        "axes.edgecolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
    }
    with matplotlib.rc_context(settings):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(6.2, 3.3), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        replace = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--rule)"}
        titles = {}
        for index, variant in enumerate(variants):
            style = drawn[variant["variant"]]
            stand_in = f"#{0x0A0B00 + style.colour:06x}"
            replace[stand_in] = style.css
            values = [float("nan") if value is None else value for value in variant["history"][series]]
            epochs = variant["history"]["epoch"]
            gid = f"{series}-{index}"
            titles[gid] = variant["variant"]
            axes.plot(
                epochs,
                values,
                color=stand_in,
                linewidth=1.6,
                linestyle=(0, style.dashes) if style.dashes else "-",
                marker="o",
                markersize=4.5,
                markevery=_marked(variant, series),
                gid=gid,
            )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        if series in ACCURACY:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.tick_params(length=0)
        axes.set_axisbelow(True)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(stream.getvalue(), title, replace, titles)


def _marked(variant: Mapping[str, Any], series: str) -> list[int]:
    """Return the indices of the epochs that get a dot: the best one, or the only one, which would draw no line."""
    epochs = variant["history"]["epoch"]
    best = (variant["training"] or {}).get("best_epoch")
    if series in ACCURACY and best in epochs:
        return [epochs.index(best)]
    return [0] if len(epochs) == 1 else []


def _inline(svg: str, title: str, replace: Mapping[str, str], titles: Mapping[str, str]) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{escape(title)}">',
        svg,
        count=1,
    )
    svg = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font: \1px var(--sans)", svg)
    for stand_in, colour in replace.items():
        svg = svg.replace(stand_in, colour)
    svg = re.sub(r'<g id="[\w.]+"', "<g", svg)  # figure_1, axes_1, … would stand there once per panel
    for gid, name in titles.items():  # shown by browsers when the pointer rests on the line
        svg = svg.replace(f'<g id="{gid}">', f'<g id="{gid}"><title>{escape(name)}</title>')
    return re.sub(r"\s*\n\s*", "\n", svg)
