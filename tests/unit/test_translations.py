"""No text decides anything: whatever a translation says, the same variant is shipped for the same reasons."""

from __future__ import annotations

import random
import re
import sys
from dataclasses import replace
from gettext import NullTranslations
from html.parser import HTMLParser
from unittest.mock import patch

import pytest

from tests.unit.resamples import write_evidence
from tests.unit.synthetic import (
    NPU,
    compatibility,
    make_session,
    write_checks,
    write_done,
    write_preflight,
    write_shared,
)
from workflow.evo.evaluation import bootstrap
from workflow.evo.files import read_json, write_json
from workflow.evo.reporting import page as report_page
from workflow.evo.reporting.compare import compare

BOARDS = ("preset-u55-256", "preset-u65-512")
SESSIONS = 20

TEXTS = sys.modules[report_page.Language.__module__]
"""The module that reads the catalogues."""


@pytest.fixture(autouse=True)
def fresh_catalogues(monkeypatch):
    """Catalogues are read once per process: not those that a test has changed. A few resamples decide as many do."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 60)
    yield
    forget_catalogues()


def forget_catalogues():
    for function in vars(TEXTS).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def page(session, language: str) -> str:
    """Return the page as it opens, without its charts."""
    with (
        patch.object(report_page, "_library", return_value=""),
        patch.object(report_page, "draw", return_value={}),
    ):
        html = report_page.session_html(compare(session), session.layout.root, report_page.Language(language))
    return re.sub(r"<(script|template)\b.*?</\1>", "", html, flags=re.DOTALL)


def test_a_translation_with_the_board_last_ships_the_same_variant(tmp_path, monkeypatch):
    """The gates of a board were once found by the beginning of a sentence.

    With such a translation the page in Korean shipped level2_relu, which misses a gate of the board.
    """
    from babel.messages import pofile

    read, changed = pofile.read_po, []

    def with_the_board_last(*arguments, **settings):
        catalogue = read(*arguments, **settings)
        for message in catalogue:
            found = re.fullmatch(r"%\(board\)s: (%\(\w+\)s)", str(message.id))
            if found:
                message.string = f"{found[1]} (%(board)s)"
                changed.append(message.id)
        return catalogue

    session = make_session(tmp_path)
    write_shared(session)
    for name, accuracy in (("level2_relu", 0.6), ("level2_leaky", 0.3)):
        write_done(session, name, accuracy)
    write_preflight(session, "level2_relu", sram_kib=9000.0)
    forget_catalogues()
    monkeypatch.setattr(pofile, "read_po", with_the_board_last)
    for language in ("en", "ko"):
        (shipped,) = re.findall(r'<p class="headline">(.*?)</p>', page(session, language))
        assert "level2_leaky" in shipped, f"{language}: {shipped}"
    assert changed, "the catalogue has no such text any more"


def backwards(text: str) -> str:
    pieces = re.split(r"(%\(\w+\)[sd]|%%)", text)
    return "".join(piece if index % 2 else piece[::-1] for index, piece in reversed(list(enumerate(pieces))))


class Backwards(NullTranslations):
    """A language in which every text is the English one from its end to its beginning."""

    def gettext(self, message):
        return backwards(message)

    def ngettext(self, msgid1, msgid2, n):
        return backwards(super().ngettext(msgid1, msgid2, n))


def any_session(folder, seed: int):
    """Return a session in which each variant is in some state, with some figures."""
    draw = random.Random(seed)
    boards = BOARDS[: draw.choice((1, 1, 2))]
    settings = replace(NPU, boards=boards, gate="warn", max_latency_ms=draw.choice((None, None, 3.0)))
    limits = ({}, {}, {"objective": "latency", "min_map50_95": 0.2}, {"max_latency_ms": 0.1}, {"min_map50_95": 0.9})
    session = make_session(folder, npu=settings, replicates=draw.choice((1, 1, 2)), goal=draw.choice(limits))
    if draw.random() < 0.8:
        write_shared(session)
    for name in session.variant_names:
        state = draw.choice(("absent", "checked", "done", "done", "done", "done"))
        if state == "checked":
            write_checks(session, name)
        elif state == "done":
            write_done(session, name, draw.choice((0.0, 0.39, 0.4, 0.4004, 0.42, 0.6)), test=draw.random() < 0.5)
            if draw.random() < 0.9:
                write_evidence(session, {name: draw.choice((-0.3, 0.0, 0.0, 0.1))})
        if state != "absent":
            left = [{"name": "a", "type": "SOFTMAX", "reason": None}] * draw.choice((*[0] * 9, 40))
            failed = {boards[-1]: "Vela crashed"} if draw.random() < 0.08 else {}
            checked = [board for board in boards if board not in failed]
            memory = {"sram_kib": draw.choice((*[100.0] * 7, 9000.0)), "flash_kib": draw.choice((900.0, 9000.0))}
            if draw.random() < 0.9:
                memory["flash_kib"] = 900.0
            nothing = draw.random() < 0.04
            write_preflight(session, name, checked, failed, cpu=left, nothing=nothing, **memory)
        if state == "done":
            for board in boards:  # which of two is faster depends on the board
                path = session.layout.variant(name).board(board).compatibility
                source = read_json(path, "compatibility")["sha256"]["source"]
                figures = {"cycles": draw.choice((900_000, 2_000_000)), "bound": draw.choice(("npu", "flash"))}
                write_json(path, "compatibility", compatibility(board, source, **figures))
    return session


class Structure(HTMLParser):
    """The elements of a page with their classes, which say what is chosen, passed, missed, best or failed."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, str | None, str | None]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.elements.append((tag, found.get("class"), found.get("data-variant")))


@pytest.mark.parametrize("seed", range(0, SESSIONS, 2))
def test_with_every_text_backwards_all_is_decided_as_before(tmp_path, monkeypatch, seed):
    session = any_session(tmp_path, seed)
    decided, shown = compare(session), page(session, "en")
    monkeypatch.setattr(TEXTS, "translations", lambda code: Backwards())
    again, turned = compare(session), page(session, "en")
    assert again["decisions"] == decided["decisions"]
    assert [v["preflight"] and v["preflight"]["gate"] for v in again["variants"]] == [
        v["preflight"] and v["preflight"]["gate"] for v in decided["variants"]
    ]
    assert [(c["key"], c["variants"]) for c in again["criteria"]] == [
        (c["key"], c["variants"]) for c in decided["criteria"]
    ]
    assert again == decided
    assert Structure(turned).elements == Structure(shown).elements
    assert turned != shown


def test_the_sessions_of_the_test_above_cover_every_decision(tmp_path):
    summaries = [compare(any_session(tmp_path / str(seed), seed)) for seed in range(SESSIONS)]
    decisions = [decision for summary in summaries for decision in summary["decisions"]]
    found = {decision["what"]["code"] for decision in decisions}
    assert found >= {"ship_confident", "ship_none_passes", "ship_none_keeps"}
    assert {reason["code"] for decision in decisions for reason in decision["why"]} >= {
        "its_figures_with_interval",
        "not_told_apart",
        "faster_and_close",
        "covers_images",
        "covers_images_and_seeds",
        "ships_the_best",
    }
    checks = [v["preflight"] for summary in summaries for v in summary["variants"] if v["preflight"]]
    kinds = {miss["kind"] for check in checks for miss in check["gate"]["missed"]}
    assert kinds >= {"operators", "latency", "nothing_on_npu", "sram", "flash", "failed"}
