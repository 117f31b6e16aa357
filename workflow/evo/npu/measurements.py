"""Figures that somebody measured on a device, from a table: ``npu.measurements``.

A row is of one variant, or of one file by its SHA-256, on one board. It stands beside the compiler's estimate as
*measured*, and takes its place in the decision.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..config.boards import board_names, load_board
from ..errors import UserError, did_you_mean
from ..printable import quoted
from ..text.facts import Fact, fact

COLUMNS = ("board", "variant", "sha256", "ms", "cycles", "arena_bytes", "who", "when")
REQUIRED = ("board", "who", "when")
MAX_BYTES = 4_000_000
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Measurement:
    """One row.

    Attributes:
        row: its line in the table, from 2.
        board: name of the board.
        variant: name of the variant; None where the file is given by its hash alone.
        sha256: of the compiled or the int8 file that ran; None where it is not told.
        ms: of one inference, milliseconds.
        arena_kib: tensor arena in use, KiB; None where it was not measured.
        who: who measured.
        when: ISO 8601 date.
    """

    row: int
    board: str
    variant: str | None
    sha256: str | None
    ms: float
    arena_kib: float | None
    who: str
    when: str

    def document(self) -> dict[str, Any]:
        """Return what ``summary.json`` says of it."""
        return {"ms": self.ms, "arena_kib": self.arena_kib, "who": self.who, "when": self.when}


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """Return the rows of a table.

    Args:
        path: a CSV file with the columns of `COLUMNS`.

    Raises:
        UserError: naming file, row and what is wrong with it.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise UserError(f"larger than {MAX_BYTES:,} bytes", where=path)
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"not a CSV file in UTF-8 ({error})", where=path) from error
    columns = reader.fieldnames or ()
    if missing := [name for name in REQUIRED if name not in columns]:
        raise UserError(f"no column {quoted(missing[0])}", where=path, hint=f"the columns are {', '.join(COLUMNS)}")
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise UserError(f"unknown column {quoted(unknown[0])}", where=path, hint=did_you_mean(unknown[0], COLUMNS))
    return tuple(_row(path, line, row) for line, row in rows)


def _row(path: Path, line: int, row: Mapping[str, str | None]) -> Measurement:
    def refuse(what: str, hint: str = "") -> UserError:
        return UserError(what, where=f"{path}, line {line}", hint=hint)

    if None in row or any(value is None for value in row.values()):
        raise refuse("has not as many cells as the header")
    cells = {name: (value or "").strip() for name, value in row.items()}
    board, variant, digest = cells["board"], cells.get("variant") or None, cells.get("sha256", "").lower() or None
    if board not in board_names():
        raise refuse(f"unknown board {quoted(board)}", did_you_mean(board, board_names()))
    if not variant and not digest:
        raise refuse("neither variant nor sha256", "say what ran there")
    if digest and not DIGEST.fullmatch(digest):
        raise refuse(f"sha256 {quoted(digest)} is not 64 hexadecimal digits")
    if not cells["who"]:
        raise refuse("'who' is empty", "a measurement has somebody who made it")
    try:
        when = date.fromisoformat(cells["when"]).isoformat()
    except ValueError as error:
        raise refuse(f"'when' is {quoted(cells['when'])}", "write a date as 2026-11-30") from error
    figures = {name: _positive(cells.get(name, ""), name, refuse) for name in ("ms", "cycles", "arena_bytes")}
    milliseconds, cycles, arena = figures["ms"], figures["cycles"], figures["arena_bytes"]
    if milliseconds is None and cycles is None:
        raise refuse("neither ms nor cycles", "give one of them")
    if milliseconds is None and cycles is not None:
        milliseconds = cycles / (load_board(board).clock_mhz * 1e3)
    assert milliseconds is not None
    return Measurement(line, board, variant, digest, milliseconds, arena and arena / 1024, cells["who"], when)


def _positive(text: str, name: str, refuse: Callable[..., UserError]) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise refuse(f"'{name}' is {quoted(text)}, not a number") from error
    if not math.isfinite(value) or value <= 0:
        raise refuse(f"'{name}' is {text}: it has to be more than 0")
    return value


def of_variant(
    measurements: Iterable[Measurement], variant: str, files: Mapping[str, Iterable[str]]
) -> tuple[dict[str, Measurement], list[Fact]]:
    """Return the newest measurement of a variant's present files on each board, and what was measured of other files.

    Args:
        measurements: of `read_measurements`.
        variant: name of the variant.
        files: by board, the SHA-256 of the int8 file and of the one that is compiled for it.
    """
    found: dict[str, Measurement] = {}
    others: list[Fact] = []
    for one in sorted(measurements, key=lambda one: (one.when, one.row)):
        digests = set(files.get(one.board, ()))
        named = one.variant == variant
        if (one.sha256 in digests and (named or one.variant is None)) or (named and one.sha256 is None and digests):
            found[one.board] = one
        elif named and one.sha256 is not None and digests:
            others.append(fact("measurement_of_another_file", row=one.row, variant=variant, board=one.board))
    return found, others


def silicon_ratio(pairs: Iterable[tuple[float, float]]) -> tuple[float, int] | None:
    """Return how much slower a device is than its estimates, and how many pairs say so; None without any.

    Args:
        pairs: milliseconds measured and milliseconds estimated, of the same file.

    Returns:
        The geometric mean of measured : estimated.
    """
    logarithms = [math.log(measured / estimated) for measured, estimated in pairs]
    return (math.exp(sum(logarithms) / len(logarithms)), len(logarithms)) if logarithms else None
