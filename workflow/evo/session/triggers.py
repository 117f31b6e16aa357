"""What decides whether a finished job runs again: cheap to find out, and without torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from ..config.boards import load_board
from ..config.session import Session
from ..data.hashes import DatasetHashes
from ..files import sha256_file, sha256_json
from ..remembered import version
from ..text.language import catalogue_file
from .code import code_of


@cache
def board_identity(name: str) -> dict[str, Any]:
    """Return what a compilation depends on besides the model: the board's settings and the compiler's version."""
    board = load_board(name)
    found = asdict(board)
    del found["platform"], found["source"], found["assumed"]  # words
    found["vela_config"] = sha256_file(board.vela_config) if board.vela_config else None
    return {**found, "vela": board.vela["version"] if board.vela else version("ethos-u-vela")}


def preflight_identity(session: Session) -> dict[str, Any]:
    """Return what `preflight_npu` depends on besides the network and its input size: the boards, and the exporters.

    Gates are not part of it: they are checked against what it found.
    """
    return {"boards": [board_identity(name) for name in sorted(session.npu.boards)], **_exporters()}


def _exporters() -> dict[str, str]:
    return {name: version(name) for name in ("litert-torch", "ai-edge-quantizer")}


def export_identity(session: Session, data: DatasetHashes) -> str:
    """Return a hash of what an int8 file depends on besides the weights: calibration images, class names, exporters."""
    calibration = {"images": session.npu.calibration_images, "split": data.splits["train"]}
    code = code_of("export_int8")
    return sha256_json({"calibration": calibration, "names": data.names, "code": code, **_exporters()})


def evaluation_identity(session: Session, data: DatasetHashes, rule: str) -> str:
    """Return a hash of what the results of ``evaluate`` or ``evaluate_int8`` depend on besides the weights."""
    kernels = {"kernels": session.npu.kernels} if rule == "evaluate_int8" else {}
    return sha256_json({"data": data.of(session.splits), "code": code_of(rule), **kernels})


def is_made_of(path: Path, identity: str, key: str = "made_of") -> bool:
    """Return whether a JSON document, of whatever version, says that it is made of what has this identity."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get(key) == identity


def report_identity(session: Session) -> dict[str, Any]:
    """Return what the reports depend on besides the results and their code: boards, gates and the language."""
    settings = asdict(session.npu)
    del settings["time_limit"], settings["calibration_images"], settings["kernels"]
    table = settings.pop("measurements")
    catalogue = catalogue_file(session.language)
    return {
        **settings,
        "ship": asdict(session.goal),
        "measurements": sha256_file(table) if table else None,
        "language": session.language,
        "texts": sha256_file(catalogue) if catalogue.is_file() else None,
    }
