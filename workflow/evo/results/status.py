"""Whether a variant is done, and if not, which stage failed or is missing, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..config.session import Session
from ..evaluation.int8 import lost_classes
from ..layout import VariantLayout
from ..text.facts import Fact, fact, of_document
from .journal import Journal
from .logs import logged_error
from .read import Result, training_history
from .stages import BEFORE_TRAINING, Stage, shared_stages

Stale = Mapping[tuple[str, str | None], Fact]
"""Why a result does not count, by rule and board."""


def status(session: Session, name: str, results: Sequence[Result], stale: Stale) -> tuple[str, str, Fact | None]:
    """Return ``(status, stage, reason)`` of a variant.

    ``status`` is ``done``; ``failed`` when a stage ended with an error or its result contradicts another; ``missing``
    when a stage has not run or not finished. ``stage`` is then the first stage without a valid result, and ``reason``
    says why.
    """
    for result in results:
        if result.damage:
            return "failed", result.stage.rule, result.at(fact("quoted", text=result.damage))
    for result in results:
        contradiction = _broken_promise(result) or stale.get(result.key)
        if contradiction:
            return "failed", result.stage.rule, result.at(contradiction)
    absent = [result for result in results if not result.done]
    if not absent:
        return "done", results[-1].stage.rule, None
    trained = any(result.stage.rule == "train" and result.done for result in results)
    # The stages after the training run in parallel, and so does the memory check with the preflight. Of any other stage
    # whose turn has not come yet, an error in the log is that of an earlier run.
    begun = [result for result in absent if trained or result is absent[0] or result.stage.before_training_only]
    for result in begun:
        if error := _logged(session, result.stage, name, result.board):
            return "failed", result.stage.rule, result.at(fact("quoted", text=error))
    # A variant that was trained before there was a preflight does not wait for it.
    later = (result for result in absent if not (trained and result.stage.rule in BEFORE_TRAINING))
    first = next(later, absent[0])
    if not trained:
        for stage in shared_stages(session):
            if stage.rule in BEFORE_TRAINING and (error := _logged(session, stage)):
                return "failed", stage.rule, fact("quoted", text=error)
    if first.stage.rule == "train":
        return "missing", "train", _unfinished(session.layout.variant(name))
    return "missing", first.stage.rule, first.at(fact("not_run_yet"))


def _logged(session: Session, stage: Stage, variant: str | None = None, board: str | None = None) -> str | None:
    return logged_error(stage.log(session.layout, variant, board))


def _unfinished(paths: VariantLayout) -> Fact:
    journal = Journal(paths.checkpoints)
    if not journal.run:
        return fact("not_run_yet")
    incidents, epochs = journal.incidents(), training_history(paths).get("epoch")
    return fact(
        "not_finished",
        moment=journal.run["started"],
        attempt=journal.run["attempts"],
        progress=fact("epochs_so_far", epochs=epochs[-1]) if epochs else "",
        last=fact("last_incident", incident=of_document(incidents[-1])) if incidents else "",
    )


def _broken_promise(result: Result) -> Fact | None:
    """Return how a result breaks what its level or the export promises; its figures are shown nevertheless."""
    if result.document is None:
        return None
    if result.stage.rule == "train" and not result.document["activations"]["verified"]:
        found = result.document["activations"]["found"]
        return fact("other_activations", parts=[fact("part_has", part=part, sites=found[part]) for part in found])
    if result.stage.rule == "evaluate_int8" and (lost := lost_classes(result.document)):
        return fact("classes_lost", classes=lost)
    return None


def stale_results(results: Sequence[Result]) -> dict[tuple[str, str | None], Fact]:
    """Return, by rule and board, the results that were made from another file than the present one. They are not shown."""
    documents = {result.key: result.document for result in results}
    training, metrics, export, int8 = (
        documents[rule, None] for rule in ("train", "evaluate", "export_int8", "evaluate_int8")
    )
    best = training["weights"]["best"] if training else None
    model = export["sha256"] if export else None

    def other_weights(file: str) -> Fact:
        return fact("of_other_weights", file=file)

    def other_model(file: str) -> Fact:
        return fact("of_another_model", file=file)

    compiled = {key: document for key, document in documents.items() if key[0] == "compile_npu" and document}
    found: dict[tuple[str, str | None], Fact] = {}
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
        if model:  # it was evaluated together with those weights: it was exported from them, and compiled after that
            found["export_int8", None] = other_weights("metadata.json")
            found = {key: other_weights("compatibility.json") for key in compiled} | found
    return found
