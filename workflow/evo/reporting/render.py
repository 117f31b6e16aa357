"""From summaries to the files that people read: Markdown, HTML and CSV. Needs no torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..config.variants import PARTS
from ..printable import inert
from ..text import wording
from ..text.language import ENGLISH, Language, marked
from ..text.markdown import Markdown, escape, link_target
from ..text.message import localised
from ..text.templates import environment, translate
from .compare import CRITERIA, CSV_COLUMNS, csv_rows, done, float_accuracy, value_at

TEMPLATES = Path(__file__).resolve().parent / "templates"
NO_MEASUREMENT = {"schema_version", "findings", "expected", "disk_needed_gib"}
"""Keys of environment.json that do not say what the session ran on: findings stand apart, forecasts nowhere."""

ESTIMATES = {"cpu_training"}
"""Findings of the environment check that are a forecast: of no use once the training has been measured."""

PROVENANCE = (
    (marked("Data"), ("data_hash",)),
    (marked("Network"), ("model_fingerprint",)),
    (marked("Recipe"), ("recipe",)),
    ("best.pt", ("weights", "best")),
)
"""Title (a text of the catalogue) and place in ``training`` of the hashes that a result is identified by."""


def variant_markdown(summary: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return ``{variant}_training_report.md``; links are relative to the session's folder."""
    summary = localised(summary, language)
    checked = value_at(summary, ("preflight", "boards")) or {}
    return _markdown(
        "variant.md.j2",
        language,
        v=summary,
        placements=_placements([summary], summary["boards"], language),
        others={board: facts for board, facts in checked.items() if board not in summary["boards"]},
    )


def session_markdown(summary: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return ``report.md`` of a session."""
    summary = localised(summary, language)
    return _markdown("session.md.j2", language, s=summary, **views(summary, language))


def session_csv(summary: Mapping[str, Any]) -> str:
    """Return ``summary.csv``: one row per variant, fractions and seconds unrounded."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in csv_rows(summary["variants"], summary["boards"][0]):
        writer.writerow({column: inert(value) for column, value in row.items()})
    return stream.getvalue()


def views(summary: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """Return what both session reports lay out the same way."""
    variants, finished = summary["variants"], done(summary["variants"])
    placements = _placements(variants, summary["boards"], language)
    quantised = [v for v in variants if v["int8"]]
    return {
        "board": summary["boards"][0],
        "placements": placements,
        "presets": _presets(placements),
        "left": [row for row in placements if row["facts"]["cpu_operators"]],
        "quantised": quantised,
        "int8_classes": _int8_classes(quantised),
        "finished": finished,
        "open": [v for v in variants if v["status"] != "done"],
        "tested": any(value_at(v, ("metrics", "test")) for v in finished),
        "classes": _classes(finished),
        "proofs": _proofs(variants),
        "notes": _notes(variants, language),
        "winners": _winners(summary["criteria"]),
        "provenance": PROVENANCE,
        "environment": {k: v for k, v in (summary["environment"] or {}).items() if k not in NO_MEASUREMENT},
        "remarks": [f for f in value_at(summary, ("environment", "findings")) or () if f["code"] not in ESTIMATES],
    }


def _placements(variants: list[Mapping[str, Any]], boards: Iterable[str], language: Language) -> list[dict[str, Any]]:
    """Return what the compiler made of each variant on each board, one row per pair of which anything is known.

    ``facts`` are of the trained network where that is compiled, otherwise of the untrained one.
    """
    rows = []
    for variant in variants:
        for board in boards:
            trained = value_at(variant, ("npu", board))
            untrained = value_at(variant, ("preflight", "boards", board))
            if trained or untrained:
                rows.append(
                    {
                        "variant": variant["variant"],
                        "board": board,
                        "trained": trained,
                        "untrained": untrained,
                        "facts": trained or untrained,
                        "gate": wording.verdict(variant["preflight"], board, language),
                        "passed": wording.passes(variant["preflight"], board),
                    }
                )
    return rows


def _presets(placements: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return each board with what its estimates assume: once where all variants were compiled alike."""
    return list(dict.fromkeys((row["board"], wording.preset(row["facts"])) for row in placements))


def _int8_classes(quantised: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return per class what int8 makes of its map50_95 on val, for each variant that was evaluated as int8."""
    changes = [v["int8"]["difference"]["val"]["per_class"] for v in quantised]
    names = {name: None for per_class in changes for name in per_class}  # in order, each once
    return [{"name": name, "entries": [per_class.get(name) for per_class in changes]} for name in names]


def _classes(finished: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return per class its objects on val, the map50_95 of each finished variant, and which of them is highest."""
    names = {name: None for v in finished for name in v["metrics"]["val"]["per_class"]}  # in order, each once
    rows = []
    for name in names:
        found = [v["metrics"]["val"]["per_class"].get(name) for v in finished]
        values = [entry["map50_95"] if entry else None for entry in found]
        known = [wording.metric(value) for value in values if value is not None]
        instances = next((entry["instances"] for entry in found if entry), None)
        best = max(known) if len(set(known)) > 1 else None
        rows.append({"name": name, "instances": instances, "values": values, "best": best})
    return rows


def _proofs(variants: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the proof of activations, one row per variant that was checked, with its parts in their order."""
    rows = []
    for variant in variants:
        check = variant["activations"]
        if check is None:
            continue
        trained = value_at(variant, ("training", "activations"))
        int8 = value_at(variant, ("export", "activations"))
        rows.append(
            {
                "variant": variant["variant"],
                "parts": [
                    {
                        "part": part,
                        "expected": check["expected"][part],
                        "found": check["found"][part],
                        "executed": check["executed"][part],
                        "trained": value_at(trained, ("found", part)),
                    }
                    for part in PARTS
                ],
                "verified": check["verified"],
                "trained": trained and trained["verified"],
                "int8": int8 and {**int8, "verified": int8["found"] == int8["expected"]},
            }
        )
    return rows


def _notes(variants: list[Mapping[str, Any]], language: Language) -> list[tuple[str, str]]:
    """Return each note on a network once, with the variants that it holds for."""
    found: dict[str, list[str]] = {}
    for variant in variants:
        for note in (variant["model"] or {}).get("notes", ()):
            found.setdefault(note, []).append(variant["variant"])
    return [(wording.listed(names, language), note) for note, names in found.items()]


def _winners(criteria: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the variants to highlight by criterion: none where all are equal, or where nothing was compared."""
    found: dict[str, list[str]] = {criterion.key: [] for criterion in CRITERIA}
    return found | {c["key"]: c["variants"] for c in criteria if not c["all"]}


def _markdown(template: str, language: Language, **values: Any) -> str:
    return _markdown_environment(language).get_template(template).render(**values)


@cache
def _markdown_environment(language: Language) -> Any:
    # The texts of the catalogue are Markdown; what is put into them is not.
    found = environment_of(language, Markdown, autoescape=False, finalize=escape)
    found.filters["path"] = link_target
    found.filters["raw"] = Markdown
    return found


def environment_of(language: Language, text: Callable[[str], str] = str, **settings: Any) -> Any:
    """Return a `jinja2.Environment` over the templates of the reports, with their filters, in one language.

    Args:
        language: of the texts, numbers and dates.
        text: makes of a text of the catalogue what the template takes for its own.
        settings: as `jinja2.Environment` takes them.
    """
    found = environment(TEMPLATES, **settings)
    found.filters.update(wording.filters(language))
    found.globals.update(at=value_at, float_accuracy=float_accuracy, language=language.code)
    translate(
        found,
        lambda message: text(language.gettext(message)),
        lambda singular, plural, number: text(language.ngettext(singular, plural, number)),
    )
    return found
