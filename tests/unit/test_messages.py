"""The catalogues of the reports: complete, in step with the code, and no text of a report outside of them."""

from __future__ import annotations

import pytest
from babel.messages.catalog import Catalog

from tools import messages
from workflow.evo.config.variants import ROOT
from workflow.evo.text.language import ENGLISH, LANGUAGES, catalogue, catalogue_file

TRANSLATED = [code for code in LANGUAGES if code != ENGLISH.code]


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


@pytest.mark.parametrize("path", messages.templates(), ids=lambda path: path.stem.removesuffix(".html"))
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
