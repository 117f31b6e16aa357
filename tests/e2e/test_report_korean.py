"""The page of a session in Korean, whole: text, labels and charts."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from gettext import NullTranslations

import pytest

from tests.unit.korean_session import BOARD, KOREAN, make_korean_session
from tests.unit.synthetic import CLASSES, write_curves
from tools.messages import html_texts, latin_words
from workflow.evo.files import read_json, write_json
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.page import session_html
from workflow.evo.reporting.render import session_markdown, variant_markdown
from workflow.evo.results.collect import collect_variant
from workflow.evo.results.stages import STAGES
from workflow.evo.text import language as languages
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import ENGLISH

FIELD_TERMS = """
    AP AP50-95 CPU DFL DRAM EMA F1 GMT IoU KiB MHz NaN Snakemake UTC UTF-8 Vela YOLO ms
    backbone neck detect box cls float nc names
    LiteRT Micro README docs statistics.md MAC
    ReLU SiLU LeakyReLU LEAKY_RELU LOGISTIC leaky leaky_relu sigmoid
    Conv2D Add ethos-u snakemake results.csv metadata.json training.json
    English
"""
"""Words in Latin letters that a report in Korean may hold, besides the names of the session's own things."""


@pytest.fixture
def session(tmp_path):
    return make_korean_session(tmp_path)


@pytest.fixture
def whole_page(session):
    """The session with everything that a page draws: curves, boxes, operators, and the times of the jobs."""
    write_curves(session)
    for name in ("level2_relu", "level2_leaky"):
        with session.layout.variant(name).board(BOARD).operators.open("w", newline="") as stream:
            rows = [("name", "type", "estimated_cycles"), ("a", "Conv2D", 7), ("serving_default_output_0", "Add", 2)]
            csv.writer(stream).writerows(rows)
    for stage in STAGES:
        path = stage.benchmark(session.layout, "level2_relu", BOARD)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\n2.5\n")
    return session


def spec_texts(value, key="") -> Iterator[str]:
    """Yield what people read of a chart: titles, and every text of its data, its scales and its marks."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from spec_texts(item, "values" if key == "values" else name)
    elif isinstance(value, list):
        for item in value:
            yield from spec_texts(item, key)
    elif isinstance(value, str) and key in {"title", "values", "domain", "sort", "text"}:
        yield value


def english_on_the_page(session) -> set[str]:
    """Return the words of the page in Korean that are neither Korean nor a term of the field nor a name."""
    page = session_html(compare(session), session.layout.root, KOREAN)
    body = re.search(r'<div id="report" lang="ko">\n(.*?)\n</div>\n<template', page, re.DOTALL)[1]
    charts = json.loads(re.search(r'id="report-data">(.*?)</script>', page)[1])["charts"]["ko"]
    assert len(charts) == 11, "a chart is missing here"
    texts = [*html_texts(body), *spec_texts(charts)]
    names = (*session.variant_names, BOARD, session.name, *CLASSES, *(stage.rule for stage in STAGES), "0.png", "1.png")
    quoted = ("no GPU: training runs on the CPU",)  # of somebody else
    data = re.compile("|".join(map(re.escape, sorted((*names, *quoted), key=len, reverse=True))))
    return latin_words(data.sub(" ", " ".join(text.split())) for text in texts) - set(FIELD_TERMS.split())


def test_the_page_in_korean_has_no_english_word_in_text_labels_or_charts(whole_page):
    assert english_on_the_page(whole_page) == set()


def test_a_word_of_the_page_that_is_not_translated_is_found_wherever_it_stands(whole_page, monkeypatch):
    lost = {
        "missed: %(gates)s": "missed",  # a cell
        "Language and theme": "theme",  # an aria-label
        "Latency, ms (estimated by Vela where not measured)": "measured",  # an axis
        "waiting: none of its jobs runs": "waiting",  # data of a chart
        "%(minutes)s min %(seconds)s s": "min",  # a figure
        "No complete variant passes the gates of %(board)s.": "passes",  # the decision
    }
    known = languages.translations(KOREAN.code)

    class Incomplete(NullTranslations):
        def gettext(self, message):
            return message if message in lost else known.gettext(message)

        def ngettext(self, msgid1, msgid2, n):
            return known.ngettext(msgid1, msgid2, n)

    monkeypatch.setattr(languages, "translations", lambda code: Incomplete())
    assert set(lost.values()) <= english_on_the_page(whole_page)


def test_a_report_can_be_rendered_in_either_language_from_its_json(session, tmp_path):
    summary = compare(session)
    write_json(tmp_path / "summary.json", "session_summary", summary)
    again = read_json(tmp_path / "summary.json", "session_summary")
    for language in (ENGLISH, KOREAN):
        assert session_markdown(again, language) == session_markdown(summary, language)
        assert session_html(again, tmp_path, language)
    variant = collect_variant(session, "level3_leaky")
    write_json(tmp_path / "variant.json", "summary", variant)
    again = read_json(tmp_path / "variant.json", "summary")
    assert variant_markdown(again, KOREAN) == variant_markdown(variant, KOREAN)
    assert sentence(again["reason"]).startswith("started ") and "시작, 1번째 시도" in variant_markdown(again, KOREAN)
