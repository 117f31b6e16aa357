"""A session with reports in Korean, in which everything that they have words for occurs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.unit.synthetic import (
    NPU,
    digest,
    make_session,
    split_metrics,
    write_checks,
    write_done,
    write_npu,
    write_shared,
)
from workflow.evo.config.session import Session
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import fact
from workflow.evo.text.language import Language

KOREAN = Language("ko")
BOARD = "preset-u55-256"
HALVED = fact(
    "batch_halved",
    what=fact("memory_out"),
    place=fact("in_validation", epoch=3),
    batch=16,
    half=8,
    nbs=32,
    accumulation=4,
)
INCIDENT = str(HALVED)


def make_korean_session(folder: Path) -> Session:
    """Return a session with everything that a report has words for: finished, failed, started and missing variants."""
    found = make_session(folder, language="ko", npu=replace(NPU, max_latency_ms=4.0))
    finding = {"severity": "warning", "code": "label_zero_area", "parameters": {}, "count": 2}
    write_shared(found, findings=[{**finding, "examples": ["labels/a.txt (line 3)"]}])
    for name, value in (("level2_relu", 0.40), ("level2_leaky", 0.39), ("level3_relu", 0.30)):
        write_done(found, name, value)
    broken = ("level3_relu", split_metrics(0.1), None, digest("best", "level3_relu"))
    write_npu(found, *broken, floating=split_metrics(0.3), boards={BOARD: {"nothing": True}})
    write_checks(found, "level3_leaky")
    journal = Journal(found.layout.variant("level3_leaky").checkpoints)
    journal.start_attempt("recipe", 16)
    journal.incident("out_of_memory", HALVED, batch_before=16, batch_after=8, error="CUDA out of memory")
    return found
