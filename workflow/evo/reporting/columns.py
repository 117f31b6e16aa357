"""The figures of each variant: one entry is a column of ``summary.csv`` and of a table of the reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..printable import inert
from ..text.facts import of_document
from ..text.language import marked
from .summary import VariantSummary

MAIN = "main"
"""The table of variants that the reports begin with."""

MORE = "more"
"""The table of further figures."""


@dataclass(frozen=True)
class Column:
    """One figure of each variant.

    Attributes:
        key: its column in ``summary.csv``.
        value: reads it from a variant, for the first board of the session; None where it is not known.
        table: the table of the reports that it is in, `MAIN` or `MORE`; None for none.
        title: its heading there; a text of the catalogue.
        figure: how it is written there, one of ``wording.FIGURES``; None as it is.
        number: whether it is a number, which is set to the right and sorted as one.
        bars: whether a bar shows how large it is.
        estimate: whether it is the compiler's estimate, which the reports mark.
        optional: whether the reports leave the column out where it is empty.
    """

    key: str
    value: Callable[[VariantSummary, str], Any]
    table: str | None = None
    title: str = ""
    figure: str | None = None
    number: bool = True
    bars: bool = False
    estimate: bool = False
    optional: bool = False


def _gate(variant: VariantSummary) -> str | None:
    passes = variant.passes_gates
    return None if passes is None else "passed" if passes else "missed"


def _reason(variant: VariantSummary) -> str | None:
    reason = variant.document["reason"]
    return reason and str(of_document(reason))


COLUMNS = (
    Column("variant", lambda v, _: v.name),
    Column("level", lambda v, _: v.document["level"], MAIN, marked("Level")),
    Column("activation", lambda v, _: v.activation, MAIN, marked("Activation"), number=False),
    Column("status", lambda v, _: v.document["status"]),
    Column("stage", lambda v, _: v.document["stage"]),
    Column("reason", lambda v, _: _reason(v)),
    Column("parameters", lambda v, _: v.parameters, MORE, marked("Parameters"), "count"),
    Column("map50", lambda v, _: v.val.map50, MORE, marked("mAP50 on val"), "metric"),
    Column("map50_95", lambda v, _: v.val.map50_95, MORE, marked("mAP50-95 on val"), "metric"),
    Column("precision", lambda v, _: v.val.precision, MORE, marked("Precision"), "metric"),
    Column("recall", lambda v, _: v.val.recall, MORE, marked("Recall"), "metric"),
    Column("confidence", lambda v, _: v.val.confidence),
    Column("test_map50", lambda v, _: v.test.map50, MORE, marked("mAP50 on test"), "metric", optional=True),
    Column("test_map50_95", lambda v, _: v.test.map50_95, MORE, marked("mAP50-95 on test"), "metric", optional=True),
    Column("test_precision", lambda v, _: v.test.precision),
    Column("test_recall", lambda v, _: v.test.recall),
    Column("float_map50_95", lambda v, _: v.float_val.map50_95, MAIN, marked("mAP50-95 float"), "metric", bars=True),
    Column("int8_map50", lambda v, _: v.int8_val.map50),
    Column("int8_map50_95", lambda v, _: v.int8_val.map50_95, MAIN, marked("mAP50-95 int8"), "metric", bars=True),
    Column("int8_difference", lambda v, _: v.int8_difference, MAIN, marked("Difference"), "signed"),
    Column("test_int8_map50_95", lambda v, _: v.int8_test.map50_95),
    Column("board", lambda v, board: v.trained(board).board),
    Column("ops_percent", lambda v, board: v.trained(board).ops_percent, MAIN, marked("On NPU"), "percent", bars=True),
    Column("macs_percent", lambda v, board: v.trained(board).macs_percent),
    Column("npu_blobs", lambda v, board: v.trained(board).npu_blobs),
    Column("cpu_operators", lambda v, board: v.trained(board).cpu_operators),
    Column(
        "vela_cycles",
        lambda v, board: v.trained(board).cycles,
        MAIN,
        marked("Cycles"),
        "count",
        bars=True,
        estimate=True,
    ),
    Column(
        "vela_latency_ms",
        lambda v, board: v.trained(board).latency_ms,
        MAIN,
        marked("Latency"),
        "latency",
        bars=True,
        estimate=True,
    ),
    Column(
        "measured_latency_ms",
        lambda v, board: (v.measured(board) or {}).get("ms"),
        MAIN,
        marked("Measured"),
        "latency",
        optional=True,
    ),
    Column("measured_arena_kib", lambda v, board: (v.measured(board) or {}).get("arena_kib")),
    Column("sram_kib", lambda v, board: v.trained(board).used_kib("sram"), MAIN, "SRAM", "kibibytes", bars=True),
    Column(
        "flash_kib", lambda v, board: v.trained(board).used_kib("flash"), MAIN, marked("Flash"), "kibibytes", bars=True
    ),
    Column("dram_kib", lambda v, board: v.trained(board).used_kib("dram")),
    Column("gate", lambda v, _: _gate(v)),
    Column("epochs", lambda v, _: v.training.epochs, MORE, marked("Epochs"), "count"),
    Column("best_epoch", lambda v, _: v.training.best_epoch, MORE, marked("Best epoch"), "count"),
    Column("training_seconds", lambda v, _: v.training.seconds, MAIN, marked("Training"), "duration", bars=True),
    Column("epochs_seconds", lambda v, _: v.training.epochs_seconds),
    Column("attempts", lambda v, _: v.training.attempts),
    Column("incidents", lambda v, _: len(v.document["incidents"]) if v.document["training"] else None),
    Column("host_inference_ms", lambda v, _: v.val.inference_ms, MORE, marked("Inference on the host"), "milliseconds"),
    Column("host_device", lambda v, _: v.host),
    Column("imgsz", lambda v, _: v.imgsz),
    Column("seed", lambda v, _: v.training.arguments.get("seed")),
    Column("model_fingerprint", lambda v, _: v.training.model_fingerprint),
    Column("data_hash", lambda v, _: v.training.data_hash),
    Column("weights_sha256", lambda v, _: v.training.best_sha256),
    Column("int8_sha256", lambda v, _: v.int8_sha256),
)
"""Without a prefix, metrics are of val; ``training_seconds`` is wall time including interruptions; what depends on a
board is of the session's first one, and ``vela_…`` is Vela's estimate."""


def columns(table: str, rows: Iterable[Mapping[str, Any]]) -> list[Column]:
    """Return the columns of a table of the reports that holds `figures`."""
    rows = list(rows)
    return [
        column
        for column in COLUMNS
        if column.table == table and not (column.optional and all(row[column.key] is None for row in rows))
    ]


def figures(variant: VariantSummary, board: str) -> dict[str, Any]:
    """Return the figures of a variant by the key of their column."""
    return {column.key: column.value(variant, board) for column in COLUMNS}


def largest(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the largest value of each column that has bars, which these are drawn against."""
    rows = list(rows)
    keys = [column.key for column in COLUMNS if column.bars]
    return {key: max((abs(row[key]) for row in rows if row[key] is not None), default=0) for key in keys}


def session_csv(summary: Mapping[str, Any]) -> str:
    """Return ``summary.csv``: one row per variant, fractions and seconds unrounded, empty where nothing is known."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [column.key for column in COLUMNS], lineterminator="\n")
    writer.writeheader()
    for document in summary["variants"]:
        row = figures(VariantSummary(document), summary["boards"][0])
        writer.writerow({key: inert(value) for key, value in row.items()})
    return stream.getvalue()
