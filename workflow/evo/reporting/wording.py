"""Numbers and names as people read them. What is absent is a dash, never a made-up value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

DASH = "—"


def metric(value: float | None) -> str:
    """Return a fraction with three decimals."""
    return DASH if value is None else f"{value:.3f}"


def count(value: int | float | None) -> str:
    """Return a whole number with thousands separators."""
    return DASH if value is None else f"{round(value):,}"


def milliseconds(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} ms"


def latency(value: float | None) -> str:
    """Return milliseconds with two decimals, as fine as estimates of an NPU differ."""
    return DASH if value is None else f"{value:.2f} ms"


def signed(value: float | None) -> str:
    """Return a difference of fractions with its sign; what rounds to nothing is ``+0.000``."""
    return DASH if value is None else f"{round(value, 3) + 0:+.3f}"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} %"


def kibibytes(value: float | None) -> str:
    """Return whole KiB, rounded up, so that what does not fit never looks as if it did."""
    return DASH if value is None else f"{math.ceil(value):,} KiB"


def mebibytes(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f} MiB"


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units: ``1 h 32 min``, ``4 min 12 s``, ``8.3 s``."""
    if seconds is None:
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours:,} h {minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days:,} d {hours} h"


def short_hash(value: str | None) -> str:
    """Return the first twelve digits of a hash: enough to compare by eye."""
    return DASH if not value else str(value)[:12]


def listed(words: Iterable[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def placed(facts: Mapping[str, Any] | None) -> str:
    """Return how many operators of a compiled model the NPU runs: ``178 of 179, 99.4 %``."""
    if facts is None:
        return DASH
    operators = facts["operators"]
    return f"{operators['source'] - operators['cpu']:,} of {operators['source']:,}, {percent(facts['ops_percent'])}"


def used(memory: Mapping[str, Any] | None) -> str:
    """Return a kind of memory against what the board has of it: ``118 of 4,096 KiB, fits``."""
    if memory is None or memory["used_kib"] is None:
        return DASH
    if memory["budget_kib"] is None:
        return kibibytes(memory["used_kib"])
    verdict = "fits" if memory["fits"] else "DOES NOT FIT"
    return f"{math.ceil(memory['used_kib']):,} of {kibibytes(memory['budget_kib'])}, {verdict}"


def preset(facts: Mapping[str, Any] | None) -> str:
    """Return what an estimate assumes, and whose it is."""
    if facts is None:
        return DASH
    estimate = facts["estimate"]
    return (
        f"{facts['accelerator']}, {estimate['system_config']}, {estimate['memory_mode']}, "
        f"{estimate['clock_mhz']:g} MHz, {estimate['by']}"
    )


def verdict(check: Mapping[str, Any] | None, board: str) -> str:
    """Return what the gates say of one configured board: ``passed``, or each gate that it misses."""
    if check is None:
        return DASH
    prefix = f"{board}: "
    missed = [sentence.removeprefix(prefix) for sentence in check["gate"]["missed"] if sentence.startswith(prefix)]
    return "missed: " + "; ".join(missed) if missed else "passed"


def sites(counts: Mapping[str, Any] | Any) -> str:
    """Return activation call sites as ``ReLU 27, SiLU 3``."""
    if counts is None:
        return DASH
    if isinstance(counts, Mapping):
        return ", ".join(f"{name} {number}" for name, number in counts.items()) or "none"
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
