"""Keep the message catalogues of the reports in step with the code: ``python -m tools.messages``.

The texts are extracted from the Python files and templates by Babel. A catalogue keeps its translations; new texts are
added without one, and those that nothing uses any more are removed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from workflow.evo.config.variants import ROOT
from workflow.evo.files import write_atomically
from workflow.evo.reporting.templating import TEMPLATES
from workflow.evo.text.language import ENGLISH, LANGUAGES, catalogue, catalogue_file

WORKFLOW = ROOT / "workflow"
METHODS = [("evo/**.py", "python"), ("scripts/**.py", "python"), ("evo/reporting/templates/**.j2", "jinja2")]
JINJA = {"extensions": "jinja2.ext.i18n", "trimmed": "true", "silent": "false"}
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "marked": None,
    "says": None,
    "ngettext": (1, 2),
    "says_of": (1, 2),
}
"""Functions whose arguments are texts of the catalogue."""

PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%|(%)")

TECHNICAL = frozenset(
    [
        "map50",
        "map50-95",
        "int8",
        "sram",
        "dram",
        "macs",
        "npu",
        "sha-256",
        "px",
        "best.pt",
        "model_int8.tflite",
        "val",
        "test",
        "relu",
        "silu",
        "p",
        "r",
        "json",
        "csv",
        "report.md",
        "summary.json",
        "summary.csv",
        "yolo",
    ]
)
"""Words that are the same in every language."""

SPOKEN = {"alt", "aria-description", "aria-label", "aria-roledescription", "data-title", "placeholder", "title"}
"""Attributes of HTML that people read or hear."""

VOID = {"area", "br", "col", "hr", "image", "img", "input", "link", "meta", "rect", "use"}
"""Elements of HTML and SVG without text."""


def extracted() -> Catalog:
    """Return all texts of the code and the templates, with the files that have them."""
    found = Catalog(project="Ethos Vision Optimizer", charset="utf-8")
    options = {"**.j2": JINJA}
    rows = extract_from_dir(WORKFLOW, METHODS, options, KEYWORDS, comment_tags=("Translators:",))
    for file, _, message, comments, context in rows:
        found.add(message, None, [(f"workflow/{file}", 0)], auto_comments=comments, context=context)
    return found


def update(code: str) -> str:
    """Return the catalogue of a language, as a file, with exactly the texts that there are."""
    known = catalogue(code)
    known.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    stream = io.BytesIO()
    write_po(stream, known, width=110, include_lineno=False, ignore_obsolete=True)
    return stream.getvalue().decode()


def problems(texts: Catalog, translated: Catalog) -> list[str]:
    """Return what is wrong with the translation of ``texts``, one line each: empty when it is complete."""
    found = []
    for message in texts:
        if not message.id:
            continue
        key, forms = _forms(message.id)
        theirs = translated.get(key)
        if theirs is None:
            found.append(f"not in the catalogue: {key!r} (run `make messages`, then translate it)")
            continue
        strings = _forms(theirs.string)[1]
        if not all(strings):
            found.append(f"untranslated: {key!r}")
        elif theirs.fuzzy:
            found.append(f"fuzzy: {key!r}")
        elif wrong := [string for string in strings if _placeholders(string) not in map(_placeholders, forms)]:
            found.append(f"other placeholders: {key!r} has {sorted(_placeholders(key))}, {wrong[0]!r} does not")
    ids = {_forms(message.id)[0] for message in texts if message.id}
    unused = [_forms(message.id)[0] for message in translated if message.id]
    found += [f"obsolete: {key!r}" for key in [*unused, *translated.obsolete] if key not in ids]
    return found


def _forms(text: Any) -> tuple[str, tuple[str, ...]]:
    forms = tuple(text) if isinstance(text, (list, tuple)) else (text,)
    return forms[0], forms


def _placeholders(text: str) -> frozenset[str]:
    """Return the parameters of a text; a lone percent sign, which would fail when it is used, is one of them."""
    return frozenset(name or lone for name, lone in PLACEHOLDER.findall(text) if name or lone)


def bare_texts(source: str, html: bool) -> list[str]:
    """Return the words of a template that are not in the catalogue.

    Args:
        source: the template.
        html: whether it is HTML, whose tags are not words; otherwise Markdown.
    """
    import jinja2
    from jinja2 import nodes

    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"])
    text = "".join(_without_code(environment.lex(source)))
    found = list(html_texts(text) if html else [text])
    within_tag = False
    for output in environment.parse(source).find_all((nodes.Output, nodes.Assign, nodes.For)):
        if not isinstance(output, nodes.Output):
            assigned = output.iter if isinstance(output, nodes.For) else getattr(output, "node")  # noqa: B009 (no type has it)
            found += _constants(assigned, keys=True)
            continue
        for node in output.nodes:
            if isinstance(node, nodes.TemplateData):
                opened, closed = node.data.rfind("<"), node.data.rfind(">")
                within_tag = html and (opened > closed or (within_tag and closed == -1))
            elif not within_tag:
                found += _constants(node)
    return [word for piece in found for word in _words(piece)]


def _without_code(tokens: Iterator[tuple[int, str, str]]) -> Iterator[str]:
    """Yield the text of a template; in place of an expression a sign that is not a letter."""
    block: list[str] = []
    translated = False
    for _, kind, value in tokens:
        if kind == "data" and not translated:
            yield value
        elif kind in {"block_begin", "variable_begin"}:
            block = []
        elif kind == "variable_end":
            yield "\ufffc"
        elif kind == "block_end":
            translated = block[:1] == ["trans"] or (translated and block[:1] != ["endtrans"])
        elif kind == "name":
            block.append(value)


def html_texts(text: str) -> list[str]:
    """Return what people read or hear of HTML, without code and without what is marked as ``translate="no"``."""
    found: list[str] = []

    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.within: list[tuple[str, bool]] = []  # open elements, and whether each is silent

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if name in SPOKEN)
            if tag not in VOID:
                self.within.append((tag, tag in {"script", "style", "code"} or ("translate", "no") in attrs))

        def handle_endtag(self, tag: str) -> None:
            if any(opened == tag for opened, _ in self.within):
                while self.within.pop()[0] != tag:
                    pass

        def handle_data(self, data: str) -> None:
            if not any(silent for _, silent in self.within):
                found.append(data)

    reader = Reader()
    reader.feed(text)
    reader.close()
    return found


def _constants(node: Any, keys: bool = False) -> list[str]:
    """Return the texts that an expression may give by itself, without those that it only looks something up by.

    Args:
        node: of Jinja's syntax tree.
        keys: whether a plain word in a list is taken for a key.
    """
    from jinja2 import nodes

    if isinstance(node, nodes.Const):
        word = str(node.value) if isinstance(node.value, str) else ""
        return [] if keys and re.fullmatch(r"[a-z0-9_]*", word) else [word]
    if isinstance(node, nodes.CondExpr):
        return [text for part in (node.expr1, node.expr2) if part for text in _constants(part, keys)]
    if isinstance(node, (nodes.Or, nodes.And, nodes.Add)):
        return _constants(node.left, keys) + _constants(node.right, keys)
    if isinstance(node, nodes.Concat):
        return [text for part in node.nodes for text in _constants(part, keys)]
    if isinstance(node, (nodes.Tuple, nodes.List)):
        return [text for part in node.items for text in _constants(part, keys)]
    if isinstance(node, nodes.Filter) and node.node is not None:
        return _constants(node.node, keys)
    return []


def _words(text: str) -> list[str]:
    """Return the words of a text that are to be translated."""
    words = re.findall(r"[^\W\d_][\w.-]*", re.sub(r"&\w+;|%[\d.]*[a-z]\b", " ", text))  # HTML's and printf's signs
    return [word for word in words if word.lower().strip(".-") not in TECHNICAL]


def latin_words(texts: Iterable[str]) -> set[str]:
    """Return the words in Latin letters of texts in Korean, without those that are the same in every language."""
    words = {word.strip(".-") for text in texts for word in re.findall(r"[A-Za-z][\w.-]*", text, re.ASCII)}
    return {word for word in words if word.lower() not in TECHNICAL}


def templates() -> list[Path]:
    """Return the templates of the reports."""
    return sorted(TEMPLATES.rglob("*.j2"))


def main() -> None:
    for code in LANGUAGES:
        if code == ENGLISH.code:
            continue
        write_atomically(catalogue_file(code), update(code))
        catalogue.cache_clear()
        left = problems(extracted(), catalogue(code))
        for line in left:
            print(f"{code}: {line}", file=sys.stderr)
        print(f"{code}: {catalogue_file(code).relative_to(ROOT)}: {len(left)} texts to translate or fix")


if __name__ == "__main__":
    main()
