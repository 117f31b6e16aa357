"""Names and texts of others reach a terminal, a log and a spreadsheet as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.evo.errors import UserError
from workflow.evo.host.console import Console
from workflow.evo.printable import inert, log_line, printable, quoted

NASTY = "a\nerror: spoofed\r\x1b]0;owned\x07\x9b2J\u202egnp\u2066\u2028\x00\udcff\u200b\u00ad"


@pytest.mark.parametrize(
    "text", ["한국어 이름.jpg", "Zähler 😀 наука", "👩\u200d🔬", "می\u200cخواهم", "a\u3000b c", "C:\\x"]
)
def test_letters_of_all_scripts_stay_as_they_are(text):
    assert printable(text) == text


def test_controls_line_breaks_and_turns_of_direction_are_escaped():
    assert printable(NASTY) == (r"a\nerror: spoofed\r\x1b]0;owned\x07\x9b2J\u202egnp\u2066\u2028\x00\xff\u200b\xad")


@given(st.text())
def test_no_text_forges_a_line_or_fails_to_be_written(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


def test_a_long_text_keeps_its_ends_and_says_what_is_left_out():
    shown = printable("a" * 1_000_000 + "end", 90)
    assert shown == "a" * 60 + "… [999,913 more characters] …" + "a" * 27 + "end"


@pytest.mark.parametrize("value", [10**5000, [10**5000], {"a": {"b": 10**5000}}], ids=["number", "list", "table"])
def test_a_number_that_python_refuses_to_write_can_be_quoted(value):
    assert quoted(value) == f"a {type(value).__name__} too large to show"


def test_values_are_quoted_bounded_and_printable():
    assert quoted("it's\x1b") == '"it\'s\\x1b"'
    assert len(quoted("a" * 10**6)) < 120
    nested = []
    for _ in range(10_000):
        nested = [nested]
    assert quoted(nested) == "a list too large to show"


def test_an_error_is_one_bounded_line_whatever_names_it_quotes():
    error = UserError(f"'{NASTY}' does not exist", where=f"/data/{NASTY}", hint=NASTY * 10_000)
    assert len(str(error).splitlines()) == 1
    assert str(error).isprintable()
    assert len(str(error)) < 13_000
    assert str(error).startswith(r"/data/a\nerror: spoofed\r\x1b]0;owned")


def test_a_line_for_the_person_is_one_line(capsys):
    log_line(NASTY)
    assert capsys.readouterr().err == f"{printable(NASTY)}\n"


def test_progress_of_a_training_is_one_line(capfd):
    console = Console("train level2_relu")
    try:
        console.log(NASTY)
    finally:
        console.give_back()
    assert capfd.readouterr().err.endswith(f" train level2_relu: {printable(NASTY)}\n")


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1"])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+3", "level2_relu", "", "a=b", 1.5, -2, None])
def test_numbers_and_plain_texts_of_a_cell_stay(value):
    assert inert(value) == value
