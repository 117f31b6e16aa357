"""Stand-ins for the files of ``{variant}/npu/``, for tests."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.unit.litert_models import Builder
from tests.unit.synthetic import CLASSES, split_metrics
from workflow.evo.deploy.bundle import TEMPLATES
from workflow.evo.evaluation.int8 import difference


def decoder() -> ModuleType:
    """Return the bundle's decode.py as a module."""
    spec = importlib.util.spec_from_file_location("bundled_decode", TEMPLATES / "decode.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def metadata(
    names: Sequence[str] = CLASSES,
    reg_max: int = 1,
    imgsz: int = 64,
    sha256: str = "0" * 64,
    scale: float = 0.05,
    zero_point: int = 3,
) -> dict[str, Any]:
    """Return a metadata.json of two feature maps, whose outputs are not in the order of the maps."""
    outputs = []
    for kind, stride in (("class", 16), ("box", 8), ("class", 8), ("box", 16)):
        cells = imgsz // stride
        index = len(outputs)
        outputs.append(
            {
                "index": index,
                "name": f"output_{index}",
                "shape": [1, cells, cells, 4 * reg_max if kind == "box" else len(names)],
                "dtype": "int8",
                "scale": float(np.float32(scale * (1 + index / 10))),
                "zero_point": zero_point - index,
                "kind": kind,
                "feature_map": {8: "P3", 16: "P4"}[stride],
                "stride": stride,
            }
        )
    return {
        "schema_version": 4,
        "variant": "level4_relu",
        "sha256": sha256,
        "names": list(names),
        "imgsz": imgsz,
        "reg_max": reg_max,
        "strides": [8, 16],
        "input": {
            "name": "image",
            "shape": [1, imgsz, imgsz, 3],
            "dtype": "int8",
            "scale": float(np.float32(1 / 255)),
            "zero_point": -128,
            "layout": "NHWC",
            "colour": "RGB",
            "preprocessing": "letterbox",
        },
        "outputs": outputs,
        "calibration": {"images": 64, "seed": 0, "split": "train", "rounding_images": 32},
        "activations": {"expected": {"RELU": 57}, "found": {"RELU": 57}},
        "folded": {"leaky_relu": 0, "requantised": 0},
        "float_operators": [],
        "cpu_fallback": {"arena_kib": None, "by": None},
    }


def raw_outputs(document: dict[str, Any], seed: int, low: int = -128, high: int = 128) -> list[np.ndarray]:
    """Return random raw outputs of the model that ``document`` describes."""
    random = np.random.default_rng(seed)
    return [random.integers(low, high, output["shape"]).astype(np.int8) for output in document["outputs"]]


def save_model(path: Path, document: dict[str, Any]) -> Path:
    """Save a model without operators that has the inputs and outputs of ``document``."""
    builder, ports = Builder(), [document["input"], *document["outputs"]]
    for port in ports:
        builder.tensor(port["name"], port["shape"], scale=port["scale"], zero=port["zero_point"])
    names = [port["name"] for port in ports]
    path.parent.mkdir(parents=True, exist_ok=True)
    return builder.save(path, names[:1], names[1:])


def metrics_int8(
    model_sha256: str, weights_sha256: str, names: Iterable[str] = CLASSES, map50_95: tuple[float, float] = (0.4, 0.41)
) -> dict[str, Any]:
    """Return a metrics_int8.json of val with these map50_95 in int8 and float, without its ``schema_version``."""
    names = list(names)
    setting = {"imgsz": 64, "batch": 16, "device": "Test CPU, 2 interpreters", "versions": {"torch": "2.14.1"}}
    integers, floats = (split_metrics(value, names) for value in map50_95)
    return {
        "evaluation": {"weights_sha256": model_sha256, **setting, "kernels": "reference"},
        "val": integers,
        "float": {"evaluation": {"weights_sha256": weights_sha256, **setting}, "val": floats},
        "difference": {"val": difference(integers, floats)},
    }


def compatibility(source_sha256: str, compiled_sha256: str, **changes: Any) -> dict[str, Any]:
    """Return a compatibility.json without its ``schema_version``; ``changes`` replace keys."""
    return {
        "board": "preset-u55-256",
        "accelerator": "ethos-u55-256",
        "ops_percent": 100.0,
        "macs_percent": 100.0,
        "operators": {"source": 104, "cpu": 0},
        "macs": {"source": 118_000_000, "cpu": 0},
        "npu_blobs": 1,
        "cpu_operators": [],
        "estimate": {
            "by": "Vela 5.2.0",
            "clock_mhz": 500,
            "system_config": "Ethos_U55_High_End_Embedded",
            "memory_mode": "Shared_Sram",
            "cycles": 2_451_917,
            "latency_ms": 4.903834,
            "covers_all_operators": True,
            "assumed": [],
            "bound_by": {"npu": 2_000_000, "sram": 451_917, "dram": 0, "flash": 0},
        },
        "memory": {
            "sram": {"used_kib": 118.25, "budget_kib": 2048, "fits": True},
            "flash": {"used_kib": 1883.7, "budget_kib": 32768, "fits": True},
            "dram": {"used_kib": 0, "budget_kib": None, "fits": None},
        },
        "sha256": {"source": source_sha256, "compiled": compiled_sha256},
        **changes,
    }
