"""Cache of preflights in this working directory: the same network on the same board gives the same figures.

One file per network and board, so that a further board compiles for that one alone. Each is replaced as a whole, so
that concurrent jobs do not disturb one another. A damaged one is made again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..config.boards import Board
from ..config.train_arguments import ultralytics_version
from ..errors import EvoError
from ..files import sha256_file, sha256_json, violates, write_atomically
from ..remembered import version

LIMIT = 1000
"""Preflights that are kept, of some 20 KiB each; the oldest go first."""

PACKAGES = ("torch", "litert-torch", "ai-edge-quantizer", "ethos-u-vela")


def key(
    network: str,
    imgsz: int,
    executed: Mapping[str, Mapping[str, int]],
    board: Board,
    time_limit: float,
    code: str,
) -> str:
    """Return the key of a preflight for one board: a hash of all that its document depends on.

    Args:
        network: fingerprint of the network, classes included.
        imgsz: edge of the square input in pixels.
        executed: activation calls per part of the checked network.
        board: the board to compile for.
        time_limit: seconds for one run of the compiler.
        code: hash of the code of this library that makes it.
    """
    return sha256_json(
        {
            "network": network,
            "imgsz": imgsz,
            "executed": executed,
            "board": {**asdict(board), "vela_config": board.vela_config and sha256_file(board.vela_config)},
            "time_limit": time_limit,
            "code": code,
            "versions": {**{name: version(name) for name in PACKAGES}, "ultralytics": ultralytics_version()},
        }
    )


def find(folder: Path, preflight: str, variant: str) -> dict[str, Any] | None:
    """Return the document of ``npu.json`` without ``schema_version`` that a preflight gave before; None without one.

    Args:
        folder: where they are kept.
        preflight: `key`.
        variant: name of the variant in the document.
    """
    try:
        document = json.loads((folder / f"{preflight}.json").read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("preflight") != preflight:
        return None
    found = document.get("document")
    if not isinstance(found, dict) or violates("npu", {**found, "variant": variant}):
        return None
    return {"variant": variant, **found}


def merged(documents: Sequence[Mapping[str, Any]], boards: Iterable[str]) -> dict[str, Any]:
    """Return the documents of one network on different boards as one, with its boards in the order of ``boards``."""
    found = {name: value for one in documents for name, value in one["boards"].items()}
    failed = {name: value for one in documents for name, value in one["failed"].items()}
    names = list(boards)
    return {
        **documents[0],
        "boards": {name: found[name] for name in names if name in found},
        "failed": {name: failed[name] for name in names if name in failed},
    }


def keep(folder: Path, preflight: str, board: str, document: Mapping[str, Any]) -> None:
    """Keep what a document says of one board, if that compiled: a failure is tried again."""
    if board not in document["boards"]:
        return
    kept = {name: value for name, value in document.items() if name not in {"schema_version", "variant"}}
    kept |= {"boards": {board: document["boards"][board]}, "failed": {}}
    with contextlib.suppress(EvoError, OSError):
        text = json.dumps({"preflight": preflight, "document": kept}, ensure_ascii=False)
        write_atomically(folder / f"{preflight}.json", text, durable=False)
        _drop_oldest(folder)


def _drop_oldest(folder: Path) -> None:
    with os.scandir(folder) as items:
        files = [(item.stat().st_mtime_ns, item.path) for item in items if item.name.endswith(".json")]
    for _, path in sorted(files)[: max(len(files) - LIMIT, 0)]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
