"""Facts, and the sentences that they become.

What a stage finds is data until somebody reads it: a code, and parameters with units. One table has a sentence for each
code (`workflow.evo.text.sentences`), in English and through the message catalogue in every language; a terminal and a
report word the same fact by the same entry. No decision reads a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import wording
from .language import ENGLISH, Language
from .sentences import SENTENCES


@dataclass(frozen=True)
class Fact:
    """Something that was found.

    Attributes:
        code: one of `SENTENCES`.
        parameters: by the names that its sentence has: a text, a number, None, a further fact, or a list of these.
    """

    code: str
    parameters: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """Return the fact for JSON; `of_document` reads it again."""
        return {"code": self.code, "parameters": {name: _document(value) for name, value in self.parameters.items()}}

    def __str__(self) -> str:
        """Return the sentence in English, as terminals and logs have it."""
        return sentence(self)


def fact(code: str, /, **parameters: Any) -> Fact:
    """Return a fact.

    Raises:
        KeyError: no sentence has this code.
        TypeError: the parameters are not those of its sentence.
    """
    if SENTENCES[code].parameters != parameters.keys():
        raise TypeError(f"{code} takes {sorted(SENTENCES[code].parameters)}, not {sorted(parameters)}")
    return Fact(code, parameters)


def is_fact(value: Any) -> bool:
    """Return whether a value of a JSON document is a fact."""
    return isinstance(value, Mapping) and value.keys() == {"code", "parameters"}


def of_document(document: Mapping[str, Any]) -> Fact:
    """Return the fact that a JSON document holds, also one with a code that only another version knows."""
    return Fact(document["code"], {name: _of_document(value) for name, value in document["parameters"].items()})


def sentence(found: Fact | Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return the sentence of a fact, or of the JSON document of one, in a language.

    A code that this version does not know is shown with its parameters as they are.
    """
    if not isinstance(found, Fact):
        found = of_document(found)
    entry = SENTENCES.get(found.code)
    if entry is None or entry.parameters != found.parameters.keys():
        return ", ".join([found.code, *(f"{name} {value}" for name, value in found.parameters.items())])
    said = {name: _said(value, entry.figures.get(name), language) for name, value in found.parameters.items()}
    if entry.plural is None or entry.number is None:
        return language.gettext(entry.text) % said
    return language.ngettext(entry.text, entry.plural, found.parameters[entry.number]) % said


def _said(value: Any, figure: str | None, language: Language) -> Any:
    """Return a parameter as its sentence has it: a list enumerated, a number as its figure writes it."""
    if isinstance(value, (list, tuple)):
        value = [_said(item, None, language) for item in value]
        return wording.FIGURES[figure or "listed"](value, language)
    if isinstance(value, Fact):
        value = sentence(value, language)
    return wording.FIGURES[figure](value, language) if figure else value


def _document(value: Any) -> Any:
    if isinstance(value, Fact):
        return value.document()
    if isinstance(value, Mapping):
        return {key: _document(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_document(item) for item in value]
    return value


def _of_document(value: Any) -> Any:
    if is_fact(value):
        return of_document(value)
    return [_of_document(item) for item in value] if isinstance(value, list) else value
