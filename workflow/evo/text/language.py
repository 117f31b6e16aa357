"""The languages of the reports: texts from a message catalogue, numbers and dates as Babel writes them for a locale.

English texts stand in the code and the templates and are the keys of the catalogue (``make messages`` updates it).
Logs and errors are English whatever the language of the reports is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

LOCALES = Path(__file__).resolve().parent.parent.parent / "locales"
LANGUAGES = ("en", "ko")
"""Languages that a report may be written in; the texts in the code are of the first one."""

DATE_TIME = {"en": "d MMM y, HH:mm ZZZZ", "ko": "y년 M월 d일 HH:mm ZZZZ"}
"""Patterns of Unicode TS 35: the day, the time on a clock of 24 hours, and the zone as ``GMT+09:00``."""


@dataclass(frozen=True)
class Language:
    """One language of the reports.

    Attributes:
        code: one of `LANGUAGES`.
    """

    code: str

    def gettext(self, message: str, /, **parameters: Any) -> str:
        """Return a text of the catalogue, the English one where it has none.

        Parameters are put where the text names them, ``%(name)s``, and a percent sign in such a text is ``%%``.
        Without any the text is returned as it stands there: a caller such as Jinja puts them in.
        """
        text = self._texts.get(message, (message,))[0]
        return text % parameters if parameters else text

    def ngettext(self, singular: str, plural: str, number: int, /, **parameters: Any) -> str:
        """Return the form of a text that goes with ``number``, as `gettext` does; ``%(num)s`` stands for it."""
        forms = self._texts.get(singular, (singular, plural))
        text = forms[0 if number == 1 or len(forms) == 1 else 1]
        return text % {"num": number, **parameters} if parameters else text

    @property
    def _texts(self) -> Mapping[str, tuple[str, ...]]:
        return _texts(self.code)

    def decimal(self, value: float, pattern: str) -> str:
        """Return a number by a pattern of Unicode TS 35, such as ``#,##0.0``."""
        from babel.numbers import format_decimal

        return format_decimal(value, pattern, locale=self.code)

    def date_time(self, moment: str) -> str:
        """Return a moment of ISO 8601 to the minute, with its offset: ``24 Nov 2026, 12:26 GMT+09:00``."""
        from babel.dates import format_datetime

        return format_datetime(datetime.fromisoformat(moment), DATE_TIME[self.code], locale=self.code)


ENGLISH = Language("en")


def marked(text: str) -> str:
    """Return the text: it stands in a table, belongs to the catalogue, and is translated where it is used."""
    return text


def catalogue_file(code: str) -> Path:
    """Return where the catalogue of a language lies."""
    return LOCALES / code / "LC_MESSAGES" / "reports.po"


@cache
def catalogue(code: str) -> Any:
    """Return the catalogue of a language (a `babel.messages.catalog.Catalog`)."""
    from babel.messages.pofile import read_po

    with catalogue_file(code).open("rb") as stream:
        return read_po(stream, locale=code)


@cache
def _texts(code: str) -> Mapping[str, tuple[str, ...]]:
    """Return the translated texts by their English one (of several forms: the singular)."""
    if code == ENGLISH.code:
        return {}
    found = {}
    for message in catalogue(code):
        key = message.id[0] if message.pluralizable else message.id
        forms = message.string if message.pluralizable else (message.string,)
        if key and all(forms) and not message.fuzzy:
            found[key] = tuple(forms)
    return found
