"""``report.html``: one file with everything in it, in every language, that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..text.language import ENGLISH, Language
from ..text.message import localised
from . import render
from .charts import accuracy, cost, timeline, tradeoff, training
from .charts.chart import CONFIG, Chart, Palette
from .compare import float_accuracy, value_at
from .decision import decide, sentences
from .evidence import read_curves, read_operators
from .scenes import scenes
from .timeline import marks, read_timeline

STATIC = Path(__file__).resolve().parent / "static"

NAMES = {"en": "English", "ko": "한국어"}
"""What the page can be read in, each by its own name."""


def session_html(summary: Mapping[str, Any], root: Path, language: Language = ENGLISH) -> str:
    """Return ``report.html``: one file that loads nothing from elsewhere and evaluates no text as code.

    Args:
        summary: a document of ``session_summary.schema.json``.
        root: the session's folder, below which curves, operators, benchmarks and images lie.
        language: the one that the page opens in, one of `NAMES`; the others lie in it.
    """
    from markupsafe import Markup

    root = Path(root)
    variants, boards = summary["variants"], summary["boards"]
    facts = {
        "curves": read_curves(root, variants),
        "operators": read_operators(root, variants, boards),
        "timeline": read_timeline(root, variants),
        "palette": Palette.of(variants),
    }
    pictures = scenes(facts["curves"], root / "data")
    datasets: dict[str, Any] = {}
    specs, bodies = {}, {}
    for name in (language.code, *(other for other in NAMES if other != language.code)):
        spoken = Language(name)
        said = localised(summary, spoken)
        drawn = draw(said, facts, spoken)
        specs[name] = {chart.id: _shared(chart.spec, datasets) for chart in drawn.values()}
        bodies[name] = _body(said, facts, drawn, pictures, spoken)
    scripts = [_library(), (STATIC / "tablesort.js").read_text(), (STATIC / "report.js").read_text()]
    document = {
        "variants": [v["variant"] for v in variants],
        "config": CONFIG,
        "datasets": datasets,
        "charts": specs,
    }
    return (
        _environment(language)
        .get_template("report.html.j2")
        .render(
            s=localised(summary, language),
            language=language.code,
            bodies={name: Markup(body) for name, body in bodies.items()},
            style=Markup((render.TEMPLATES / "style.css").read_text()),
            scripts=[Markup(script) for script in scripts],
            policy=policy(scripts),
            data=Markup(embedded_json(document)),
            scenes=pictures,
        )
    )


def draw(summary: Mapping[str, Any], facts: Mapping[str, Any], language: Language) -> dict[str, Chart]:
    """Return the charts that there is anything to draw for, by id, in one language."""
    import altair.utils.schemapi

    with altair.utils.schemapi.debug_mode(False):  # a test validates the charts; here it would take most of the time
        return {chart.id: chart for chart in _drawn(summary, facts, language) if chart}


def _drawn(summary: Mapping[str, Any], facts: Mapping[str, Any], language: Language) -> list[Chart | None]:
    variants, boards, palette = summary["variants"], summary["boards"], facts["palette"]
    measured = [v for v in variants if v["metrics"]]
    return [
        tradeoff.pareto(variants, boards, decide(variants, boards[0]), palette, language),
        *training.training_curves([v for v in variants if v["history"]], palette, language),
        accuracy.classes(measured, language),
        accuracy.precision_recall(measured, palette, language),
        accuracy.precision_recall_classes(facts["curves"], language),
        accuracy.confusion(facts["curves"], language),
        cost.operators(facts["operators"], boards, language),
        timeline.timeline(facts["timeline"], marks(variants), [v["variant"] for v in variants], language),
    ]


def _shared(spec: dict[str, Any], datasets: dict[str, Any]) -> dict[str, Any]:
    """Return a specification without its data, which goes to ``datasets``: equal data of several charts stands once."""
    datasets.update(spec.get("datasets", {}))
    return {key: value for key, value in spec.items() if key != "datasets"}


def _body(
    summary: Mapping[str, Any],
    facts: Mapping[str, Any],
    drawn: Mapping[str, Chart],
    pictures: Iterable,
    language: Language,
) -> str:
    variants, board, palette = summary["variants"], summary["boards"][0], facts["palette"]
    decision, rows = decide(variants, board), grid(variants, board, language)
    return (
        _environment(language)
        .get_template("report_body.html.j2")
        .render(
            s=summary,
            languages=NAMES,
            drawn=drawn.get,
            curve_charts=[chart for name, chart in drawn.items() if name.startswith("curve-")],
            decision=decision,
            sentences=sentences(decision, language),
            colours={v["variant"]: palette.index(v) for v in variants},
            curves=facts["curves"],
            scenes=pictures,
            rows=rows,
            ranges=ranges(rows),
            **render.views(summary, language),
        )
    )


GRID = {
    "level": ("level",),
    "float": ("float",),
    "int8": ("int8", "val", "map50_95"),
    "difference": ("int8", "difference", "val", "map50_95"),
    "placed": ("facts", "ops_percent"),
    "cycles": ("facts", "estimate", "cycles"),
    "latency": ("facts", "estimate", "latency_ms"),
    "sram": ("facts", "memory", "sram", "used_kib"),
    "flash": ("facts", "memory", "flash", "used_kib"),
    "seconds": ("training", "seconds"),
}
"""Columns of the table of variants that hold numbers, and where they stand; ``facts`` are of the first board, ``float``
is what `float_accuracy` returns."""


def grid(variants: Iterable[Mapping[str, Any]], board: str, language: Language) -> list[dict[str, Any]]:
    """Return one row of the table per variant: the figures by column, None where one is not known.

    What the compiler makes of a variant that is not compiled after training is left out here: it stands under its
    own heading, named untrained.
    """
    rows = []
    for variant in variants:
        view = {**variant, "facts": value_at(variant, ("npu", board)), "float": float_accuracy(variant)}
        figures = {column: value_at(view, path) for column, path in GRID.items()}
        rows.append(
            {
                "v": variant,
                "facts": view["facts"],
                "gate": render.wording.verdict(variant["preflight"], board, language),
                "passed": render.wording.passes(variant["preflight"], board),
                **figures,
            }
        )
    return rows


def ranges(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the largest value of each column of `grid`, which its colour bars are drawn against."""
    rows = list(rows)
    return {column: max((abs(row[column]) for row in rows if row[column] is not None), default=0) for column in GRID}


@cache
def _environment(language: Language) -> Any:
    found = render.environment_of(language, autoescape=True)
    found.filters["zip_self"] = lambda values: [(value, value) for value in values]
    return found


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, with their licence."""
    import vl_convert

    notice = f"/* Vega, Vega-Lite and vega-embed\n{(STATIC / 'vega.LICENSE').read_text()}*/\n"
    return notice + vl_convert.javascript_bundle().replace("</script", "<\\/script")


def policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that lets exactly these inline scripts run, and nothing be loaded."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def embedded_json(document: Any) -> str:
    """Return JSON that cannot end the script element it stands in, whatever texts it holds."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
