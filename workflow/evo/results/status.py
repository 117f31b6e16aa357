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
from .stages import BEFORE_TRAINING, log_file, shared_stages

Stale = Mapping[tuple[str, str | None], Fact]
"""By rule and board: why a result does not count."""


def status(session: Session, name: str, results: Sequence[Result], stale: Stale) -> tuple[str, str, Fact | None]:
    """Return ``(status, stage, reason)`` of a variant.

    ``status`` is ``done``; ``failed`` when a stage left an error or its result contradicts another; ``missing`` when a
    stage has not run or not finished. ``stage`` is then the first stage without a good result, ``reason`` says why.
    """
    for result in results:
        if result.damage:
            return "failed", result.stage.rule, result.at(fact("quoted", text=result.damage))
    for result in results:
        contradiction = _broken_promise(result) or stale.get(result.key)
        if contradiction:
            return "failed", result.stage.rule, result.at(contradiction)
    absent = [result for result in results if not result.done]
    trained = any(result.stage.rule == "train" and result.done for result in results)
    if not absent:
        return "done", results[-1].stage.rule, None
    # What follows the training runs side by side, and so does the memory check with the other checks.
    memory = [result for result in absent if result.stage.rule == "check_memory"]
    candidates = absent if trained else [*absent[:1], *memory]
    for result in candidates:
        if error := _logged(session, result.stage.rule, name, result.board):
            return "failed", result.stage.rule, result.at(fact("quoted", text=error))
    # A variant that was trained before there was a preflight does not wait for it.
    later = (result for result in absent if not (trained and result.stage.rule in BEFORE_TRAINING))
    first = next((result for result in later if result not in memory), absent[0])
    if first.stage.rule in {"preflight_npu", "train"}:
        for stage in shared_stages(session):
            if stage.rule in BEFORE_TRAINING and (error := _logged(session, stage.rule)):
                return "failed", stage.rule, fact("quoted", text=error)
    if first.stage.rule == "train":
        return "missing", "train", _unfinished(session.layout.variant(name))
    return "missing", first.stage.rule, first.at(fact("not_run_yet"))


def _logged(session: Session, rule: str, variant: str | None = None, board: str | None = None) -> str | None:
    return logged_error(log_file(session.layout.root, rule, variant, board))


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
    """Return what a result says against itself; its figures are shown nevertheless."""
    if result.document is None:
        return None
    if result.stage.rule == "train" and not result.document["activations"]["verified"]:
        found = result.document["activations"]["found"]
        return fact("other_activations", parts=[fact("part_has", part=part, sites=found[part]) for part in found])
    if result.stage.rule == "evaluate_int8" and (lost := lost_classes(result.document)):
        return fact("classes_lost", classes=lost)
    return None


def stale_results(results: Sequence[Result]) -> dict[tuple[str, str | None], Fact]:
    """Return, by rule and board, the results that are of another file than the one there is. None of them is shown."""
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
        if model:  # it was evaluated beside those weights: it is made of them, and so is what was compiled of it
            found["export_int8", None] = other_weights("metadata.json")
            found = {key: other_weights("compatibility.json") for key in compiled} | found
    return found
