"""What Vela reports: totals, a table of rows, and why an operator stays on the CPU.

Cycles and milliseconds are Vela's estimates; nothing here is measured on a device.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

ROW = re.compile(r"[^,\n]*,[^,\n]*,(?:NPU|CPU),")
"""How a row of the per-layer CSV starts. Names are not quoted there, and may have commas and line breaks in them."""

WARNING = re.compile(
    r"^Warning \([^)\n]*\) operator: (?P<type>[^,\n]+), ofm: '(?P<name>.*?)'\nReason: (?P<reason>.*?)(?=\n\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
"""What Vela prints for an operator that it leaves to the CPU."""


@dataclass(frozen=True)
class Row:
    """One row of Vela's per-layer table: an operator as Vela lowered it. One source operator can be many of them.

    Attributes:
        name: output tensor of the source operator.
        type: type of the source operator as Vela writes it, ``Conv2D``.
        lowered: what it became, ``Conv2D``, ``LUT``, ``MemoryCopy``; ``Passthrough`` on the CPU.
        target: ``NPU`` or ``CPU``.
        cycles: Vela's estimate; 0 for a row that is fused into another one, and for the CPU, which Vela ignores.
        npu_cycles: share of the arithmetic, which overlaps with those of the memories.
        sram_cycles: share of the SRAM accesses; the next three alike.
        dram_cycles:
        on_chip_flash_cycles:
        off_chip_flash_cycles:
        macs: multiply-accumulates by Vela's count, which adds element-wise work.
        sram_bytes: staging memory in use while it runs.
    """

    name: str
    type: str
    lowered: str
    target: str
    cycles: int
    npu_cycles: int
    sram_cycles: int
    dram_cycles: int
    on_chip_flash_cycles: int
    off_chip_flash_cycles: int
    macs: int
    sram_bytes: int


@dataclass(frozen=True)
class CpuOperator:
    """An operator that Vela leaves to the CPU, and its reason in Vela's words (None where it gives none)."""

    name: str
    type: str
    reason: str | None


@dataclass(frozen=True)
class Summary:
    """Vela's totals for one inference. Cycles and latency leave out whatever stays on the CPU.

    Attributes:
        clock_mhz: clock that the latency is computed with.
        latency_ms: ``cycles_total`` at that clock.
        cycles_total: less than the sum of the next five, which overlap.
        macs: by Vela's count.
        sram_kib: peak of the SRAM: the tensor arena, or the cache of a dedicated SRAM.
        dram_kib: constants and arena of a dedicated SRAM's model.
        on_chip_flash_kib: constants where the memory mode is ``Sram_Only``; they take SRAM, too.
        off_chip_flash_kib: constants that the NPU reads from flash.
    """

    clock_mhz: float
    latency_ms: float
    cycles_total: int
    cycles_npu: int
    cycles_sram: int
    cycles_dram: int
    cycles_on_chip_flash: int
    cycles_off_chip_flash: int
    macs: int
    sram_kib: float
    dram_kib: float
    on_chip_flash_kib: float
    off_chip_flash_kib: float


SUMMARY_COLUMNS = {
    "cycles_total": "cycles_total",
    "cycles_npu": "cycles_npu",
    "cycles_sram": "cycles_sram_access",
    "cycles_dram": "cycles_dram_access",
    "cycles_on_chip_flash": "cycles_on_chip_flash_access",
    "cycles_off_chip_flash": "cycles_off_chip_flash_access",
    "macs": "nn_macs",
    "sram_kib": "sram_memory_used",
    "dram_kib": "dram_memory_used",
    "on_chip_flash_kib": "on_chip_flash_memory_used",
    "off_chip_flash_kib": "off_chip_flash_memory_used",
}
ROW_COLUMNS = {
    "cycles": "Op Cycles",
    "npu_cycles": "NPU",
    "sram_cycles": "SRAM AC",
    "dram_cycles": "DRAM AC",
    "on_chip_flash_cycles": "OnFlash AC",
    "off_chip_flash_cycles": "OffFlash AC",
    "macs": "MAC Count",
    "sram_bytes": "Staging Usage",
}


def read_summary(path: Path) -> Summary:
    """Read ``{model}_summary_{system}.csv``.

    Raises:
        OSError, LookupError, StopIteration, TypeError, ValueError: it is missing or not complete.
    """
    with path.open(newline="", errors="replace") as stream:
        row = next(csv.DictReader(stream))
    numbers = {field.name: field.type for field in fields(Summary)}
    values = {name: float(row[column]) for name, column in SUMMARY_COLUMNS.items()}
    if not all(map(math.isfinite, values.values())):
        raise ValueError(f"a total is not a number: {values}")
    totals: dict[str, Any] = {name: int(value) if numbers[name] == "int" else value for name, value in values.items()}
    return Summary(
        clock_mhz=float(row["core_clock"]) / 1e6,
        latency_ms=round(float(row["inference_time"]) * 1e3, 6),  # to the nanosecond: no binary noise
        **totals,
    )


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read ``{model}_per-layer.csv``.

    Raises:
        OSError, LookupError, ValueError: it is missing or not complete.
    """
    header, *lines = path.read_text(errors="replace").removesuffix("\n").split("\n")
    columns = header.split(",")
    if columns[-1] != "Name":
        raise ValueError(f"the last column is {columns[-1]!r}")
    records: list[str] = []
    for line in lines:
        if ROW.match(line):
            records.append(line)
        else:
            records[-1] += f"\n{line}"
    rows = []
    for record in records:
        cells = dict(zip(columns, record.split(",", len(columns) - 1), strict=True))
        counts = {name: int(float(cells[column])) for name, column in ROW_COLUMNS.items()}
        rows.append(Row(cells["Name"], cells["Original Operator"], cells["NNG Operator"], cells["Target"], **counts))
    return tuple(rows)


def bound_by(rows: Sequence[Row]) -> dict[str, int]:
    """Return the cycles of the rows on the NPU by what each row waits for the longest.

    The parts of a row overlap, so that the largest of them decides: ``npu`` is arithmetic, the others are accesses to
    ``sram``, ``dram`` and ``flash``, on the chip or off it.
    """
    found = dict.fromkeys(("npu", "sram", "dram", "flash"), 0)
    for row in rows:
        flash = row.on_chip_flash_cycles + row.off_chip_flash_cycles
        parts = {"npu": row.npu_cycles, "sram": row.sram_cycles, "dram": row.dram_cycles, "flash": flash}
        found[max(parts, key=parts.__getitem__)] += row.cycles
    return found


def left_on_cpu(rows: Sequence[Row], output: str) -> tuple[CpuOperator, ...]:
    """Return the rows on the CPU with the reasons that Vela printed."""
    warnings = [match.groupdict() for match in WARNING.finditer(output)]
    found = []
    for row in rows:
        if row.target == "CPU":
            named = [warning for warning in warnings if warning["name"] == row.name]
            # Vela splits off a fused activation; its warning may name that half, under the same tensor.
            best = sorted(named, key=lambda warning: not same_type(row.type, warning["type"]))
            reason = " ".join(best[0]["reason"].split()) if best else None
            found.append(CpuOperator(row.name, row.type, reason))
    return tuple(found)


def same_type(vela: str, builtin: str) -> bool:
    """Return whether Vela's name of an operator type (``LeakyRelu``) means a LiteRT builtin (``LEAKY_RELU``)."""
    return vela.lower() == builtin.replace("_", "").lower()
