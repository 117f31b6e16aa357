"""``report.html``: one file with everything in it, in every language, that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import documents
from ..text.language import ENGLISH, LANGUAGES, Language
from .charts import accuracy, cost, timeline, tradeoff, training
from .charts.chart import CONFIG, Chart, Palette
from .columns import largest
from .evidence import read_curves, read_operators
from .scenes import scenes
from .summary import VariantSummary
from .templating import TEMPLATES, environment_of
from .timeline import Bar, marks, read_timeline
from .views import representatives, views

STATIC = Path(__file__).resolve().parent / "static"


@dataclass(frozen=True)
class Evidence:
    """What the page draws, the same in every language.

    Attributes:
        variants: of the session.
        shown: one replicate of each, see `representatives`.
        curves: ``curves.json`` by variant.
        operators: cycles per variant, board, part and type of operator.
        bars: the jobs of the session.
        palette: what colours distinguish.
    """

    variants: list[VariantSummary]
    shown: list[VariantSummary]
    curves: dict[str, documents.Curves]
    operators: list[dict[str, Any]]
    bars: list[Bar]
    palette: Palette


def session_html(summary: Mapping[str, Any], root: Path, language: Language = ENGLISH) -> str:
    """Return ``report.html``: one file that loads nothing from elsewhere and evaluates no text as code.

    Args:
        summary: a document of ``session_summary.schema.json``.
        root: the session's folder, with curves, operators, benchmarks and images below it.
        language: the one that the page opens in, the others are in it too.
    """
    from markupsafe import Markup

    root = Path(root)
    variants = [VariantSummary(document) for document in summary["variants"]]
    shown = representatives(summary)
    evidence = Evidence(
        variants,
        shown,
        read_curves(root, shown),
        read_operators(root, shown, summary["boards"]),
        read_timeline(root, variants),
        Palette.of(variants),
    )
    pictures = scenes(evidence.curves, root / "data")
    datasets: dict[str, Any] = {}
    specs, bodies = {}, {}
    for name in (language.code, *(other for other in LANGUAGES if other != language.code)):
        drawn = draw(summary, evidence, Language(name))
        specs[name] = {chart.id: _shared(chart.spec, datasets) for chart in drawn.values()}
        bodies[name] = _body(summary, evidence, drawn, pictures, Language(name))
    scripts = [_library(), (STATIC / "tablesort.js").read_text(), (STATIC / "report.js").read_text()]
    document = {
        "variants": [v.name for v in variants],
        "config": CONFIG,
        "datasets": datasets,
        "charts": specs,
    }
    return (
        _environment(language)
        .get_template("report.html.j2")
        .render(
            s=summary,
            language=language.code,
            bodies={name: Markup(body) for name, body in bodies.items()},
            style=Markup((TEMPLATES / "style.css").read_text()),
            scripts=[Markup(script) for script in scripts],
            policy=policy(scripts),
            data=Markup(embedded_json(document)),
            scenes=pictures,
        )
    )


def draw(summary: Mapping[str, Any], evidence: Evidence, language: Language) -> dict[str, Chart]:
    """Return the charts that there is anything to draw for, by id, in one language."""
    import altair.utils.schemapi

    with altair.utils.schemapi.debug_mode(False):  # a test validates the charts; here it would take most of the time
        return {chart.id: chart for chart in _drawn(summary, evidence, language) if chart}


def _drawn(summary: Mapping[str, Any], evidence: Evidence, language: Language) -> list[Chart | None]:
    variants, boards, palette = evidence.variants, summary["boards"], evidence.palette
    measured = [v for v in evidence.shown if v.document["metrics"]]
    return [
        tradeoff.pareto(variants, boards, summary["accuracies"], palette, language),
        *training.training_curves([v for v in variants if v.document["history"]], palette, language),
        accuracy.classes(measured, language),
        accuracy.precision_recall(measured, palette, language),
        accuracy.precision_recall_classes(evidence.curves, language),
        accuracy.confusion(evidence.curves, language),
        cost.operators(evidence.operators, boards, language),
        timeline.timeline(evidence.bars, marks(variants), [v.name for v in variants], language),
    ]


def _shared(spec: dict[str, Any], datasets: dict[str, Any]) -> dict[str, Any]:
    """Return a specification without its data, which goes to ``datasets``, once for all charts that share it."""
    datasets.update(spec.get("datasets", {}))
    return {key: value for key, value in spec.items() if key != "datasets"}


def _body(
    summary: Mapping[str, Any],
    evidence: Evidence,
    drawn: Mapping[str, Chart],
    pictures: Iterable,
    language: Language,
) -> str:
    laid_out = views(summary)
    return (
        _environment(language)
        .get_template("report_body.html.j2")
        .render(
            s=summary,
            languages={code: locale.name for code, locale in LANGUAGES.items()},
            drawn=drawn.get,
            curve_charts=[chart for name, chart in drawn.items() if name.startswith("curve-")],
            colours={v.name: evidence.palette.index(v) for v in evidence.variants},
            curves=evidence.curves,
            scenes=pictures,
            largest=largest(laid_out["rows"]),
            **laid_out,
        )
    )


@cache
def _environment(language: Language) -> Any:
    found = environment_of(language, autoescape=True)
    found.filters["zip_self"] = lambda values: [(value, value) for value in values]
    return found


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script, with their licence."""
    import vl_convert

    notice = f"/* Vega, Vega-Lite and vega-embed\n{(STATIC / 'vega.LICENSE').read_text()}*/\n"
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # optional, unlike in its stub
    return notice + bundle.replace("</script", "<\\/script")


def policy(scripts: Iterable[str]) -> str:
    """Return a Content-Security-Policy that lets exactly these inline scripts run, and nothing be loaded."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}"


def embedded_json(document: Any) -> str:
    """Return JSON that cannot end the script element around it, whatever texts it contains."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
