"""Reports in two languages, from the same documents."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.unit.report_pages import HOSTILE, assert_tables_are_whole
from tests.unit.synthetic import (
    NPU,
    digest,
    make_session,
    split_metrics,
    write_checks,
    write_done,
    write_npu,
    write_shared,
)
from workflow.evo.config.session import load_session
from workflow.evo.errors import UserError
from workflow.evo.files import load_schema
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.render import session_csv, session_markdown, variant_markdown
from workflow.evo.results.journal import Journal
from workflow.evo.results.known import recognised
from workflow.evo.session.triggers import report_identity
from workflow.evo.text import wording
from workflow.evo.text.language import ENGLISH, LANGUAGES, Language, catalogue_file
from workflow.evo.text.markdown import Markdown
from workflow.evo.text.message import Figure, Message, localised, numbered, with_messages

KOREAN = Language("ko")
BOARD = "ethos-u55-256"
INCIDENT = (
    "out of memory in the validation of epoch 3 at batch 16: continued at batch 8, nominal batch size 32 kept "
    "(accumulation 4)"
)
ENGLISH_SENTENCE = re.compile(r"\b(the|is|are|of|and|not|with|was|were)\b")


@pytest.fixture
def session(tmp_path):
    """A session with everything that a report has words for: finished, failed, started and missing variants."""
    found = make_session(tmp_path, language="ko", npu=replace(NPU, max_latency_ms=4.0))
    finding = {"severity": "warning", "code": "label_zero_area", "message": "boxes have no area", "count": 2}
    write_shared(found, findings=[{**finding, "examples": ["labels/a.txt (line 3)"]}])
    for name, value in (("level2_relu", 0.40), ("level2_leaky", 0.39), ("level3_relu", 0.30)):
        write_done(found, name, value)
    broken = ("level3_relu", split_metrics(0.1), None, digest("best", "level3_relu"))
    write_npu(found, *broken, floating=split_metrics(0.3), boards={BOARD: {"nothing": True}})
    write_checks(found, "level3_leaky")
    journal = Journal(found.layout.variant("level3_leaky").checkpoints)
    journal.start_attempt("recipe", 16)
    journal.incident("out_of_memory", INCIDENT, batch_before=16, batch_after=8, error="CUDA out of memory")
    return found


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


def test_a_message_is_its_english_text_and_can_be_said_in_korean():
    message = Message("%(name)s misses a gate: %(missed)s.", name="v", missed=Message("nothing runs on the NPU"))
    assert message == "v misses a gate: nothing runs on the NPU."
    assert message.say(KOREAN) == "게이트 미달: v, NPU에서 실행되는 연산자 없음."


def test_a_message_survives_json_with_its_figures_lists_and_forms():
    singular, plural = "%(names)s is less than %(noise)s behind", "%(names)s are less than %(noise)s behind"
    for names in (["a"], ["a", "b"]):
        message = numbered(singular, plural, len(names), names=names, noise=Figure("metric", 0.03))
        again = Message.of_document(json.loads(json.dumps(message.document())))
        assert again == message == f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} less than 0.030 behind"
    nested = Message(
        "the int8 model has lost more than half of the AP50-95 of: %(classes)s",
        classes=Figure("joined", [Message("not run yet"), "x"]),
    )
    again = Message.of_document(json.loads(json.dumps(nested.document())))
    assert again.say(KOREAN).endswith(": 아직 실행되지 않음; x")


def test_a_text_that_looks_like_a_format_is_a_parameter_and_no_format():
    for language in (ENGLISH, KOREAN):
        assert "100 %(x)s %d" in Message("%(name)s misses a gate: %(missed)s.", name="100 %(x)s %d", missed="").say(
            language
        )


def test_only_the_places_of_messages_are_translated():
    document = with_messages(
        {"reason": Message("not run yet"), "names": ["not run yet"], "inner": {"a": [Message("none")]}}
    )
    document = json.loads(json.dumps(document))
    found = localised(document, KOREAN)
    assert found["reason"] == "아직 실행되지 않음"
    assert found["names"] == ["not run yet"], "a class that is called like a sentence keeps its name"
    assert found["inner"] == {"a": ["없음"]}
    assert document["reason"] == "not run yet", "the document is changed"


def test_a_text_that_the_catalogue_lacks_stays_english():
    assert KOREAN.gettext("no such %(thing)s", thing="text") == "no such text"
    for number, expected in ((1, "1 such text"), (2, "2 such texts")):
        assert KOREAN.ngettext("%(num)s such %(thing)s", "%(num)s such %(thing)ss", number, thing="text") == expected


def test_without_parameters_a_text_stays_as_the_catalogue_has_it():
    assert KOREAN.gettext("%(number)s %%") == "%(number)s%%"
    assert KOREAN.ngettext("%(num)s x", "%(num)s xs", 2) == "%(num)s xs"


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        (
            INCIDENT,
            "메모리 부족(에폭 3 검증), 배치 16: "
            "배치 8, 명목 배치 크기 32 유지(그래디언트 누적 4) 조건으로 계속했습니다",
        ),
        (
            "continued after epoch 4 under other conditions (batch 8 instead of 16; torch threads 2 instead of 1): "
            "valid, but not bit for bit what one uninterrupted run gives",
            "에폭 4 이후 다른 조건에서 학습을 이어 갔습니다(배치 16 → 8; torch 스레드 1 → 2). "
            "결과는 유효하지만, 중단 없이 학습한 결과와 비트 단위로 같지는 않습니다",
        ),
        (
            "numbers went bad in epoch 2: the loss became box_loss nan in epoch 2; tried once more from the start",
            "에폭 2에서 수치 이상 발생: 손실 값 이상(에폭 2): box_loss nan. "
            "다음 지점부터 한 번 더 시도했습니다: 학습 시작 지점",
        ),
        (
            "checkpoint epoch00004 is unusable (damaged last.pt): the one before it is used",
            "체크포인트 epoch00004 사용 불가(손상된 파일: last.pt): 바로 앞의 체크포인트를 사용했습니다",
        ),
    ],
)
def test_incidents_that_a_training_wrote_in_english_are_recognised(english, korean):
    message = recognised(english)
    assert message == english, "what was recognised is not what stood there"
    assert message.say(KOREAN) == korean


@pytest.mark.parametrize("text", ["CUDA error: device-side assert", "", "a and b", "%(x)s", "(((", "100 %"])
def test_what_is_not_ours_is_quoted(text):
    assert recognised(text) is text


# Reports


def test_a_report_in_korean_has_no_english_sentence(session):
    summary = compare(session)
    assert summary["warnings"] and summary["headline"]["caveat"]
    texts = [session_markdown(summary, KOREAN)]
    texts += [variant_markdown(variant, KOREAN) for variant in summary["variants"]]
    for text in texts:
        assert_tables_are_whole(text)
        for line in text.splitlines():
            # what earlier steps and other programs call things is data
            bare = re.sub(r"no GPU: training runs on the CPU|Test CPU, \d \w+", "", line)
            assert not ENGLISH_SENTENCE.search(bare), line
    assert "게이트 미달: level2\\_relu" in texts[0].replace("level2_relu", "level2\\_relu")
    assert "메모리 부족(에폭 3 검증), 배치 16" in texts[0]


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
    assert tuple(load_schema("config")["properties"]["report"]["properties"]["language"]["enum"]) == LANGUAGES
    assert {path.parts[-3] for path in catalogue_file("en").parents[2].glob("*/LC_MESSAGES/reports.po")} == set(
        LANGUAGES
    ) - {ENGLISH.code}


def test_another_language_makes_the_reports_again_and_nothing_else(tmp_path):
    from workflow.evo.training.recipe import arguments_of

    english, korean = make_session(tmp_path), make_session(tmp_path, language="ko")
    assert report_identity(english) != report_identity(korean)
    assert arguments_of(english) == arguments_of(korean)
