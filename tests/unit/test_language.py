"""Reports in two languages, from the same documents."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from tests.unit.korean_session import KOREAN, make_korean_session
from tests.unit.report_pages import HOSTILE, assert_tables_are_whole, render
from tests.unit.synthetic import (
    make_session,
    write_done,
    write_shared,
)
from workflow.evo.config.loading import load_session
from workflow.evo.errors import UserError
from workflow.evo.files import load_schema
from workflow.evo.reporting.columns import session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.render import session_markdown, variant_markdown
from workflow.evo.session.triggers import report_identity
from workflow.evo.text import wording
from workflow.evo.text.facts import fact, sentence
from workflow.evo.text.language import ENGLISH, LANGUAGES, Language, catalogue_file
from workflow.evo.text.markdown import Markdown

ENGLISH_SENTENCE = re.compile(r"\b(the|is|are|of|and|not|with|was|were)\b")


@pytest.fixture
def session(tmp_path):
    return make_korean_session(tmp_path)


# Figures


@pytest.mark.parametrize(
    ("function", "value", "english", "korean"),
    [
        (wording.duration, 5530, "1 h 32 min", "1시간 32분"),
        (wording.duration, 252, "4 min 12 s", "4분 12초"),
        (wording.duration, 8.31, "8.3 s", "8.3초"),
        (wording.duration, 200_000, "2 d 8 h", "2일 8시간"),
        (wording.percent, 99.44, "99.4 %", "99.4%"),
        (wording.count, 1_617_146, "1,617,146", "1,617,146"),
        (wording.signed, -0.0051, "-0.005", "-0.005"),
        (wording.signed, -0.0001, "+0.000", "+0.000"),
        (wording.latency, 5.146, "5.15 ms", "5.15 ms"),
        (wording.listed, ["a", "b", "c"], "a, b and c", "a, b, c"),
        (wording.listed, ["a"], "a", "a"),
        (
            wording.date_time,
            "2026-03-01T08:10:59+09:00",
            "1 Mar 2026, 08:10 GMT+09:00",
            "2026년 3월 1일 08:10 GMT+09:00",
        ),
        (
            wording.used,
            {"used_kib": 118.2, "budget_kib": 4096, "fits": True},
            "119 of 4,096 KiB, fits",
            "119 / 4,096 KiB, 충분",
        ),
        (
            wording.used,
            {"used_kib": 118.2, "budget_kib": 64, "fits": False},
            "119 of 64 KiB, DOES NOT FIT",
            "119 / 64 KiB, 초과",
        ),
        (wording.sites, {}, "none", "없음"),
        (wording.status, "missing", "missing", "미완료"),
        (wording.kind, "out_of_memory", "out of memory", "메모리 부족"),
        (wording.kind, "of_another_program", "of_another_program", "of_another_program"),
    ],
)
def test_figures_are_written_as_each_language_does(function, value, english, korean):
    assert (function(value), function(value, KOREAN)) == (english, korean)


@pytest.mark.parametrize("name", sorted(set(wording.FIGURES) - {"listed", "joined"}))
def test_what_is_absent_is_a_dash_in_every_language(name):
    assert wording.FIGURES[name](None, KOREAN) == wording.DASH


# Sentences


def test_a_fact_is_said_in_korean_with_the_facts_within_it():
    miss = fact("at_board", board="u55", what=fact("missed_nothing_on_npu"))
    found = fact("misses_gate", variant="v", missed=miss)
    assert str(found) == "v misses a gate: u55: nothing runs on the NPU."
    assert sentence(found, KOREAN) == "게이트 미달: v, u55: NPU에서 실행되는 연산자 없음."


def test_a_number_decides_between_two_forms_where_a_language_has_them():
    assert [ENGLISH.ngettext("%(num)s such thing", "%(num)s such things", number) for number in (1, 2)] == [
        "%(num)s such thing",
        "%(num)s such things",
    ]
    assert KOREAN.ngettext("%(num)s such thing", "%(num)s such things", 3) == "%(num)s such things"


def test_a_text_that_looks_like_a_format_is_a_parameter_and_not_a_format():
    for language in (ENGLISH, KOREAN):
        assert "100 %(x)s %d" in sentence(fact("misses_gate", variant="100 %(x)s %d", missed=""), language)


def test_a_class_that_is_called_like_a_sentence_keeps_its_name():
    found = fact("class_lost", name="not run yet", float=0.4, int8=0.1, split="val")
    assert sentence(found, KOREAN) == "'not run yet' 0.400 → 0.100 (val)"


def test_a_text_that_the_catalogue_lacks_stays_english():
    assert KOREAN.gettext("no such %(thing)s", thing="text") == "no such text"
    for number, expected in ((1, "1 such text"), (2, "2 such texts")):
        assert KOREAN.ngettext("%(num)s such %(thing)s", "%(num)s such %(thing)ss", number, thing="text") == expected


def test_without_parameters_a_text_stays_as_the_catalogue_has_it():
    assert KOREAN.gettext("%(number)s %%") == "%(number)s%%"
    assert KOREAN.ngettext("%(num)s x", "%(num)s xs", 2) == "%(num)s xs"


# Reports


def test_a_report_in_korean_has_no_english_sentence(session):
    summary = compare(session)
    assert summary["warnings"]
    texts = [session_markdown(summary, KOREAN)]
    texts += [variant_markdown(variant, KOREAN) for variant in summary["variants"]]
    for text in texts:
        assert_tables_are_whole(text)
        for line in text.splitlines():
            # what earlier steps and other programs call things is data
            bare = re.sub(r"no GPU: training runs on the CPU|Test CPU, \d \w+", "", line)
            assert not ENGLISH_SENTENCE.search(bare), line
    assert "메모리 부족" in texts[0] and "배치 8" in texts[0]
    assert "게이트 미달: level2\\_relu" in texts[0].replace("level2_relu", "level2\\_relu")


def test_both_languages_say_the_same_figures(session):
    summary = compare(session)
    numbers = [
        sorted(re.findall(r"\d+\.\d{2,3}|\d{1,3}(?:,\d{3})+", session_markdown(summary, Language(code))))
        for code in LANGUAGES
    ]
    assert numbers[0] == numbers[1] and len(numbers[0]) > 50


def test_tables_for_machines_are_the_same_in_every_language(session):
    assert session_csv(compare(session)) == session_csv(compare(replace(session, language="en")))
    assert compare(session) == compare(replace(session, language="en"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_hostile_names_are_text_in_the_markdown_of_every_language(tmp_path, code):
    names = [HOSTILE, "a|b", "`code`", "**bold**", "[x](y)", "%(name)s", "# h"]
    session = make_session(tmp_path, language=code)
    write_shared(session, names=names)
    write_done(session, "level2_relu", 0.4, names=names)
    write_done(session, "level2_leaky", 0.3, names=names)
    journal_line = {"time": "2026-03-01T08:10:00+01:00", "kind": "`k`|", "message": f"{HOSTILE} | `x`\n# y"}
    write_done(session, "level3_relu", 0.2, names=names, incidents=[journal_line])
    summary = compare(session)
    for text in (session_markdown(summary, Language(code)), variant_markdown(summary["variants"][2], Language(code))):
        assert_tables_are_whole(text)
        assert "<script" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        for bad in ("a|b", "`code`", "**bold**", "[x](y)", "\n# y", "`k`"):
            assert bad not in text.replace("\\`", "'"), bad
        assert "%(name)s" in text


def test_what_is_put_into_a_text_of_the_catalogue_is_escaped_and_the_text_is_not():
    text = Markdown("**%(status)s** at `%(stage)s`: %(reason)s")
    found = text % {"status": "a*b", "stage": Markdown("x_y"), "reason": "<b>|"}
    assert isinstance(found, Markdown)
    assert found == r"**a\*b** at `x_y`: &lt;b&gt;\|"


# Configuration


def test_the_language_is_a_key_of_the_configuration_and_english_by_default():
    assert load_session({}).language == "en"
    assert load_session({}, {"report": {"language": "ko"}}).language == "ko"
    with pytest.raises(UserError, match=r"unknown language 'kr' in 'report.language', did you mean 'ko'"):
        load_session({"report": {"language": "kr"}})


def test_the_schema_the_catalogues_and_the_code_know_the_same_languages():
    assert tuple(load_schema("config")["properties"]["report"]["properties"]["language"]["enum"]) == tuple(LANGUAGES)
    assert {path.parts[-3] for path in catalogue_file("en").parents[2].glob("*/LC_MESSAGES/reports.po")} == set(
        LANGUAGES
    ) - {ENGLISH.code}


def test_a_further_language_is_one_entry_and_one_catalogue(session, tmp_path, monkeypatch):
    from workflow.evo.text import language as languages

    folders = tmp_path / "locales"
    for code in ("ko", "de"):
        (folders / code / "LC_MESSAGES").mkdir(parents=True)
        shutil.copy(catalogue_file("ko"), folders / code / "LC_MESSAGES" / "reports.po")
    catalogue = folders / "de" / "LC_MESSAGES" / "reports.po"
    catalogue.write_text(catalogue.read_text().replace('msgstr "완료"', 'msgstr "fertig"'))
    monkeypatch.setattr(languages, "LOCALES", folders)
    monkeypatch.setitem(LANGUAGES, "de", languages.Locale("Deutsch", "d. MMMM y, HH:mm ZZZZ"))
    html, _ = render(session)
    assert '<button type="button" data-language="de" lang="de" aria-pressed="false">Deutsch</button>' in html
    assert "| fertig |" in session_markdown(compare(session), Language("de"))


def test_another_language_makes_the_reports_again_and_nothing_else(tmp_path):
    from workflow.evo.training.recipe import arguments_of

    english, korean = make_session(tmp_path), make_session(tmp_path, language="ko")
    assert report_identity(english) != report_identity(korean)
    assert arguments_of(english.train) == arguments_of(korean.train)
