"""Finished weights put where the rules look for them, with ``training.json`` on how they came about."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..config.session import Session
from ..config.train_arguments import with_defaults
from ..config.variants import Variant
from ..files import explain_os_errors, sha256_file, write_atomically, write_json
from ..host import environment
from ..models.checkpoint_loader import load_checkpoint, load_plain
from ..models.definition import Definition
from ..results.journal import Journal, now
from .checkpoints import STATE, Checkpoint


def publish(
    session: Session,
    variant: Variant,
    checkpoint: Checkpoint,
    *,
    definition: Definition,
    nc: int,
    recipe: str,
    document: Mapping[str, Any],
    journal: Journal,
) -> dict[str, Any]:
    """Write ``best.pt``, ``last.pt``, ``results.csv`` and, last, ``training.json``, which is returned.

    Args:
        session: the session.
        variant: the variant.
        checkpoint: the finished checkpoint.
        definition: of the network, whose activations are verified on ``best.pt``.
        nc: number of classes.
        recipe: hash of ``document``.
        document: `workflow.evo.training.recipe.recipe_document`.
        journal: of the training.

    Raises:
        DiskFull: there is no room; the checkpoint is unchanged.
        UserError: the weights do not have the activations that the level requires.
    """
    from ..models import activations

    layout = session.layout.variant(variant.name)
    state = load_plain(checkpoint.folder / STATE, ("transfer", "history", "peak_gpu_mib"))
    best, last = (load_checkpoint(checkpoint.folder / f"{name}.pt", ["epoch"]) for name in ("best", "last"))
    staged = layout.checkpoints / "publish"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    with explain_os_errors(layout.train, "publishing the weights"):
        strip(checkpoint.folder / "best.pt", staged / "best.pt", {"train_results": last.get("train_results")})
        strip(checkpoint.folder / "last.pt", staged / "last.pt")
        verified = activations.verify_checkpoint(staged / "best.pt", definition, nc)
        weights = {name: sha256_file(staged / f"{name}.pt") for name in ("best", "last")}
        for name in ("best.pt", "last.pt"):
            (staged / name).replace(layout.train / name)
        write_atomically(layout.results_csv, (checkpoint.folder / "results.csv").read_bytes())
    started, finished = journal.run["started"], now()
    training = {
        "variant": variant.name,
        "recipe": recipe,
        "arguments": {**with_defaults(dict(session.training_of(variant).arguments)), "batch": checkpoint.batch},
        "model_fingerprint": document["model"],
        "data_hash": document["data"],
        "conditions": state["conditions"],
        "weights": weights,
        "pretrained": _pretrained(session.train.pretrained, document["pretrained"], state["transfer"]),
        "epochs": state["history"],
        "best_epoch": best["epoch"] + 1,
        "started": started,
        "finished": finished,
        "seconds": _seconds_between(started, finished),
        "attempts": journal.run["attempts"],
        "precision": state["conditions"].get("precision"),
        "peak_memory": {"gpu_mib": state["peak_gpu_mib"], "ram_mib": journal.run.get("ram_mib", 0.0)},
        "incidents": journal.incidents(),
        "activations": {"verified": verified["verified"], "found": verified["found"]},
        "environment": _environment(session),
    }
    write_json(layout.training, "training", training)
    shutil.rmtree(staged)
    return training


def _pretrained(path: Any, sha256: str | None, transfer: tuple[int, int]) -> dict[str, Any] | None:
    if not path:
        return None
    return {"path": str(path), "sha256": sha256, "matched": transfer[0], "total": transfer[1]}


def _environment(session: Session) -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available() and session.may_use_gpu
    return {
        "versions": environment.versions(),
        "git": environment.git_state(),
        "device": torch.cuda.get_device_name(0) if cuda else environment.cpu_name(),
        "torch_threads": torch.get_num_threads(),
    }


def _seconds_between(start: str, end: str) -> float:
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)


def strip(source: Path, target: Path, updates: dict[str, Any] | None = None) -> None:
    """Write the deployable form of a checkpoint: EMA weights in half precision, no optimizer, atomically.

    It has the entries of Ultralytics' ``strip_optimizer``, which opens its file with the unrestricted loader.

    Args:
        updates: entries of the checkpoint to replace.

    Raises:
        UserError: ``source`` is not a checkpoint.
        OSError: the disk is full.
    """
    import torch
    from ultralytics import __version__
    from ultralytics.utils import DEFAULT_CFG_DICT, DEFAULT_CFG_KEYS

    checkpoint = load_checkpoint(source)
    network = checkpoint.get("ema") or checkpoint["model"]
    if hasattr(network, "args"):
        network.args = dict(network.args)
    if hasattr(network, "criterion"):
        network.criterion = None
    arguments = {**DEFAULT_CFG_DICT, **checkpoint.get("train_args", {})}
    emptied = dict.fromkeys(("optimizer", "best_fitness", "stopper", "ema", "updates", "scaler"))
    stripped = {
        "date": datetime.now().astimezone().isoformat(),
        "version": __version__,
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "docs": "https://docs.ultralytics.com",
        **checkpoint,
        **emptied,
        "model": network.half().requires_grad_(False),
        "epoch": -1,
        "train_args": {key: value for key, value in arguments.items() if key in DEFAULT_CFG_KEYS},
        **(updates or {}),
    }
    # torch.save to a path answers a full disk with a RuntimeError of its archive writer, without the cause
    buffer = io.BytesIO()
    torch.save(stripped, buffer)
    draft = target.with_name(f".{target.name}.tmp")
    draft.write_bytes(buffer.getbuffer())
    with draft.open("rb+") as stream:
        os.fsync(stream.fileno())
    draft.replace(target)
