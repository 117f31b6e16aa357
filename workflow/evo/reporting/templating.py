"""The templates of the reports in one language: their texts, numbers and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..text import misses, wording
from ..text.facts import fact, sentence
from ..text.language import ENGLISH, Language
from ..text.templates import environment, translate

TEMPLATES = Path(__file__).resolve().parent / "templates"


def environment_of(language: Language, text: Callable[[str], str] = str, **settings: Any) -> Any:
    """Return a `jinja2.Environment` over the templates of the reports, with their filters, in one language.

    Args:
        language: of the texts, numbers and dates.
        text: makes of a text of the catalogue what the template takes for its own.
        settings: as `jinja2.Environment` takes them.
    """
    found = environment(TEMPLATES, **settings)
    found.filters.update(_filters(language))
    found.globals["language"] = language.code
    translate(
        found,
        lambda message: text(language.gettext(message)),
        lambda singular, plural, number: text(language.ngettext(singular, plural, number)),
    )
    return found


def _filters(language: Language) -> dict[str, Callable[..., Any]]:
    localised: dict[str, Callable[..., Any]] = {
        **wording.FIGURES,
        "figure": _figure,
        "ms": wording.milliseconds,
        "kib": wording.kibibytes,
        "mib": wording.mebibytes,
        "placed": wording.placed,
        "used": wording.used,
        "interval": wording.interval,
        "status": wording.status,
        "severity": wording.severity,
        "kind": wording.kind,
        "sentence": sentence,
        "verdict": misses.verdict,
        "shortfalls": misses.shortfalls,
        "bound": _bound,
        "kernels": _kernels,
        "winners": _winners,
    }
    return {
        **{name: partial(function, language=language) for name, function in localised.items()},
        "preset": wording.preset,
        "hash": wording.short_hash,
        "flat": wording.flat,
    }


def _figure(value: Any, figure: str | None, language: Language = ENGLISH) -> Any:
    """Return a value as a figure writes it; without one as it is, and a dash where there is none."""
    if figure is not None:
        return wording.FIGURES[figure](value, language)
    return wording.DASH if value is None else value


def _bound(found: tuple[str, float], language: Language = ENGLISH) -> str:
    """Return what bounds most cycles, ``(kind, share)``, in words."""
    return sentence(fact(f"bound_{found[0]}"), language)


def _kernels(name: str, language: Language = ENGLISH) -> str:
    """Return what it means that an int8 accuracy is that of these kernels."""
    return sentence(fact(f"kernels_{name}"), language)


def _winners(criterion: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return the best variants of a criterion: their names, or ``all 6``."""
    if criterion["all"]:
        return language.gettext("all %(number)s", number=len(criterion["variants"]))
    return wording.listed(criterion["variants"], language)
