"""Everything that is known about one variant, from the files that exist. Nothing is made up for one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.session import Session
from ..errors import EvoError
from ..files import read_json
from ..layout import VariantLayout
from ..evaluation.int8 import lost_classes
from ..npu.gates import gate
from .journal import Journal
from ..config.variants import ROOT, Variant
from .history import read_history
from .logs import log_file, logged_error
from ..text.facts import Fact, fact, of_document

STAGES = {
    "validate_model": ("model", "model"),
    "verify_activations": ("activations", "activations"),
    "preflight_npu": ("npu_check", "npu"),
    "train": ("training", "training"),
    "evaluate": ("metrics", "metrics"),
    "export_int8": ("npu_metadata", "npu_metadata"),
    "compile_npu": ("compatibility", "compatibility"),
    "evaluate_int8": ("metrics_int8", "metrics_int8"),
}
"""The stages of a variant in order: rule, attribute of its `VariantLayout` (of the `BoardLayout` where the rule runs
once per board), schema of the file it writes."""

PER_BOARD = {"compile_npu"}
"""Stages that run once for each board."""

SHARED_CHECKS = ("check_environment", "check_dataset")


@dataclass(frozen=True)
class Result:
    """What one stage left.

    Attributes:
        stage: name of the rule.
        board: the board it ran for; None where it runs once per variant.
        document: what stands in its file; None when there is no such file, or a damaged one.
        damage: what is wrong with the file.
    """

    stage: str
    board: str | None
    document: dict[str, Any] | None
    damage: str | None

    def say(self, found: Fact) -> dict[str, Any]:
        return (fact("at_board", board=self.board, what=found) if self.board else found).document()


def collect_variant(session: Session, name: str) -> dict[str, Any]:
    """Return a document of ``summary.schema.json`` for the variant ``name``, whatever exists of it.

    ``status`` is ``done``; ``failed`` when a stage left an error or its result contradicts another; ``missing`` when
    a stage has not run or not finished. ``stage`` is then the first stage without a good result, ``reason`` says why.

    Raises:
        UserError: the session has no such variant.
    """
    variant = session.variant(name)
    paths = session.layout.variant(name)
    results = _read(paths, session.npu.boards)
    stale = _stale(results)
    status, stage, reason = _status(session, name, results, stale)
    found = {(r.stage, r.board): r.document for r in results if (r.stage, r.board) not in stale}
    documents = {stage: found.get((stage, None)) for stage in STAGES}
    compiled = {board: found.get(("compile_npu", board)) for board in session.npu.boards}
    training = documents["train"]
    incidents = training["incidents"] if training else Journal(paths.checkpoints).incidents()
    summary = {
        "session": session.name,
        "variant": name,
        "level": variant.level,
        "activation": variant.activation,
        "yaml": _short(variant.yaml),
        "status": status,
        "stage": stage,
        "reason": reason,
        "model": _model(documents["validate_model"]),
        "activations": _without(documents["verify_activations"], "schema_version", "variant"),
        "boards": list(session.npu.boards),
        "preflight": _preflight(session, variant, documents["preflight_npu"]),
        "training": _training(training),
        "history": _history(paths),
        "metrics": _without(documents["evaluate"], "schema_version", "made_of"),
        "export": _export(documents["export_int8"]),
        "npu": {board: _without(facts, "schema_version") for board, facts in compiled.items() if facts} or None,
        "int8": _without(documents["evaluate_int8"], "schema_version", "made_of"),
        "incidents": [_incident(incident) for incident in incidents],
        "plots": _plots(session, paths),
    }
    return summary


def _incident(incident: Mapping[str, Any]) -> dict[str, Any]:
    if "code" in incident:
        return dict(incident)
    quoted = fact("quoted", text=incident["message"]).document()
    return {"time": incident["time"], "kind": incident["kind"], **quoted}


def files_of_variant(session: Session, name: str) -> list[Path]:
    """Return every file that `collect_variant` reads, there or not: what it says changes with these only."""
    paths, root = session.layout.variant(name), session.layout.root
    files = [session.layout.config, paths.results_csv, paths.plots]
    files += [paths.checkpoints / file for file in ("run.json", "incidents.jsonl", "work/results.csv")]
    for stage, (attribute, _) in STAGES.items():
        for board in session.npu.boards if stage in PER_BOARD else (None,):
            files.append(getattr(paths.board(board) if board else paths, attribute))
            files.append(log_file(root, stage, name, board))
    return [*files, *(log_file(root, check) for check in SHARED_CHECKS)]


def _read(paths: VariantLayout, boards: Iterable[str]) -> list[Result]:
    """Return what each stage left, in the order of the stages and boards."""
    results = []
    for stage, (attribute, schema) in STAGES.items():
        for board in tuple(boards) if stage in PER_BOARD else (None,):
            path = getattr(paths.board(board) if board else paths, attribute)
            results.append(Result(stage, board, *read_if_there(path, schema)))
    return results


def read_if_there(path: Path, schema: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return ``(document, None)``, ``(None, None)`` without a file, or ``(None, what is wrong with it)``."""
    if not Path(path).is_file():
        return None, None
    try:
        return read_json(path, schema), None
    except EvoError as error:
        return None, str(error)


def _status(
    session: Session, name: str, results: list[Result], stale: Mapping[tuple[str, str | None], Fact]
) -> tuple[str, str, dict[str, Any] | None]:
    for result in results:
        if result.damage:
            return "failed", result.stage, result.say(fact("quoted", text=result.damage))
    for result in results:
        contradiction = _broken_promise(result) or stale.get((result.stage, result.board))
        if contradiction:
            return "failed", result.stage, result.say(contradiction)
    absent = [result for result in results if result.document is None]
    if not absent:
        return "done", results[-1].stage, None
    trained = any(result.stage == "train" and result.document for result in results)
    candidates = absent if trained else absent[:1]  # what follows the training runs side by side
    for result in candidates:
        if error := logged_error(log_file(session.layout.root, result.stage, name, result.board)):
            return "failed", result.stage, result.say(fact("quoted", text=error))
    # A variant that was trained before there was a preflight does not wait for it.
    first = next((result for result in candidates if result.stage != "preflight_npu"), candidates[0])
    if first.stage in {"preflight_npu", "train"}:
        for check in SHARED_CHECKS:
            if error := logged_error(log_file(session.layout.root, check)):
                return "failed", check, fact("quoted", text=error).document()
    if first.stage == "train":
        return "missing", first.stage, _unfinished(session.layout.variant(name)).document()
    return "missing", first.stage, first.say(fact("not_run_yet"))


def _unfinished(paths: VariantLayout) -> Fact:
    journal = Journal(paths.checkpoints)
    if not journal.run:
        return fact("not_run_yet")
    incidents, epochs = journal.incidents(), _history(paths).get("epoch")
    return fact(
        "not_finished",
        moment=journal.run["started"],
        attempt=journal.run["attempts"],
        progress=fact("epochs_so_far", epochs=epochs[-1]) if epochs else "",
        last=fact("last_incident", incident=of_document(_incident(incidents[-1]))) if incidents else "",
    )


def _history(paths: VariantLayout) -> dict[str, list[float | None]]:
    """Return the course of the training, also of one that is still running or was interrupted."""
    return read_history(paths.results_csv) or read_history(paths.checkpoints / "work" / "results.csv")


def _broken_promise(result: Result) -> Fact | None:
    """Return what a result says against itself; its figures are shown nevertheless."""
    if result.stage == "train" and result.document and not result.document["activations"]["verified"]:
        found = result.document["activations"]["found"]
        return fact("other_activations", parts=[fact("part_has", part=part, sites=found[part]) for part in found])
    if result.stage == "evaluate_int8" and result.document and (lost := lost_classes(result.document)):
        return fact("classes_lost", classes=lost)
    return None


def _stale(results: list[Result]) -> dict[tuple[str, str | None], Fact]:
    """Return, by stage and board, the results that are of another file than the one there is. None of them is shown."""
    documents = {(result.stage, result.board): result.document for result in results}
    training, metrics, export, int8 = (
        documents[stage, None] for stage in ("train", "evaluate", "export_int8", "evaluate_int8")
    )
    best = training["weights"]["best"] if training else None
    model = export["sha256"] if export else None

    def other_weights(file: str) -> Fact:
        return fact("of_other_weights", file=file)

    def other_model(file: str) -> Fact:
        return fact("of_another_model", file=file)

    compiled = {key: document for key, document in documents.items() if key[0] == "compile_npu" and document}
    found = {}
    if best and metrics and metrics["evaluation"]["weights_sha256"] != best:
        found["evaluate", None] = other_weights("metrics.json")
    if model:
        for key, document in compiled.items():
            if document["sha256"]["source"] != model:
                found[key] = other_model("compatibility.json")
    if model and int8 and int8["evaluation"]["weights_sha256"] != model:
        found["evaluate_int8", None] = other_model("metrics_int8.json")
    elif best and int8 and int8["float"]["evaluation"]["weights_sha256"] != best:
        found["evaluate_int8", None] = other_weights("metrics_int8.json")
        if model:  # it was evaluated beside those weights: it is made of them, and so is what was compiled of it
            found["export_int8", None] = other_weights("metadata.json")
            found = {key: other_weights("compatibility.json") for key in compiled} | found
    return found


def _preflight(session: Session, variant: Variant, document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``npu.json`` with the verdict of the session's gates on it."""
    if document is None:
        return None
    return {**_without(document, "schema_version", "variant"), "gate": gate(variant, session.npu, document)}


def _model(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``model.json`` without the definition itself."""
    if document is None:
        return None
    return _without(document, "schema_version", "definition")


def _export(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``metadata.json`` with its reasons."""
    if document is None:
        return None
    return _without(document, "schema_version", "variant", "made_of")


def _training(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return ``training.json`` with its totals: ``epochs_seconds`` has no pauses, ``seconds`` includes them."""
    if document is None:
        return None
    total = round(sum(epoch["seconds"] for epoch in document["epochs"]), 3)
    return {**_without(document, "schema_version", "variant", "incidents", "conditions"), "epochs_seconds": total}


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
