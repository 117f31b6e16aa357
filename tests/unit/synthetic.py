"""A session's results folder without any training: valid documents with the figures a test asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.evo.config import NpuSettings, Session
from workflow.evo.files import sha256_json, write_json
from workflow.evo.variants import LEVEL_SCOPES, PARTS, Variant

CLASSES = ("red cell", "white cell", "platelet")
ACTIVATIONS = {"relu": "ReLU", "leaky": "LeakyReLU(0.1)", "silu": "SiLU", None: "SiLU"}
OPERATORS = {"ReLU": "relu", "LeakyReLU(0.1)": "leaky_relu", "SiLU": "silu"}
NPU = NpuSettings(("ethos-u55-256",), "fail", None, None, 128, 600)
SITES = {"backbone": 27, "neck": 18, "detect": 12}


def make_session(
    folder: Path, variants: Iterable[Variant] | None = None, name: str = "v3", train: Mapping[str, Any] | None = None
) -> Session:
    """Return a session that lies below ``folder``; its variants need no model files."""
    if variants is None:
        variants = [
            Variant(
                f"level{level}_{activation}", Path(f"/models/npu_level{level}_{activation}.yaml"), level, activation
            )
            for level in (2, 3, 4)
            for activation in ("relu", "leaky")
        ]
    settings = {"epochs": 4, "imgsz": 320, "batch": 16, "nbs": 32, "seed": 0, **(train or {})}
    document = {"session": name, "train": settings}
    root = folder / "results" / name
    return Session(name, root, None, {}, tuple(variants), settings, ("val", "test"), NPU, document)


def digest(*words: object) -> str:
    """Return a stand-in for a SHA-256 that is the same for the same words."""
    return sha256_json([str(word) for word in words])


def write_shared(session: Session, names: Iterable[str] = CLASSES, findings: Iterable[dict] = (), test: bool = True):
    """Write environment.json and data/fingerprint.json."""
    names = list(names)
    pixels = {"min": 480, "median": 640, "max": 640}
    splits = {
        split: {
            "images": images,
            "labelled": images,
            "instances": 3 * images * len(names),
            "per_class": [3 * images] * len(names),
            "width": pixels,
            "height": pixels,
        }
        for split, images in (("train", 1205), ("val", 87), ("test", 72))
        if test or split != "test"
    }
    write_json(
        session.layout.fingerprint,
        "fingerprint",
        {"content_hash": digest("data"), "names": names, "splits": splits, "findings": list(findings)},
    )
    environment = {
        "versions": {"python": "3.11.9", "torch": "2.14.1", "ultralytics": "8.4.190"},
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "branch": "main", "dirty": False},
        "host": {"system": "Linux", "cpu": "Test CPU", "cpus": 2},
        "gpus": [{"index": 0, "uuid": "GPU-0", "name": "Test GPU", "memory_gib": 24.0, "driver": "550.1"}],
        "memory_gib": 23.4,
        "disk_free_gib": 100.5,
        "disk_needed_gib": 3.1,
        "device": "cpu",
        "expected": {"hours": 41.5, "basis": "a few timed steps"},
        "findings": [{"severity": "warning", "code": "no_gpu", "message": "no GPU: training runs on the CPU"}],
    }
    write_json(session.layout.environment, "environment", environment)


def split_metrics(map50_95: float | None, names: Iterable[str] = CLASSES, absent: Iterable[str] = ()) -> dict[str, Any]:
    """Return one split of metrics.json; classes of ``absent`` have no object in it."""
    none = dict.fromkeys(("map50", "map50_95", "precision", "recall"))
    mean = dict(none)
    if map50_95 is not None:
        mean = {"map50": min(1, map50_95 * 1.6), "map50_95": map50_95, "precision": 0.81, "recall": map50_95 + 0.2}
    per_class = {
        name: {**none, "images": 0, "instances": 0} if name in absent else {**mean, "images": 40, "instances": 1234}
        for name in names
    }
    return {
        **mean,
        "confidence": None if map50_95 is None else 0.35,
        "images": 87,
        "instances": sum(entry["instances"] for entry in per_class.values()),
        "per_class": per_class,
        "speed_ms": {"preprocess": 0.4, "inference": 12.34, "postprocess": 0.8},
        "curves": {"recall": [0, 1], "precision": [1, 0], "confidence": [0, 1], "f1": [0, 0]},
    }


def write_checks(session: Session, name: str, parameters: int | None = None, notes: Iterable[str] = ()):
    """Write check/model.json and check/activations.json."""
    variant = session.variant(name)
    layout = session.layout.variant(name)
    scope = list(LEVEL_SCOPES.get(variant.level, ()))
    parameters = parameters or 1_600_000 + 10_000 * (variant.level or 0)
    model = {
        "name": name,
        "file": variant.yaml.name,
        "level": variant.level,
        "activation": ACTIVATIONS[variant.activation],
        "scope": scope,
        "nc": len(CLASSES),
        "file_nc": 80,
        "layers": 23,
        "parameters": parameters,
        "parts": {part: {"layers": 7, "parameters": parameters // 3} for part in PARTS},
        "strides": [8, 16, 32],
        "definition": {
            "scale": "n",
            "depth_multiple": 0.33,
            "width_multiple": 0.25,
            "max_channels": 512,
            "reg_max": 1,
            "end2end": False,
            "layers": [],
        },
        "fingerprint": digest("network", name),
        "notes": list(notes),
    }
    write_json(layout.model, "model", model)
    expected = expected_activations(variant)
    activations = {
        "expected": expected,
        "found": {part: {expected[part]: SITES[part]} for part in PARTS},
        "executed": {part: {OPERATORS[expected[part]]: SITES[part]} for part in PARTS},
        "conv_default": "SiLU",
        "verified": True,
    }
    write_json(layout.activations, "activations", activations)


def expected_activations(variant: Variant) -> dict[str, str]:
    """Return the activation of each part of a network, as its level promises."""
    scope = LEVEL_SCOPES.get(variant.level, ())
    return {part: ACTIVATIONS[variant.activation] if part in scope else "SiLU" for part in PARTS}


def write_training(session: Session, name: str, **changes: Any) -> dict[str, Any]:
    """Write train/training.json, results.csv and a stand-in for best.pt; ``changes`` replace keys of the document."""
    layout = session.layout.variant(name)
    epochs = int(session.train["epochs"])
    expected = expected_activations(session.variant(name))
    document = {
        "variant": name,
        "recipe": digest("recipe", name),
        "arguments": {**session.train, "optimizer": "MuSGD"},
        "model_fingerprint": digest("network", name),
        "data_hash": digest("data"),
        "weights": {"best": digest("best", name), "last": digest("last", name)},
        "pretrained": None,
        "epochs": [{"epoch": i + 1, "seconds": 61.5, "batch": 16} for i in range(epochs)],
        "best_epoch": epochs,
        "started": "2026-03-01T08:00:00+01:00",
        "finished": "2026-03-01T09:32:00+01:00",
        "seconds": 5520.0,
        "attempts": 1,
        "peak_memory": {"gpu_mib": None, "ram_mib": 1843.2},
        "incidents": [],
        "activations": {"verified": True, "found": {part: {kind: SITES[part]} for part, kind in expected.items()}},
        "environment": {"device": "Test CPU", "versions": {"torch": "2.14.1"}},
        **changes,
    }
    write_json(layout.training, "training", document)
    write_history(layout.results_csv, epochs)
    return document


def write_history(path: Path, epochs: int, scale: float = 1.0):
    """Write an Ultralytics results.csv whose curves rise and fall."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,metrics/precision(B),metrics/recall(B),"
        "metrics/mAP50(B),metrics/mAP50-95(B),val/box_loss,val/cls_loss,val/dfl_loss,lr/pg0"
    ]
    for epoch in range(1, epochs + 1):
        rise = scale * (1 - math.exp(-3 * epoch / epochs))
        lines.append(
            f"{epoch},{epoch},{2 - rise},{3 - 2 * rise},1.1,{rise:.4f},{rise:.4f},{rise:.4f},{rise / 2:.4f},1,1,1,0.01"
        )
    path.write_text("\n".join(lines) + "\n")


def write_metrics(session: Session, name: str, val: Mapping[str, Any], test: Mapping[str, Any] | None, weights: str):
    """Write evaluate/metrics.json."""
    document = {
        "evaluation": {
            "weights_sha256": weights,
            "imgsz": 320,
            "batch": 16,
            "device": "Test CPU, 2 threads",
            "versions": {"torch": "2.14.1", "ultralytics": "8.4.190"},
        },
        "val": val,
        **({"test": test} if test else {}),
    }
    write_json(session.layout.variant(name).metrics, "metrics", document)


def write_pictures(session: Session, name: str, edge: int = 1920):
    """Write mosaics of noise, of ``edge`` pixels, which no codec can shrink much."""
    from PIL import Image

    folder = session.layout.variant(name).plots / "val"
    folder.mkdir(parents=True, exist_ok=True)
    picture = Image.effect_noise((edge, edge), 80).convert("RGB")
    for file in ("val_batch0_labels.jpg", "val_batch0_pred.jpg"):
        picture.save(folder / file, quality=90)
    (folder / "BoxPR_curve.png").write_bytes(b"not opened by any report")


def write_done(
    session: Session, name: str, map50_95: float, *, names: Iterable[str] = CLASSES, test: bool = True, **changes
):
    """Write everything that a finished variant leaves."""
    names = list(names)
    write_checks(session, name)
    training = write_training(session, name, **changes)
    second = split_metrics(max(map50_95 - 0.01, 0), names) if test else None
    write_metrics(session, name, split_metrics(map50_95, names), second, training["weights"]["best"])
