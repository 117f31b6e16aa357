"""Everything that is known about one variant, from the files that exist. Nothing is made up for one that does not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import Session
from ..errors import EvoError
from ..files import read_json
from ..layout import VariantLayout
from ..training.journal import Journal
from ..variants import ROOT
from .history import read_history
from .logs import log_file, logged_error
from .wording import sites

STAGES = {
    "validate_model": ("model", "model"),
    "verify_activations": ("activations", "activations"),
    "train": ("training", "training"),
    "evaluate": ("metrics", "metrics"),
}
"""The stages of a variant in order: rule, attribute of its `VariantLayout`, schema of the file it writes."""

SHARED_CHECKS = ("check_environment", "check_dataset")


def collect_variant(session: Session, name: str) -> dict[str, Any]:
    """Return a document of ``summary.schema.json`` for the variant ``name``, whatever exists of it.

    ``status`` is ``done``; ``failed`` when a stage left an error or its result contradicts another; ``missing`` when
    a stage has not run or not finished. ``stage`` is then the first stage without a good result, ``reason`` says why.

    Raises:
        UserError: the session has no such variant.
    """
    variant = session.variant(name)
    paths = session.layout.variant(name)
    documents, damage = {}, {}
    for stage, (attribute, schema) in STAGES.items():
        documents[stage], damage[stage] = read_if_there(getattr(paths, attribute), schema)
    training, metrics = documents["train"], documents["evaluate"]
    stale = _stale(training, metrics)
    status, stage, reason = _status(session, name, documents, damage, stale)
    return {
        "session": session.name,
        "variant": name,
        "level": variant.level,
        "activation": variant.activation,
        "yaml": _short(variant.yaml),
        "status": status,
        "stage": stage,
        "reason": reason,
        "model": _without(documents["validate_model"], "schema_version", "definition"),
        "activations": _without(documents["verify_activations"], "schema_version", "variant"),
        "training": _training(training),
        "history": _history(paths),
        "metrics": None if stale else _without(metrics, "schema_version"),
        "incidents": training["incidents"] if training else Journal(paths.checkpoints).incidents(),
        "plots": _plots(session, paths),
    }


def read_if_there(path: Path, schema: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return ``(document, None)``, ``(None, None)`` without a file, or ``(None, what is wrong with it)``."""
    if not Path(path).is_file():
        return None, None
    try:
        return read_json(path, schema), None
    except EvoError as error:
        return None, str(error)


def _status(
    session: Session,
    name: str,
    documents: Mapping[str, dict[str, Any] | None],
    damage: Mapping[str, str | None],
    stale: str | None,
) -> tuple[str, str, str | None]:
    for stage, problem in damage.items():
        if problem:
            return "failed", stage, problem
    for stage, contradiction in (("train", _unverified(documents["train"])), ("evaluate", stale)):
        if contradiction:
            return "failed", stage, contradiction
    if documents["train"] and documents["evaluate"]:
        return "done", "evaluate", None
    stage = next(stage for stage in STAGES if documents[stage] is None)
    error = logged_error(log_file(session.layout.root, stage, name))
    if error:
        return "failed", stage, error
    if stage == "train":
        for check in SHARED_CHECKS:
            if error := logged_error(log_file(session.layout.root, check)):
                return "failed", check, error
        return "missing", stage, _unfinished(session.layout.variant(name))
    return "missing", stage, "not run yet"


def _unfinished(paths: VariantLayout) -> str:
    journal = Journal(paths.checkpoints)
    if not journal.run:
        return "not run yet"
    incidents = journal.incidents()
    last = f"; last incident: {incidents[-1]['message']}" if incidents else ""
    epochs = _history(paths).get("epoch")
    progress = f", {epochs[-1]} epochs so far" if epochs else ""
    return f"started {journal.run['started']}, attempt {journal.run['attempts']}{progress}, not finished{last}"


def _history(paths: VariantLayout) -> dict[str, list[float | None]]:
    """Return the course of the training, also of one that is still running or was interrupted."""
    return read_history(paths.results_csv) or read_history(paths.checkpoints / "work" / "results.csv")


def _unverified(training: Mapping[str, Any] | None) -> str | None:
    if training is None or training["activations"]["verified"]:
        return None
    found = training["activations"]["found"]
    rows = [f"{part} has {sites(found[part])}" for part in found]
    return "best.pt does not have the activations that its level promises: " + "; ".join(rows)


def _stale(training: Mapping[str, Any] | None, metrics: Mapping[str, Any] | None) -> str | None:
    if not training or not metrics or training["weights"]["best"] == metrics["evaluation"]["weights_sha256"]:
        return None
    return "metrics.json is of other weights than training.json: run snakemake again"


def _training(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``training.json`` with its totals: ``epochs_seconds`` has no pauses, ``seconds`` includes them."""
    if document is None:
        return None
    total = round(sum(epoch["seconds"] for epoch in document["epochs"]), 3)
    return {**_without(document, "schema_version", "variant", "incidents"), "epochs_seconds": total}


def _without(document: Mapping[str, Any] | None, *keys: str) -> dict[str, Any] | None:
    return None if document is None else {key: value for key, value in document.items() if key not in keys}


def _plots(session: Session, paths: VariantLayout) -> dict[str, list[str]]:
    """Return the plots of each split, relative to the session's folder, in the order of their names."""
    found = {}
    for split in session.splits:
        folder = paths.plots / split
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in {".png", ".jpg"})
            found[split] = [path.relative_to(session.layout.root).as_posix() for path in files]
    return found


def _short(path: Path) -> str:
    for base in (Path.cwd(), ROOT):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.as_posix()
