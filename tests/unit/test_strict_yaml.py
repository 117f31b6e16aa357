"""YAML and JSON of users: read within limits, or refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow.evo.config.strict_yaml import parse, parse_json, refuse_excess
from workflow.evo.errors import UserError

FILE = Path("file.yaml")


def refusal(call, *arguments, **names):
    with pytest.raises(UserError) as refused:
        call(*arguments, **names)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 1000
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: {c: 1}\na: 2", "line 3: duplicate key 'a', first in line 1"),
        ("b:\n  c: 1\n  c: 2", "line 3: duplicate key 'c', first in line 2"),
        ("- [{1: a, 1: b}]", "line 1: duplicate key '1'"),
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ("n: !!timestamp abc", "line 1: 'abc' cannot be read as timestamp"),
        ("n: 2024-99-99", "'2024-99-99' cannot be read as timestamp"),
        ("n: !!bool abc", "'abc' cannot be read as bool"),
        ("n: !!int ''", "'' cannot be read as int"),
        ("n: !!float abc", "'abc' cannot be read as float"),
        (f"n: 0x{'f' * 6000}", "line 1: a number is too long"),
        (f"n: {'9' * 6000}", "a number is too long"),
        (f"n: {'1:' * 5000}1", "a number is too long"),
        (f"n: {'1:' * 5000}1.5", "a number is too long"),
        ("n: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: &a [1]\nb: *a", "alias '*a' in line 2"),
        ("[" * 100_000, "nested too deep in line 1"),
        ("{a: " * 100_000, "nested too deep in line 1"),
        ('"\x1b]0;own\x07"', "not valid YAML"),
        ("a: 1\n---\nb: 2", "expected a single document"),
        ("\ud800", "not a text file in UTF-8"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text, says):
    message = refusal(parse, text.encode("utf-8", errors="surrogatepass"), FILE)
    assert message.startswith("file.yaml: ")
    assert says in message
    assert "\x1b" not in message


def test_plain_yaml_is_read_as_pyyaml_reads_it():
    text = "\ufeffa: [1, 1.5, yes, ~, 0x1f, 1:30, 2024-01-01]\nb: {c: d, 1: e, true: f}\n'k': |\n  text\n"
    assert parse(text.encode(), FILE) == yaml.safe_load(text)
    assert parse(b"", FILE) is None


def test_aliases_and_merges_are_read_where_they_are_allowed():
    text = b"base: &base {a: 1, b: 2}\none: {<<: *base, a: 3}\ntwo: {<<: *base, b: 4}\n"
    document = parse(text, FILE, aliases=True)
    assert (document["one"], document["two"]) == ({"a": 3, "b": 2}, {"a": 1, "b": 4})


@given(content=st.binary(max_size=200) | st.text("ab:!?&*<>|-[]{}'\"\n 0123~", max_size=80).map(str.encode))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(content):
    for aliases in (False, True):
        try:
            parse(content, FILE, aliases=aliases)
        except UserError as error:
            assert len(str(error).splitlines()) == 1
    try:
        parse_json(content, FILE)
    except UserError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "duplicate key 'a'"),
        ("[" * 100_000, "not valid JSON"),
        ("{", "not valid JSON"),
        (f'{{"a": {"9" * 6000}}}', "not valid JSON"),
    ],
)
def test_what_is_no_plain_json_is_refused(text, says):
    assert says in refusal(parse_json, text.encode(), FILE)


def bomb():
    value = ["x"] * 10
    for _ in range(9):
        value = [value] * 10
    return value


def circle():
    value = {}
    value["a"] = value
    return value


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"data": "a\0b"}, "a text with a NUL character in 'data'"),
        ({"train": {"pretrained": "a" * 5000}}, "a text of 5,000 characters (limit 4,096) in 'train.pretrained'"),
        ({"digits": {"seed": 2**70}}, "a number of more than 63 bits in 'digits.seed'"),
        ({"npu": {"boards": [float("nan")]}}, "'nan' is not a finite number in 'npu.boards.0'"),
        ({"a" * 5000: 1}, "a text of 5,000 characters (limit 4,096) as a key"),
        ({"models": bomb()}, "more than 400,000 values"),
        ({"models": circle()}, "nested more than 20 deep"),
        ({"a": {"b\x1b": "x\0"}}, "a text with a NUL character in 'a.b\\x1b'"),
    ],
)
def test_what_no_configuration_can_mean_is_refused_before_it_is_used(document, says):
    assert says in refusal(refuse_excess, document, "configuration")


def test_an_ordinary_configuration_is_not_excessive():
    assert refuse_excess({"a": [1, 2.5, None, True, "text", {"b": {"c": [2**62]}}]}, "configuration") is None
