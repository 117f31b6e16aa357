"""What is done for a variant, what would run, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config.session import Session
from ..config.variants import Variant
from ..npu.gates import gate
from ..results.collect import collect_variant
from ..results.journal import Journal
from ..results.read import read_if_there
from ..results.stages import CHECKS, GROUPS, SESSION, STAGES, TRAINING
from ..session.lifecycle import weights_deleted
from ..text.facts import sentence
from ..text.misses import missed_gate
from ..training.checkpoints import Checkpoint, CheckpointStore
from ..training.recipe import standing_recipe
from .cost import Conditions, Pace, disk_to_write, pace
from .dry_run import Job
from .reasons import distinct, recipe_changes, why

COLUMNS = {
    group: frozenset(stage.rule for stage in STAGES if stage.group == group and stage.scope != SESSION)
    for group in GROUPS
}
"""The columns of the plan, and the rules whose jobs are in each."""
DONE = "done"


@dataclass(frozen=True)
class Training:
    """A training that would run.

    Attributes:
        says: what it would do, in a few words.
        epochs: how many it has yet to train.
        pace: expected time of each; None when there are none.
        disk: bytes it has yet to write at most; None while unknown.
    """

    says: str
    epochs: int
    pace: Pace | None
    disk: int | None

    @property
    def seconds(self) -> float | None:
        """Expected time of all epochs; None when unknown."""
        if not self.epochs:
            return 0.0
        return None if self.pace is None or self.pace.seconds is None else self.epochs * self.pace.seconds


@dataclass(frozen=True)
class Outlook:
    """One variant: the text of each of `COLUMNS`, its training if it would run, and the reasons."""

    variant: str
    stages: Mapping[str, str]
    training: Training | None
    reasons: tuple[str, ...]


def outlook(
    session: Session, variant: Variant, jobs: Iterable[Job], recipe: Mapping[str, Any], device: str, checked: bool
) -> Outlook:
    """Return what would happen to one variant.

    Args:
        session: the session.
        variant: the variant.
        jobs: all jobs of the dry run.
        recipe: `workflow.evo.training.recipe.recipe_document` of the variant.
        device: `workflow.evo.plan.cost.device_name`.
        checked: whether environment.json is up to date with these settings.
    """
    own = {(job.rule, job.board): job for job in jobs if job.variant == variant.name}
    train = own.get(("train", None))
    summary = collect_variant(session, variant.name)
    failed = summary["stage"] if summary["status"] == "failed" else None
    training = reason = None
    if train is not None:
        missed = _missed_gate(session, variant) if ("preflight_npu", None) not in own else None
        checkpoint, notes = _checkpoint(session, variant, recipe)
        training = _training(session, variant, recipe, device, checked, checkpoint, missed)
        reason = "; ".join([f"train: {_why_trained(session, variant, train, recipe, checkpoint)}", *notes])
        if missed:  # why it would be trained does not matter then
            reason = None if failed else f"train: refused, {missed}"
    stages = {group: _stage(rules, own, failed) for group, rules in COLUMNS.items()}
    if training is not None:
        stages[TRAINING] = training.says
    reasons: list[str | None] = [_failure(failed, sentence(summary["reason"]), own)] if failed else []
    if not session.layout.variant(variant.name).folder.exists():
        reasons.append("never run")
    elif train is not None:
        reasons += [*(why(job) for job in own.values() if job.rule in COLUMNS[CHECKS]), reason]
    else:
        reasons += [why(job) for job in own.values()]
    return Outlook(variant.name, stages, training, distinct(reasons))


def _stage(rules: Collection[str], own: Mapping[tuple[str, str | None], Job], failed: str | None) -> str:
    planned = [job for (rule, _), job in own.items() if rule in rules]
    if not planned:
        return "failed" if failed in rules else DONE
    again = ", failed before" if failed in rules else ""
    return f"will run ({len(planned)}){again}" if len(planned) > 1 else f"will run{again}"


def _failure(stage: str, reason: str, own: Mapping[tuple[str, str | None], Job]) -> str:
    again = any(rule == stage for rule, _ in own)
    return f"{stage} failed before: {reason}" if again else f"{stage} has failed, and nothing changed: {reason}"


def _missed_gate(session: Session, variant: Variant) -> str | None:
    """Return the gate that a variant misses, which refuses its training."""
    check = read_if_there(session.layout.variant(variant.name).npu_check, "npu")[0]
    if check is None:
        return None
    verdict = gate(variant, session.npu, check)
    return None if verdict["passed"] or verdict["mode"] == "warn" else str(missed_gate(verdict["missed"][0]))


def _checkpoint(session: Session, variant: Variant, recipe: Mapping[str, Any]) -> tuple[Checkpoint | None, list[str]]:
    """Return the checkpoint that a training would resume from, and what is wrong with those that it cannot use."""
    layout, notes = session.layout.variant(variant.name), []
    if weights_deleted(layout):
        return None, []
    store, own = CheckpointStore(layout.checkpoints), standing_recipe(session, variant, recipe)
    for place in (store.aside(own), store):
        found = place.newest(own, lambda folder, what: notes.append(f"{folder.name} is unusable ({what})"))
        if found is not None:
            return found, notes
    return None, notes


def _training(
    session: Session,
    variant: Variant,
    recipe: Mapping[str, Any],
    device: str,
    checked: bool,
    checkpoint: Checkpoint | None,
    missed: str | None,
) -> Training:
    epochs = session.train.epochs
    if missed:
        return Training("refused by a gate", 0, None, None)
    if checkpoint is not None and checkpoint.finished:
        return Training("publishes its weights", 0, None, disk_to_write(session, variant, False))
    layout = session.layout.variant(variant.name)
    own = standing_recipe(session, variant, recipe)
    aside = CheckpointStore(layout.checkpoints).aside(own).folder
    journal = Journal(aside if aside.is_dir() else layout.checkpoints).run
    started = journal.get("recipe") == own and not weights_deleted(layout)
    batch = int(journal["batch"] if started else session.train.batch)
    conditions = Conditions(session.train.imgsz, batch, recipe["data"], device)
    expected = pace(session, variant, conditions, checkpoint, checked)
    room = disk_to_write(session, variant, checkpoint is None)
    if checkpoint is None:
        return Training(f"will run, {epochs} epochs", epochs, expected, room)
    says = f"continues at epoch {checkpoint.epoch + 1} of {epochs}"
    return Training(says, epochs - checkpoint.epoch, expected, room)


def _why_trained(
    session: Session, variant: Variant, job: Job, recipe: Mapping[str, Any], checkpoint: Checkpoint | None
) -> str:
    layout = session.layout.variant(variant.name)
    own = standing_recipe(session, variant, recipe)
    training, damage = read_if_there(layout.training, "training")
    if training is not None and training["recipe"] != own:
        changes = recipe_changes(training, recipe)
        said = f"changed: {', '.join(changes)}" if changes else "its recipe changed; training.json does not show how"
        return f"{said}; it was trained like this before" if checkpoint is not None else said
    if weights_deleted(layout):
        return f"{' and '.join(job.missing)} deleted after the session had ended, which asks for a new training"
    if training is not None or damage:
        return damage or _unchanged(job)
    journal = Journal(layout.checkpoints).run
    if not journal:
        return "never trained"
    if journal.get("recipe") != own:
        if checkpoint is not None:
            return "its recipe is an earlier one again; those checkpoints are restored"
        return "its recipe changed since it was started; its checkpoints are set aside"
    if checkpoint is None:
        return "started, but no finished epoch was saved"
    return "finished, but not published" if checkpoint.finished else f"unfinished, epoch {checkpoint.epoch} is saved"


def _unchanged(job: Job) -> str:
    """Return why a training with an unchanged recipe runs."""
    if job.missing:
        return f"{' and '.join(job.missing)} missing"
    said = why(job)
    return said.partition(": ")[2] if said else "a check before it runs again, its recipe is unchanged"
