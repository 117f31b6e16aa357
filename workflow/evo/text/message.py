"""Sentences that can be said again in another language: English text that remembers what it was made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import wording
from .language import ENGLISH, Language


@dataclass(frozen=True)
class Figure:
    """A value inside a sentence that each language writes in its own way.

    Attributes:
        kind: a function of `workflow.evo.text.wording`, one of its ``FIGURES``.
        value: what that function takes.
    """

    kind: str
    value: Any


class Message(str):
    """An English sentence, made of a text of the catalogue and its parameters.

    A parameter is a text, a number, a `Figure`, another message, or a list, which is enumerated.

        Message("%(name)s needs %(size)s", name="level2_relu", size=Figure("kibibytes", 118.2))

    Attributes:
        template: the text of the catalogue; of two forms the singular.
        plural: the other form, or None.
        number: decides between the two.
        parameters: by name.
    """

    template: str
    plural: str | None
    number: int | None
    parameters: Mapping[str, Any]

    def __new__(cls, template: str, /, **parameters: Any) -> Message:
        return cls._of(template, None, None, parameters)

    @classmethod
    def _of(cls, template: str, plural: str | None, number: int | None, parameters: Mapping[str, Any]) -> Message:
        message = str.__new__(cls, _say(template, plural, number, parameters, ENGLISH))
        message.template, message.plural, message.number, message.parameters = template, plural, number, parameters
        return message

    def say(self, language: Language) -> str:
        """Return the sentence in a language."""
        return _say(self.template, self.plural, self.number, self.parameters, language)

    def document(self) -> dict[str, Any]:
        """Return what the sentence is made of, for JSON."""
        parameters = {name: _document(value) for name, value in self.parameters.items()}
        forms = {} if self.plural is None else {"plural": self.plural, "number": self.number}
        return {"template": self.template, **forms, "parameters": parameters}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Message:
        """Return the sentence that `document` describes."""
        parameters = {name: _of_document(value) for name, value in document["parameters"].items()}
        return cls._of(document["template"], document.get("plural"), document.get("number"), parameters)


def numbered(singular: str, plural: str, number: int, /, **parameters: Any) -> Message:
    """Return the one of two sentences that goes with ``number``; ``%(num)s`` stands for it."""
    return Message._of(singular, plural, number, parameters)


def _say(
    template: str, plural: str | None, number: int | None, parameters: Mapping[str, Any], language: Language
) -> str:
    said = {name: _spoken(value, language) for name, value in parameters.items()}
    if plural is None or number is None:
        return language.gettext(template) % said
    return language.ngettext(template, plural, number) % {"num": number, **said}


def _spoken(value: Any, language: Language) -> Any:
    if isinstance(value, Message):
        return value.say(language)
    if isinstance(value, Figure):
        inner = value.value
        if isinstance(inner, (list, tuple)):
            inner = [_spoken(item, language) for item in inner]
        return wording.FIGURES[value.kind](inner, language)
    if isinstance(value, (list, tuple)):
        return wording.listed([_spoken(item, language) for item in value], language)
    return value


def _document(value: Any) -> Any:
    if isinstance(value, Message):
        return value.document()
    if isinstance(value, Figure):
        return {"figure": value.kind, "value": _document(value.value)}
    if isinstance(value, (list, tuple)):
        return [_document(item) for item in value]
    return value


def _of_document(value: Any) -> Any:
    if isinstance(value, Mapping) and "template" in value:
        return Message.of_document(value)
    if isinstance(value, Mapping) and "figure" in value:
        return Figure(value["figure"], _of_document(value["value"]))
    if isinstance(value, list):
        return [_of_document(item) for item in value]
    return value


def with_messages(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with ``messages``: where in it a `Message` stands, and what that is made of.

    In JSON a message is its English text; `localised` says it in another language by this list. A document within
    that has such a list keeps its own.
    """
    return {**document, "messages": [{"at": place, **message.document()} for place, message in _messages(document)]}


def _messages(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[list[str | int], Message]]:
    if isinstance(value, Message):
        yield list(place), value
    elif isinstance(value, Mapping) and "messages" not in value:
        for key, item in value.items():
            yield from _messages(item, (*place, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _messages(item, (*place, index))


def localised(document: Any, language: Language) -> Any:
    """Return a document of `with_messages`, also one read from JSON, with its sentences in ``language``."""
    if isinstance(document, list):
        return [localised(item, language) for item in document]
    if not isinstance(document, Mapping):
        return document
    copy = {key: localised(item, language) for key, item in document.items()}
    for entry in document.get("messages", ()):
        *path, last = entry["at"]
        target = copy
        for key in path:
            target = target[key]
        target[last] = Message.of_document(entry).say(language)
    return copy
