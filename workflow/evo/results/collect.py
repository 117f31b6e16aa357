"""All that is known about one variant, from the files that exist. What does not exist is null."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config.session import Session
from ..config.variants import ROOT, Variant
from ..layout import VariantLayout
from ..npu.gates import gate
from ..npu.measurements import Measurement, of_variant, read_measurements
from ..text.facts import Fact
from .journal import Journal, with_fact
from .read import read_results, training_history
from .stages import BEFORE_TRAINING, shared_stages, variant_stages
from .status import stale_results, status


def collect_variant(session: Session, name: str) -> dict[str, Any]:
    """Return a document of ``summary.schema.json`` for the variant ``name``, from whatever exists of it.

    Raises:
        UserError: the session has no such variant.
    """
    variant = session.variant(name)
    paths = session.layout.variant(name)
    results = read_results(session, name)
    stale = stale_results(results)
    state, stage, reason = status(session, name, results, stale)
    found = {result.key: result.document for result in results if result.key not in stale}
    compiled = {board: found.get(("compile_npu", board)) for board in session.npu.boards}
    training = found.get(("train", None))
    measured, notes = _measured(session, name, compiled)
    incidents = map(with_fact, training["incidents"]) if training else Journal(paths.checkpoints).incidents()
    return {
        "session": session.name,
        "variant": name,
        "first": variant.first,
        "replicate": variant.replicate,
        "level": variant.level,
        "activation": variant.activation,
        "yaml": _short(variant.yaml),
        "status": state,
        "stage": stage,
        "reason": reason and reason.document(),
        "model": _without(found.get(("validate_model", None)), "schema_version", "definition"),
        "activations": _without(found.get(("verify_activations", None)), "schema_version", "variant"),
        "boards": list(session.npu.boards),
        "preflight": _preflight(session, variant, found.get(("preflight_npu", None))),
        "training": _training(training),
        "history": training_history(paths),
        "metrics": _without(found.get(("evaluate", None)), "schema_version", "made_of"),
        "export": _without(found.get(("export_int8", None)), "schema_version", "variant", "made_of"),
        "npu": {board: _without(facts, "schema_version") for board, facts in compiled.items() if facts} or None,
        "measured": {board: one.document() for board, one in measured.items()},
        "measurement_notes": [note.document() for note in notes],
        "int8": _without(found.get(("evaluate_int8", None)), "schema_version", "made_of"),
        "incidents": list(incidents),
        "plots": _plots(session, paths),
    }


def files_of_variant(session: Session, name: str) -> list[Path]:
    """Return every file that `collect_variant` reads, existing or not. Its result changes only when one of them does."""
    paths = session.layout.variant(name)
    files = [session.layout.config, paths.results_csv, paths.plots, paths.unfinished_csv]
    files += Journal(paths.checkpoints).files
    for stage, board in variant_stages(session):
        if stage.fails_variant:
            files += [stage.output(session.layout, name, board), stage.log(session.layout, name, board)]
    return [*files, *(stage.log(session.layout) for stage in shared_stages(session) if stage.rule in BEFORE_TRAINING)]


def _preflight(session: Session, variant: Variant, document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``npu.json`` with the verdict of the session's gates."""
    if document is None:
        return None
    facts = {key: value for key, value in document.items() if key not in {"schema_version", "variant"}}
    return {**facts, "gate": gate(variant, session.npu, document)}


def _training(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``training.json`` and ``epochs_seconds``, which has no pauses in it; ``seconds`` includes them."""
    if document is None:
        return None
    total = round(sum(epoch["seconds"] for epoch in document["epochs"]), 3)
    kept = _without(document, "schema_version", "variant", "incidents", "conditions")
    return {**(kept or {}), "epochs_seconds": total}


def _measured(session: Session, name: str, compiled: Mapping[str, Any]) -> tuple[dict[str, Measurement], list[Fact]]:
    """Return what somebody measured of a variant's present files, by board, and what of other files."""
    if session.npu.measurements is None:
        return {}, []
    table = read_measurements(session.npu.measurements)
    files = {board: facts["sha256"].values() for board, facts in compiled.items() if facts}
    return of_variant(table, name, files)


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
