"""One entry of the table of sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


@dataclass(frozen=True)
class Sentence:
    """What a fact says.

    Attributes:
        text: in English, as in the message catalogue, with ``%(name)s`` for each parameter; the singular of two forms.
        plural: the other form, or None.
        number: the parameter that decides between the two.
        figures: how a parameter is written, by name: one of ``wording.FIGURES``. Others are inserted as they are.
    """

    text: str
    plural: str | None
    number: str | None
    figures: Mapping[str, str]

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters."""
        further = {self.number} if self.number else set()
        return frozenset({*_PLACEHOLDER.findall(self.text), *_PLACEHOLDER.findall(self.plural or ""), *further})


def says(text: str, /, **figures: str) -> Sentence:
    """Return a sentence; ``figures`` say how parameters are written: ``says("%(found)s of it", found="percent")``."""
    return Sentence(text, None, None, figures)


def says_of(singular: str, plural: str, number: str, /, **figures: str) -> Sentence:
    """Return a sentence in two forms; ``number`` names the parameter that decides between them."""
    return Sentence(singular, plural, number, figures)
