"""The catalogues of the reports: complete, in step with the code, and no text of a report outside of them."""

from __future__ import annotations

import ast
import re

import pytest
from babel.messages.catalog import Catalog

from tools import messages
from workflow.evo.config.variants import ROOT
from workflow.evo.results import known
from workflow.evo.text.language import ENGLISH, LANGUAGES, catalogue, catalogue_file

TRANSLATED = [code for code in LANGUAGES if code != ENGLISH.code]
REPORTING = ROOT / "workflow" / "evo" / "reporting"
LOOKED_UP = {
    "message.py": {"template"},
    "known.py": {"template"},
    "compare.py": {"criterion.title", "criterion.note", "sentence"},
    "render.py": {"message", "singular"},
    "wording.py": {"STATUS[word]", "SEVERITY[word]", "KINDS[word]"},
}
"""Texts that reach a function of the catalogue by a name: those of a table, each ``marked`` where it stands."""


@pytest.fixture(scope="module")
def texts():
    return messages.extracted()


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_text_of_the_reports_is_translated(texts, code):
    found = messages.problems(texts, catalogue(code))
    assert not found, "\n".join([f"{catalogue_file(code).relative_to(ROOT)}:", *found])


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_catalogue_is_as_make_messages_writes_it(code):
    assert messages.update(code) == catalogue_file(code).read_text(), "run `make messages` and commit the catalogue"
    catalogue.cache_clear()  # `update` has merged into it


def of(*pairs, **flags) -> Catalog:
    found = Catalog(locale="ko")
    for text, translation in pairs:
        found.add(text, translation, **flags)
    return found


@pytest.mark.parametrize(
    ("translated", "problem"),
    [
        (of(), "not in the catalogue: '%(n)s of %(m)s'"),
        (of(("%(n)s of %(m)s", "")), "untranslated: '%(n)s of %(m)s'"),
        (of(("%(n)s of %(m)s", "%(m)s 중 %(n)s"), flags={"fuzzy"}), "fuzzy: '%(n)s of %(m)s'"),
        (of(("%(n)s of %(m)s", "%(m)s 중")), "other placeholders"),
        (of(("%(n)s of %(m)s", "%(m)s 중 %(n)s, 100%")), "other placeholders"),
        (of(("%(n)s of %(m)s", "%(m)s 중 %(n)s"), ("gone", "없어짐")), "obsolete: 'gone'"),
    ],
)
def test_a_text_that_is_missing_or_wrong_is_found(translated, problem):
    assert [line for line in messages.problems(of(("%(n)s of %(m)s", "")), translated) if line.startswith(problem)]


def test_a_complete_catalogue_has_no_problem():
    texts = of(("%(n)s of %(m)s", ""), (("%(num)s gate", "%(num)s gates"), ""))
    translated = of(("%(n)s of %(m)s", "%(m)s 중 %(n)s"), (("%(num)s gate", "%(num)s gates"), ("게이트 %(num)s개",)))
    assert messages.problems(texts, translated) == []


@pytest.mark.parametrize("path", messages.templates(), ids=lambda path: path.name)
def test_no_text_of_a_template_stands_outside_the_catalogue(path):
    found = messages.bare_texts(path.read_text(), html=".html." in path.name)
    assert not found, f"{path.name}: put these into _() or {{% trans %}}: {' '.join(found)}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("# Variants", ["Variants"]),
        ("# {{ _('Variants') }}: {{ v.name }}", []),
        ("{% trans n=3 %}There are {{ n }} variants{% endtrans %} left", ["left"]),
        ("{{ 'yes' if v.done else _('no') }}", ["yes"]),
        ("{{ v.reason or 'no reason' }}", ["no", "reason"]),
        ("{{ at(v, ('metrics', 'val')) | default('none') }}", []),
        (
            "{% for title, kind in (('In flash', 'flash'), (_('Memory'), 'sram')) %}{{ title }}{% endfor %}",
            ["In", "flash"],
        ),
        ("| mAP50-95 | int8 | SRAM |", []),
        ("{# a comment #}", []),
        ("{{ '%.1f' | format(v.share) }}", []),
    ],
)
def test_bare_words_of_markdown_are_found(source, words):
    assert messages.bare_texts(source, html=False) == words


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<th class='n'>Variant</th>", ["Variant"]),
        ("<th class='n{{ ' top' if v.best }}'>{{ _('Variant') }}</th>", []),
        ("<div aria-label='All classes' id='classes'>{{ v.name }}&nbsp;</div>", ["All", "classes"]),
        ("<style>.top { color: red }</style><code>train</code><script>let found = 1</script>", []),
        (
            "<i style='{{ 'width' if a else 'height' }}:{{ '1em' if b }}' id='{{ 'x' }}'>{{ 'large' if b }}</i>",
            ["large"],
        ),
        ("<b>{{ 'fits' if v.fits else _('too large') }}</b>", ["fits"]),
    ],
)
def test_bare_words_of_html_are_found_in_what_people_read_or_hear(source, words):
    assert messages.bare_texts(source, html=True) == words


def called(tree: ast.AST, names: set[str]):
    """Yield the calls of functions and methods of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
            if name in names and node.args:
                yield node


def test_every_sentence_is_made_of_a_text_that_can_be_extracted():
    for path in sorted((ROOT / "workflow").rglob("*.py")):
        for call in called(ast.parse(path.read_text()), set(messages.KEYWORDS)):
            text = call.args[0]
            literal = isinstance(text, ast.Constant) and isinstance(text.value, str)
            looked_up = path.parent == REPORTING and ast.unparse(text) in LOOKED_UP.get(path.name, ())
            assert literal or looked_up, f"{path.name}:{call.lineno}: {ast.unparse(call)[:90]}"


STAND_IN = "17"


def spoken(node: ast.expr, function: ast.AST) -> list[str]:
    """Return the texts that an expression may be: stand-ins for what is put into them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        found = [""]
        for part in node.values:
            pieces = [part.value] if isinstance(part, ast.Constant) else [STAND_IN]
            found = [text + piece for text in found for piece in pieces]
        return found
    if isinstance(node, ast.IfExp):
        return spoken(node.body, function) + spoken(node.orelse, function)
    name = {ast.Name: "id", ast.Attribute: "value", ast.Call: "args"}.get(type(node))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "str":  # str(stop), of an EvoError
        node = node.args[0]
    if isinstance(node, ast.Attribute):  # stop.what
        node = node.value
    if name is None or not isinstance(node, ast.Name):
        return []
    found = []
    for statement in ast.walk(function):
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == node.id:
            value = statement.value
            found += whole_error(value, function) if isinstance(value, ast.Call) else spoken(value, function)
    return found


def whole_error(call: ast.Call, function: ast.AST) -> list[str]:
    """Return what an `EvoError` says, with its place and its hint, and without."""
    if getattr(call.func, "id", "") != "EvoError":
        return []
    (what,) = spoken(call.args[0], function)
    hint = next(spoken(keyword.value, function)[0] for keyword in call.keywords if keyword.arg == "hint")
    return [f"{STAND_IN}: {what} — {hint}", what]


def incidents():
    """Yield what each call in the training code that notes an incident may say."""
    for path in sorted((ROOT / "workflow" / "evo" / "training").glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for call in called(function, {"incident", "_incident", "note", "_stop_for_good"}):
                if len(call.args) > 1 and ast.unparse(call.args[1]) not in {"message", "str(stop)"}:
                    yield path, call, spoken(call.args[1], function)
                elif len(call.args) > 1 and (texts := spoken(call.args[1], function)):
                    yield path, call, texts


def test_every_incident_of_a_training_can_be_said_in_another_language():
    seen = 0
    for path, call, texts in incidents():
        assert texts, f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        seen += 1
        known_ones = [text for text in texts if known.recognised(text) is not text]
        assert known_ones, f"{path.name}:{call.lineno}: {texts} is not in known.INCIDENTS"
    assert seen >= 10


def literals(path: str) -> set[str]:
    """Return the texts of a file of the workflow, with stand-ins for what is put into them."""
    tree = ast.parse((ROOT / "workflow" / path).read_text())
    return {
        text
        for node in ast.walk(tree)
        if isinstance(node, (ast.JoinedStr, ast.Constant))
        for text in spoken(node, tree)
    }


@pytest.mark.parametrize(
    ("table", "files"),
    [
        (known.INCIDENTS, ["evo/training/run.py", "evo/training/recovery.py", "evo/training/trainer.py"]),
        (known.NOTES, ["evo/models/summary.py"]),
        (known.DATASET, ["evo/data/check.py", "evo/data/dataset.py"]),
        (known.ENVIRONMENT, ["scripts/check_environment.py"]),
        (known.EXPORT, ["evo/npu/export.py"]),
    ],
)
def test_every_known_sentence_is_one_that_the_code_writes(table, files):
    written = {text for file in files for text in literals(file)}
    for template in table:
        sample = re.sub(r"%\(\w+\)s", STAND_IN, template)
        start = sample.removeprefix(f"{STAND_IN}: ").partition(" — ")[0]
        assert {sample, start} & written, f"nothing writes {template!r}"


def test_every_finding_on_a_dataset_or_a_host_is_known():
    from workflow.evo.data.check import SEVERITIES

    for code, (_, message) in SEVERITIES.items():
        assert not message or known.recognised(message) is not message, code
    tree = ast.parse((ROOT / "workflow" / "scripts" / "check_environment.py").read_text())
    (function,) = [node for node in ast.walk(tree) if getattr(node, "name", "") == "_findings"]
    shown = [node for node in ast.walk(function) if isinstance(node, ast.Assign) and node.targets[0].id == "message"]
    assert len(shown) == 4
    for statement in shown:
        (text,) = spoken(statement.value, function)
        assert known.recognised(text) is not text, text
