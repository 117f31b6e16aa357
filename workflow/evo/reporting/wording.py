"""Numbers and names as people read them. What is absent is a dash, never a made-up value."""

from __future__ import annotations

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
