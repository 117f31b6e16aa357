"""Check versions, devices, memory and disk against what the session needs, before anything trains."""

from __future__ import annotations

import shutil
from typing import Any

from workflow.evo.config.session import Session
from workflow.evo.data.source import dataset_names, training_images
from workflow.evo.errors import EvoError, UserError
from workflow.evo.files import write_json
from workflow.evo.host import environment, ultralytics_env
from workflow.evo.host.devices import host_devices, visible_devices
from workflow.evo.host.entry_point import entry_point
from workflow.evo.models import cost, graph
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_session
from workflow.evo.text.facts import Fact, fact, of_document
from workflow.evo.training import disk

TESTED_ULTRALYTICS = "8.4.190"
LOW_MEMORY_GIB = 4


def main() -> None:
    session = parse_session("check_environment", __doc__)
    ultralytics_env.prepare(session.root / ".ultralytics")
    _check_arguments(session)
    facts = environment.describe(session.root)
    device = _device(session, facts)
    needed = _disk_needed(session)
    if needed > facts["disk_free_gib"]:
        raise UserError(
            f"{needed:.1f} GiB of disk are needed, {facts['disk_free_gib']:.1f} GiB are free",
            where=session.root.resolve(),
            hint="free disk space, or run in another folder with `snakemake -d FOLDER`",
        )
    findings = _findings(facts, device)
    expected = _expected(session, device)
    if expected:
        forecast = fact("cpu_training", seconds=expected["hours"] * 3600, basis=of_document(expected["basis"]))
        findings.append(("info", forecast))
    document = {**facts, "disk_needed_gib": needed, "device": device, "expected": expected}
    document["findings"] = [{"severity": severity, **found.document()} for severity, found in findings]
    write_json(session.layout.environment, "environment", document)
    for severity, found in findings:
        log_line(f"{severity}: {found}")
    where = f"GPU {facts['gpus'][0]['name']}" if device == "gpu" and facts["gpus"] else facts["host"]["cpu"]
    log_line(
        f"environment: {where}, {facts['memory_gib']} GiB memory, {facts['disk_free_gib']} GiB disk free "
        f"({needed:.1f} needed), Ultralytics {facts['versions']['ultralytics']}"
    )


def _check_arguments(session: Session) -> None:
    """Let Ultralytics itself read the training arguments: the last word on types and ranges."""
    from ultralytics.cfg import get_cfg

    try:
        get_cfg(overrides=dict(session.train.arguments))
    except (SyntaxError, TypeError, ValueError) as error:
        raise UserError(f"Ultralytics refuses the training arguments: {error}", where="train") from error


def _device(session: Session, facts: dict[str, Any]) -> str:
    import torch

    wanted = str(session.train.device)
    if wanted in {"cpu", "mps"}:
        if wanted == "mps" and not torch.backends.mps.is_available():
            raise UserError(
                "this host has no MPS device", where="train.device", hint="leave it out, or set it to 'cpu'"
            )
        return wanted
    if torch.cuda.is_available():
        return "gpu"
    if wanted != "None":
        raise UserError(
            f"torch sees no GPU, but device {wanted} is asked for",
            where="train.device",
            hint="check `nvidia-smi`, leave 'device' out, or set it to 'cpu'",
        )
    if facts["gpus"] and visible_devices(host_devices(), count_only=True):
        raise EvoError(
            f"{facts['gpus'][0]['name']} is there (driver {facts['gpus'][0]['driver']}) but torch cannot use it",
            where="check_environment",
            hint="update the driver, or set train.device to 'cpu'",
        )
    return "cpu"


def _disk_needed(session: Session) -> float:
    """Return the estimated need in GiB."""
    nc = len(dataset_names(session))
    total = 0.0
    for variant in session.variants:
        try:
            _, network = graph.load(variant.yaml, nc)
        except UserError:
            continue  # validate_model says what is wrong with it; it will train nothing
        total += disk.of_variant(cost.total(network).weights)
    if session.train.cache == "disk":
        total += training_images(session) * session.train.imgsz**2 * 3
    return round(total / environment.GIB, 2)


def _expected(session: Session, device: str) -> dict[str, Any] | None:
    if device != "cpu":
        return None
    from workflow.evo.training.speed import time_steps

    for variant in session.variants:
        try:
            definition, _ = graph.load(variant.yaml, len(dataset_names(session)))
        except UserError:
            continue
        log_line(f"no GPU: timing a few training steps of {variant.name} …")
        batch = min(session.train.batch, 4)
        timed = time_steps(definition, len(dataset_names(session)), session.train.imgsz, batch)
        images = training_images(session) * session.train.epochs * len(session.variants)
        seconds = timed.seconds_per_image
        basis = fact(
            "timed_steps",
            steps=timed.steps,
            variant=variant.name,
            batch=timed.batch,
            imgsz=timed.imgsz,
            seconds=seconds,
            images=images,
            variants=len(session.variants),
        )
        return {
            "hours": round(images * seconds / 3600, 2),
            "basis": basis.document(),
            "seconds_per_image": round(seconds, 5),
        }
    return None


def _findings(facts: dict[str, Any], device: str) -> list[tuple[str, Fact]]:
    """Return what is worth knowing of this host, each with its severity."""
    findings = []
    version = facts["versions"]["ultralytics"]
    if version != TESTED_ULTRALYTICS:
        findings.append(("warning", fact("ultralytics_version", found=version, tested=TESTED_ULTRALYTICS)))
    if facts["memory_gib"] < LOW_MEMORY_GIB:
        findings.append(("warning", fact("low_memory", gib=facts["memory_gib"])))
    if device == "gpu" and facts["gpus"] and facts["gpus"][0]["memory_gib"] < LOW_MEMORY_GIB:
        findings.append(("warning", fact("small_gpu", gib=facts["gpus"][0]["memory_gib"])))
    if facts["git"]["dirty"]:
        findings.append(("info", fact("dirty_checkout")))
    if shutil.which("git") is None:
        findings.append(("info", fact("no_git")))
    return findings


if __name__ == "__main__":
    entry_point(main)
