"""Numbers and names as people read them, in the language of a report. What is absent is a dash, never made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .language import ENGLISH, Language, marked

DASH = "—"

STATUS = {"done": marked("done"), "failed": marked("failed"), "missing": marked("missing")}
"""Status of a variant."""

SEVERITY = {"fatal": marked("fatal"), "warning": marked("warning"), "info": marked("info")}
"""Severities of findings."""

INCIDENTS = {
    "recipe": marked("another recipe"),
    "restart": marked("restart"),
    "resume": marked("resumption"),
    "inexact": marked("other conditions"),
    "damaged_checkpoint": marked("damaged checkpoint"),
    "out_of_memory": marked("out of memory"),
    "memory_check": marked("memory check"),
    "loader_killed": marked("killed data loader"),
    "precision": marked("mixed precision"),
    "bad_batch": marked("bad batch"),
    "nonfinite": marked("non-finite values"),
    "bad_numbers": marked("non-finite values"),  # as version 0.1.0 called it
    "missing_file": marked("missing file"),
    "stalled": marked("stall"),
}
"""Kinds of incidents of a training."""


def metric(value: float | None, language: Language = ENGLISH) -> str:
    """Return a fraction with three decimals."""
    return DASH if value is None else language.decimal(value, "0.000")


def count(value: int | float | None, language: Language = ENGLISH) -> str:
    """Return a whole number with thousands separators."""
    return DASH if value is None else language.decimal(round(value), "#,##0")


def milliseconds(value: float | None, language: Language = ENGLISH) -> str:
    return DASH if value is None else f"{language.decimal(value, '#,##0.0')} ms"


def latency(value: float | None, language: Language = ENGLISH) -> str:
    """Return milliseconds with two decimals, as fine as estimates of an NPU differ."""
    return DASH if value is None else f"{language.decimal(value, '#,##0.00')} ms"


def interval(found: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return the 95 % interval of an accuracy, ``0.412 to 0.478``; a dash where there is none."""
    if found["low"] is None or found["high"] is None:
        return DASH
    return language.gettext(
        "%(low)s to %(high)s", low=metric(found["low"], language), high=metric(found["high"], language)
    )


def signed(value: float | None, language: Language = ENGLISH) -> str:
    """Return a difference of fractions with its sign; what rounds to nothing is ``+0.000``."""
    return DASH if value is None else language.decimal(round(value, 3) + 0, "+0.000;-0.000")


def percent(value: float | None, language: Language = ENGLISH) -> str:
    """Return a percentage (0 to 100) with one decimal: ``99.4 %``, ``99.4%`` in Korean."""
    return DASH if value is None else language.gettext("%(number)s %%", number=language.decimal(value, "#,##0.0"))


def kibibytes(value: float | None, language: Language = ENGLISH) -> str:
    """Return whole KiB, rounded up, so that what does not fit never looks as if it did."""
    return DASH if value is None else f"{count(math.ceil(value), language)} KiB"


def mebibytes(value: float | None, language: Language = ENGLISH) -> str:
    return DASH if value is None else f"{count(value, language)} MiB"


def duration(seconds: float | None, language: Language = ENGLISH) -> str:
    """Return a time in its two largest units: ``1 h 32 min``, ``4 min 12 s``, ``8.3 s``; ``1시간 32분`` in Korean."""
    if seconds is None:
        return DASH
    _ = language.gettext
    if seconds < 59.95:
        return _("%(seconds)s s", seconds=language.decimal(seconds, "0.0"))
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return _("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    days, hours = divmod(round(seconds / 3600), 24)
    return _("%(days)s d %(hours)s h", days=count(days, language), hours=hours)


def date_time(moment: str | None, language: Language = ENGLISH) -> str:
    """Return a moment in ISO 8601 as people write it, with its offset: ``24 Nov 2026, 12:26 GMT+09:00``."""
    return DASH if moment is None else language.date_time(moment)


def short_hash(value: str | None) -> str:
    """Return the first twelve digits of a hash: enough to compare by eye."""
    return DASH if not value else str(value)[:12]


def listed(words: Iterable[str], language: Language = ENGLISH) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``; in Korean ``a, b, c``."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return language.gettext("%(words)s and %(last)s", words=", ".join(words[:-1]), last=words[-1])


def number(value: float | None, language: Language = ENGLISH) -> str:
    """Return a number with as many decimals as it has, at most three: ``97``, ``0.03``."""
    return DASH if value is None else language.decimal(value, "#,##0.###")


def joined(parts: Iterable[str], language: Language = ENGLISH) -> str:
    """Return parts of a sentence one after the other: ``a; b``."""
    return "; ".join(parts)


def placed(facts: Mapping[str, Any] | None, language: Language = ENGLISH) -> str:
    """Return how many operators of a compiled model the NPU runs: ``178 of 179, 99.4 %``."""
    if facts is None:
        return DASH
    operators = facts["operators"]
    return language.gettext(
        "%(some)s of %(all)s, %(percent)s",
        some=count(operators["source"] - operators["cpu"], language),
        all=count(operators["source"], language),
        percent=percent(facts["ops_percent"], language),
    )


def used(memory: Mapping[str, Any] | None, language: Language = ENGLISH) -> str:
    """Return how much of a memory is used, of how much the board has: ``118 of 4,096 KiB, fits``."""
    if memory is None or memory["used_kib"] is None:
        return DASH
    if memory["budget_kib"] is None:
        return kibibytes(memory["used_kib"], language)
    _ = language.gettext
    some, budget = count(math.ceil(memory["used_kib"]), language), kibibytes(memory["budget_kib"], language)
    if memory["fits"]:
        return _("%(some)s of %(budget)s, fits", some=some, budget=budget)
    return _("%(some)s of %(budget)s, DOES NOT FIT", some=some, budget=budget)


def preset(facts: Mapping[str, Any] | None) -> str:
    """Return what an estimate assumes, and whose it is: names, the same in every language."""
    if facts is None:
        return DASH
    estimate = facts["estimate"]
    return (
        f"{facts['accelerator']}, {estimate['system_config']}, {estimate['memory_mode']}, "
        f"{estimate['clock_mhz']:g} MHz, {estimate['by']}"
    )


def sites(counts: Mapping[str, Any] | Any, language: Language = ENGLISH) -> str:
    """Return activation call sites as ``ReLU 27, SiLU 3``."""
    if counts is None:
        return DASH
    if isinstance(counts, Mapping):
        return ", ".join(f"{name} {number}" for name, number in counts.items()) or language.gettext("none")
    return str(counts)


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested document as one level, ``{"git.commit": …}``."""
    rows: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.update(flat(value, f"{name}."))
        elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                rows.update(flat(item, f"{name}.{index}.") if isinstance(item, Mapping) else {f"{name}.{index}": item})
        else:
            rows[name] = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return rows


def status(word: str, language: Language = ENGLISH) -> str:
    """Return the status of a variant."""
    return language.gettext(STATUS[word])


def severity(word: str, language: Language = ENGLISH) -> str:
    """Return the severity of a finding."""
    return language.gettext(SEVERITY[word])


def kind(word: str, language: Language = ENGLISH) -> str:
    """Return the kind of an incident; an unknown one as it is in the journal."""
    return language.gettext(INCIDENTS[word]) if word in INCIDENTS else word


FIGURES: dict[str, Callable[..., str]] = {
    "metric": metric,
    "count": count,
    "number": number,
    "milliseconds": milliseconds,
    "latency": latency,
    "signed": signed,
    "percent": percent,
    "kibibytes": kibibytes,
    "mebibytes": mebibytes,
    "duration": duration,
    "date_time": date_time,
    "listed": listed,
    "joined": joined,
    "sites": sites,
}
"""How a parameter of a sentence may be written: name, and function of a value and a language."""
