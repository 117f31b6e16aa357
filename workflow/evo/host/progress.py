"""How far a long loop is: a bar on a terminal, four lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], total: int, text: str, show: bool) -> Iterator[Item]:
    """Yield ``items`` and show on stderr how many of ``total`` are through."""
    if not show or not total:
        yield from items
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=text, total=total, console=Console(stderr=True), transient=True)
    else:
        quarters = 0
        for done, item in enumerate(items, start=1):
            yield item
            if 4 * done // total > quarters:
                quarters = 4 * done // total
                print(f"{text} … {25 * quarters} %", file=sys.stderr, flush=True)
