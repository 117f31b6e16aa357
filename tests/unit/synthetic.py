"""A session's results folder without any training: valid documents with the figures a test asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.evo.config.session import Goal, NpuSettings, Session, TrainSettings
from workflow.evo.config.variants import LEVEL_SCOPES, PARTS, Variant
from workflow.evo.evaluation.int8 import difference
from workflow.evo.files import sha256_json, write_json
from workflow.evo.npu.int8_check import expected_activations as expected_operators
from workflow.evo.text.facts import fact

CLASSES = ("red cell", "white cell", "platelet")
ACTIVATIONS = {"relu": "ReLU", "leaky": "LeakyReLU(0.1)", "silu": "SiLU", None: "SiLU"}
OPERATORS = {"ReLU": "relu", "LeakyReLU(0.1)": "leaky_relu", "SiLU": "silu"}
NPU = NpuSettings(("preset-u55-256",), "fail", None, None, 128, "reference", None, 600)
SITES = {"backbone": 27, "neck": 18, "detect": 12}


def quoted(text: str) -> dict[str, Any]:
    """Return a fact that says ``text``."""
    return fact("quoted", text=text).document()


def make_session(
    folder: Path,
    variants: Iterable[Variant] | None = None,
    name: str = "v3",
    train: Mapping[str, Any] | None = None,
    npu: NpuSettings = NPU,
    language: str = "en",
    replicates: int = 1,
    goal: Mapping[str, Any] | None = None,
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
    settings = {"epochs": 4, "imgsz": 320, "batch": 16, "nbs": 32, "workers": 8, "seed": 0, "pretrained": False}
    settings |= train or {}
    document = {"session": name, "train": settings}
    root = folder / "results" / name
    digits = {"train": 8, "val": 4, "test": 4, "size": 64, "seed": 0}
    chosen = TrainSettings.of(settings)
    every = [one for variant in variants for one in variant.replicates(replicates)]
    limits = dict.fromkeys(("min_map50_95", "max_latency_ms", "max_sram_kib", "max_flash_kib"))
    ship = Goal(**{"objective": "accuracy", **limits, "board": npu.boards[0], **(goal or {})})
    return Session(
        name,
        root,
        None,
        digits,
        tuple(every),
        chosen,
        ("val", "test"),
        npu,
        ship,
        language,
        document,
        replicates=replicates,
    )


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
        "expected": {"hours": 41.5, "basis": quoted("a few timed steps")},
        "findings": [{"severity": "warning", **quoted("no GPU: training runs on the CPU")}],
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
    """Write check/model.json, check/activations.json, check/npu.json and check/memory.json."""
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
        "notes": [quoted(note) for note in notes],
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
    write_preflight(session, name)
    nothing = dict.fromkeys(("device", "total_mib", "free_mib", "objects", "fitting_batch"))
    memory = {"variant": name, "recipe": digest("recipe", name), "skipped": "no GPU", **nothing, "tried": []}
    write_json(layout.memory, "memory", memory)


def expected_activations(variant: Variant) -> dict[str, str]:
    """Return the activation of each part of a network, as its level promises."""
    scope = LEVEL_SCOPES.get(variant.level, ())
    return {part: ACTIVATIONS[variant.activation] if part in scope else "SiLU" for part in PARTS}


def write_training(session: Session, name: str, **changes: Any) -> dict[str, Any]:
    """Write train/training.json, results.csv and a stand-in for best.pt; ``changes`` replace keys of the document."""
    layout = session.layout.variant(name)
    epochs = session.train.epochs
    expected = expected_activations(session.variant(name))
    document = {
        "variant": name,
        "recipe": digest("recipe", name),
        "arguments": {**session.training_of(session.variant(name)).arguments, "optimizer": "MuSGD"},
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


def compatibility(
    board: str,
    source: str,
    cpu: Iterable[Mapping[str, Any]] = (),
    *,
    nothing: bool = False,
    cycles: int = 2_134_502,
    sram_kib: float = 118.3125,
    flash_kib: float = 1643.546875,
    bound: str = "npu",
) -> dict[str, Any]:
    """Return compatibility.json without its schema_version, for a board with 4,096 KiB of SRAM and 4,572 of flash.

    Args:
        board: its name.
        source: SHA-256 of the model before Vela.
        cpu: what stays on the CPU, of 179 operators.
        nothing: whether nothing at all runs on the NPU.
        cycles: Vela's estimate.
        sram_kib: what Vela allocates.
        flash_kib: size of the compiled file.
        bound: what all cycles wait for.
    """
    cpu = list(cpu)
    left = 179 if nothing else len(cpu)
    memory = {"sram": (None if nothing else sram_kib, 4096), "flash": (flash_kib, 4572), "dram": (0.0, None)}
    return {
        "board": board,
        "accelerator": board,
        "ops_percent": 100 * (1 - left / 179),
        "macs_percent": 0.0 if nothing else 100.0,
        "operators": {"source": 179, "cpu": left},
        "macs": {"source": 118_352_896, "cpu": 118_352_896 if nothing else 0},
        "npu_blobs": 0 if nothing else 1 + len(cpu),
        "cpu_operators": cpu,
        "estimate": {
            "by": "Vela 5.2.0",
            "clock_mhz": 500.0,
            "system_config": "Ethos_U55_High_End_Embedded",
            "memory_mode": "Shared_Sram",
            "cycles": None if nothing else cycles,
            "latency_ms": None if nothing else cycles / 500e3,
            "covers_all_operators": not left,
            "assumed": [],
            "bound_by": None if nothing else {**dict.fromkeys(("npu", "sram", "dram", "flash"), 0), bound: cycles},
        },
        "memory": {
            kind: {
                "used_kib": used,
                "budget_kib": budget,
                "fits": None if used is None or budget is None else used <= budget,
            }
            for kind, (used, budget) in memory.items()
        },
        "sha256": {"source": source, "compiled": digest("compiled", board, source)},
    }


def write_preflight(
    session: Session,
    name: str,
    boards: Iterable[str] | None = None,
    failed: Mapping[str, str] | None = None,
    **facts: Any,
):
    """Write check/npu.json for the session's boards, or for others; ``facts`` are of `compatibility`."""
    source = digest("untrained", name)
    document = {
        "variant": name,
        "nc": len(CLASSES),
        "imgsz": session.train.imgsz,
        "operators": 179,
        "macs": 118_352_896,
        "activations": int8_activations(session.variant(name)),
        "float_operators": [],
        "boards": {board: compatibility(board, source, **facts) for board in boards or session.npu.boards},
        "failed": {board: quoted(reason) for board, reason in (failed or {}).items()},
    }
    write_json(session.layout.variant(name).npu_check, "npu", document)


def int8_activations(variant: Variant) -> dict[str, dict[str, int]]:
    """Return the activation operators of an int8 model, found as its level promises."""
    kinds = expected_activations(variant)
    operators = expected_operators({part: {OPERATORS[kinds[part]]: SITES[part]} for part in PARTS})
    return {"expected": operators, "found": dict(operators)}


def write_npu(
    session: Session,
    name: str,
    val: Mapping[str, Any],
    test: Mapping[str, Any] | None,
    weights: str,
    *,
    floating: Mapping[str, Any] | None = None,
    model: str | None = None,
    names: Iterable[str] = CLASSES,
    float_operators: Iterable[Mapping[str, Any]] = (),
    boards: Mapping[str, Mapping[str, Any]] | None = None,
):
    """Write what the NPU stages leave of a trained variant.

    Args:
        session: the session.
        name: the variant.
        val: accuracy in int8 on val.
        test: the same on test; None without such a split.
        weights: SHA-256 of best.pt.
        floating: accuracy of best.pt on the same input and every split; that in int8 when None.
        model: SHA-256 of the int8 model.
        names: class names.
        float_operators: operators of metadata.json that still compute in floating point.
        boards: what is special, per board, for `compatibility`.
    """
    variant, layout = session.variant(name), session.layout.variant(name)
    model = model or digest("int8", name)
    activations = int8_activations(variant)
    tensor = {"name": "x", "shape": [1, 320, 320, 3], "dtype": "int8", "scale": 1 / 255, "zero_point": -128}
    metadata = {
        "variant": name,
        "sha256": model,
        "names": list(names),
        "imgsz": 320,
        "reg_max": 1,
        "strides": [8],
        "input": {**tensor, "layout": "NHWC", "colour": "RGB", "preprocessing": "letterbox"},
        "outputs": [
            {**tensor, "index": index, "kind": kind, "feature_map": "P3", "stride": 8}
            for index, kind in enumerate(("box", "class"))
        ],
        "calibration": {"images": 128, "seed": 0, "split": "train", "rounding_images": 32},
        "activations": activations,
        "folded": {"leaky_relu": activations["found"].get("LEAKY_RELU", 0), "requantised": 0},
        "float_operators": list(float_operators),
        "cpu_fallback": {"arena_kib": 640.5, "by": "tflite-micro 1.0"},
    }
    write_json(layout.npu_metadata, "npu_metadata", metadata)
    for board in session.npu.boards:
        facts = compatibility(board, model, **(boards or {}).get(board, {}))
        write_json(layout.board(board).compatibility, "compatibility", facts)
    splits = {"val": val, **({"test": test} if test else {})}
    references = {split: floating or metrics for split, metrics in splits.items()}
    setting = {"imgsz": 320, "batch": 16, "device": "Test CPU, 2 interpreters", "versions": {"ultralytics": "8.4.190"}}
    document = {
        "evaluation": {"weights_sha256": model, **setting, "kernels": "reference"},
        **splits,
        "float": {"evaluation": {"weights_sha256": weights, **setting, "device": "Test CPU, 2 threads"}, **references},
        "difference": {split: difference(splits[split], references[split]) for split in splits},
    }
    write_json(layout.metrics_int8, "metrics_int8", document)
    for board in session.npu.boards:
        layout.board(board).deploy.mkdir(parents=True, exist_ok=True)


def write_curves(session: Session, names: Iterable[str] = CLASSES, images: int = 2):
    """Write evaluate/curves.json of every variant, and the images that it has boxes on."""
    from PIL import Image

    names, folder = list(names), session.layout.data / "images" / "val"
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(images):
        Image.new("RGB", (64, 48), "grey").save(folder / f"{index}.png")
    box = {"class": 0, "box": [0.1, 0.2, 0.5, 0.9]}
    split = {
        "classes": names,
        "recall": [0.0, 0.5, 1.0],
        "precision": {name: [1.0, 0.8, 0.1] for name in names},
        "confusion": [
            {"predicted": index, "true": true, "count": 7 + index}
            for index in range(len(names))
            for true in (index, len(names))
        ],
        "samples": [
            {
                "image": f"images/val/{index}.png",
                "width": 64,
                "height": 48,
                "labels": [box],
                "predictions": [{**box, "confidence": 0.75}],
            }
            for index in range(images)
        ],
    }
    for name in session.variant_names:
        document = {"weights_sha256": digest("best", name), "val": split}
        write_json(session.layout.variant(name).curves, "curves", document)


def write_done(
    session: Session, name: str, map50_95: float, *, names: Iterable[str] = CLASSES, test: bool = True, **changes
):
    """Write everything that a finished variant leaves. Its int8 model loses 0.005 of mAP50-95."""
    names = list(names)
    write_checks(session, name)
    best = write_training(session, name, **changes)["weights"]["best"]
    splits = {"val": map50_95, **({"test": max(map50_95 - 0.01, 0)} if test else {})}
    floating = {split: split_metrics(value, names) for split, value in splits.items()}
    integers = {split: split_metrics(max(value - 0.005, 0), names) for split, value in splits.items()}
    write_metrics(session, name, floating["val"], floating.get("test"), best)
    write_npu(session, name, integers["val"], integers.get("test"), best, floating=floating["val"], names=names)


GOOD = (0.30, 0.42, 0.35, 0.36, 0.37, 0.38)
"""Values of mAP50-95 of six variants."""


def finish(session: Session, values: Iterable[float | None] = GOOD, **changes: Any) -> None:
    """Write the results of a session: the variant is missing where its value is None."""
    write_shared(session)
    for name, value in zip(session.variant_names, values, strict=True):
        if value is not None:
            write_done(session, name, value, **changes)
