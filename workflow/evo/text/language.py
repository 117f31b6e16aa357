"""The languages of the reports: texts from a message catalogue, numbers and dates as Babel writes them for a locale.

English texts are in the code and the templates and are the keys of the catalogue (``make messages`` updates it).
Logs and errors are in English whatever the language of the reports.
"""

from __future__ import annotations

import gettext
import io
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

LOCALES = Path(__file__).resolve().parent.parent.parent / "locales"


class Locale(NamedTuple):
    """How a language is named and writes dates.

    Attributes:
        name: of the language, in the language itself.
        date_time: pattern of Unicode TS 35: day, time on a clock of 24 hours, and zone as ``GMT+09:00``.
    """

    name: str
    date_time: str


LANGUAGES = {
    "en": Locale("English", "d MMM y, HH:mm ZZZZ"),
    "ko": Locale("한국어", "y년 M월 d일 HH:mm ZZZZ"),
}
"""Languages that a report may be written in, by code. The texts in the code are English."""


@dataclass(frozen=True)
class Language:
    """One language of the reports.

    Attributes:
        code: one of `LANGUAGES`.
    """

    code: str

    def gettext(self, message: str, /, **parameters: Any) -> str:
        """Return a text of the catalogue, the English one where it has none.

        Parameters are inserted where the text names them, ``%(name)s``; a percent sign in such a text is ``%%``.
        Without parameters the text is returned as the catalogue has it: a caller such as Jinja inserts them.
        """
        text = translations(self.code).gettext(message)
        return text % parameters if parameters else text

    def ngettext(self, singular: str, plural: str, number: int, /, **parameters: Any) -> str:
        """Return the form of a text that goes with ``number``, as `gettext` does; ``%(num)s`` is the number."""
        text = translations(self.code).ngettext(singular, plural, number)
        return text % {"num": number, **parameters} if parameters else text

    def decimal(self, value: float, pattern: str) -> str:
        """Return a number by a pattern of Unicode TS 35, such as ``#,##0.0``."""
        from babel.numbers import format_decimal

        return format_decimal(value, pattern, locale=self.code)

    def date_time(self, moment: str) -> str:
        """Return a moment of ISO 8601 to the minute, with its offset: ``24 Nov 2026, 12:26 GMT+09:00``."""
        from babel.dates import format_datetime

        return format_datetime(datetime.fromisoformat(moment), LANGUAGES[self.code].date_time, locale=self.code)


ENGLISH = Language("en")


def marked(text: str) -> str:
    """Return the text: it belongs to the catalogue, and is translated where it is used."""
    return text


def catalogue_file(code: str) -> Path:
    """Return the path of the catalogue of a language."""
    return LOCALES / code / "LC_MESSAGES" / "reports.po"


@cache
def catalogue(code: str) -> Any:
    """Return the catalogue of a language (a `babel.messages.catalog.Catalog`)."""
    from babel.messages.pofile import read_po

    with catalogue_file(code).open("rb") as stream:
        return read_po(stream, locale=code)


@cache
def translations(code: str) -> gettext.NullTranslations:
    """Return the texts of a language; none for English. A text that is untranslated or fuzzy stays English."""
    if code == ENGLISH.code:
        return gettext.NullTranslations()
    from babel.messages.mofile import write_mo

    stream = io.BytesIO()
    write_mo(stream, catalogue(code))
    stream.seek(0)
    return gettext.GNUTranslations(stream)
