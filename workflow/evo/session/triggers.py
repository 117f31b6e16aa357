"""Small answers that the rules need while Snakemake plans: cheap, and without torch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..config.boards import board_names, load_board
from ..config.session import FOLDERS, Session
from ..data.hashes import DatasetHashes
from ..errors import UserError, did_you_mean
from ..files import sha256_file, sha256_json
from ..remembered import version
from ..text.language import catalogue_file

EVO = Path(__file__).resolve().parents[1]
"""The folder of this library."""

REPORT = re.compile(r"(.+)_training_(?:report\.md|summary\.json)")


def unknown_targets(
    session: Session, arguments: Sequence[str], targets_of: Callable[[Sequence[str]], Iterable[str]]
) -> None:
    """Refuse a target that belongs to a variant or a session which is not configured.

    Args:
        session: the session.
        arguments: the command line of Snakemake, without the program.
        targets_of: tells which of them are targets (`-d results/x/y` is none); called only when one looks wrong.

    Raises:
        UserError: naming the nearest variant.
    """
    refusals = {argument: refusal for argument in arguments if (refusal := _refusal(session, argument))}
    if not refusals:
        return
    for target in targets_of(arguments):
        if target in refusals:
            raise refusals[target]


def _refusal(session: Session, target: str) -> UserError | None:
    path = PurePosixPath(target)
    if path.is_relative_to(session.root):
        parts = path.relative_to(session.root).parts
        name = _variant_of(parts)
        if name is not None and name not in session.variant_names:
            return UserError(f"unknown variant '{name}'", where=target, hint=did_you_mean(name, session.variant_names))
        if name is not None and parts[1:2] == ("npu",) and len(parts) > 3 and parts[2] not in session.npu.boards:
            hint = f"{did_you_mean(parts[2], session.npu.boards)} Boards are named in 'npu.boards'"
            return UserError(f"no board '{parts[2]}' in this session", where=target, hint=hint)
    elif path.parts[:1] == ("results",) and len(path.parts) > 2:
        return UserError(
            f"the session is '{session.name}', not '{path.parts[1]}'",
            where=target,
            hint=f"name its configuration with --configfile, or ask for results/{session.name}/…",
        )
    return None


def _variant_of(parts: tuple[str, ...]) -> str | None:
    """Return the variant that a file of the session, given by the parts of its path, belongs to."""
    if len(parts) > 1:
        return parts[0] if parts[0] not in FOLDERS else None
    report = REPORT.fullmatch(parts[0]) if parts else None
    return report[1] if report else None


@cache
def board_identity(name: str) -> dict[str, Any]:
    """Return what a compilation depends on besides the model: the board's settings and the compiler's version."""
    board = asdict(load_board(name))
    del board["platform"], board["source"]  # words
    return {**board, "vela": version("ethos-u-vela")}


@cache
def preflight_identity() -> dict[str, Any]:
    """Return what `preflight_npu` depends on besides the network and its input size: every board, and the exporters.

    It is the same for every choice of boards and gates in a configuration, which are held against what it found.
    """
    return {"boards": [board_identity(name) for name in board_names()], **_exporters()}


def _exporters() -> dict[str, str]:
    return {name: version(name) for name in ("litert-torch", "ai-edge-quantizer")}


def export_identity(session: Session, data: DatasetHashes) -> str:
    """Return a hash of what an int8 file depends on besides the weights: calibration images, class names, exporters."""
    calibration = {"images": session.npu.calibration_images, "split": data.splits["train"]}
    return sha256_json({"calibration": calibration, "names": data.names, **_exporters()})


def is_made_of(path: Path, identity: str, key: str = "made_of") -> bool:
    """Return whether a JSON document, of whatever version, says that it is made of what has this identity."""
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get(key) == identity


def report_identity(session: Session) -> dict[str, Any]:
    """Return what the reports depend on besides the results: boards and gates, how gates are applied, the language."""
    settings = asdict(session.npu)
    del settings["time_limit"], settings["calibration_images"]
    catalogue = catalogue_file(session.language)
    return {
        **settings,
        "gates": sha256_file(EVO / "npu" / "gates.py"),
        "language": session.language,
        "texts": sha256_file(catalogue) if catalogue.is_file() else None,
    }


def tree_hash(subject: str) -> str:
    """Return a hash of all files of one subject of this library, such as ``reporting``: its code and templates."""
    root = EVO / subject
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sha256_json({path.relative_to(root).as_posix(): sha256_file(path) for path in files})
