"""Why a job runs, in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..results.stages import BY_RULE
from .dry_run import Job

DERIVED = "Input files updated by another job"
INTERRUPTED = ("Incomplete output files", "Forced execution")
"""Incomplete outputs are forced (``rerun-incomplete`` of the default profile); in a plan nothing else is."""
MAX_CHANGES = 6
"""Changed settings that are named; the others are counted."""


def why(job: Job) -> str | None:
    """Return why a job runs; None if it follows from another job, whatever else would make it run."""
    if DERIVED in job.causes:
        return None
    reasons = []
    for cause, detail in job.causes.items():
        if cause == "Missing output files":
            reasons.append(f"{', '.join(job.missing)} missing")
        elif cause == "Params have changed since last execution":
            reasons.append(BY_RULE[job.rule].params if job.rule in BY_RULE else f"{cause}: {detail}")
        elif cause == "Set of input files has changed since last execution":
            reasons.append("its input files are other ones than before")
        elif cause in INTERRUPTED:
            reasons.append("the last run was interrupted during it")
        else:
            reasons.append(f"Snakemake says: {f'{cause}: {detail}' if detail else cause}")
    if not job.causes:
        reasons.append(f"Snakemake says: {job.reason}")
    name = f"{job.rule} for {job.board}" if job.board else job.rule
    return f"{name}: {'; '.join(reasons)}" if reasons else None


def recipe_changes(training: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """Return what changed since a training: settings with both values, then model, dataset, weights and libraries.

    Args:
        training: ``training.json``.
        recipe: `workflow.evo.training.recipe.recipe_document` of the configuration now.
    """
    # training.json has the batch at the end of the training, which may have been halved for lack of memory.
    halved = [incident["batch_before"] for incident in training["incidents"] if "batch_before" in incident]
    before = {**training["arguments"], **({"batch": halved[0]} if halved else {})}
    now = json.loads(json.dumps(recipe["arguments"]))
    changed = [name for name in now if before.get(name) != now[name]]
    reasons = [f"{name} {_value(before.get(name))} → {_value(now[name])}" for name in changed]
    if len(reasons) > MAX_CHANGES:
        reasons = [*reasons[:MAX_CHANGES], f"{len(reasons) - MAX_CHANGES} more settings"]
    if training["model_fingerprint"] != recipe["model"]:
        reasons.append("the network in the model file")
    if training["data_hash"] != recipe["data"]:
        reasons.append("the dataset")
    if (training["pretrained"] or {}).get("sha256") != recipe["pretrained"]:
        reasons.append("the pretrained weights")
    for package in ("ultralytics", "torch"):
        version = training["environment"]["versions"].get(package)
        if version != recipe[package]:
            reasons.append(f"{package} {_value(version)} → {recipe[package]}")
    return reasons


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def distinct(sentences: Iterable[str | None]) -> tuple[str, ...]:
    """Return the sentences without None and repetitions, in order."""
    return tuple(dict.fromkeys(sentence for sentence in sentences if sentence))
