"""``metadata.json``: what firmware has to know of an int8 model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files import sha256_file
from .cpu_fallback import cpu_fallback
from .export import Exported
from .flatbuffer import Tensor, io

PREPROCESSING = (
    "scale the image, up or down, to fit {imgsz} x {imgsz} pixels keeping its aspect ratio (bilinear), "
    "centre it on a canvas of value 114, RGB; "
    "x = pixel / 255; q = round(x / scale) + zero_point, clipped to -128 … 127"
)


def describe(
    path: Path,
    exported: Exported,
    *,
    variant: str,
    names: list[str],
    imgsz: int,
    reg_max: int,
    calibration: dict[str, Any],
    activations: dict[str, dict[str, int]],
) -> dict[str, Any]:
    """Return the document of ``metadata.json`` (``npu_metadata.schema.json``) without its ``schema_version``.

    Args:
        path: the int8 model.
        exported: what `export_int8` returned.
        variant: its name.
        names: class names, in the order of the class channels.
        imgsz: edge of the square input in pixels.
        reg_max: bins per box distance; 1: the channel is the distance itself.
        calibration: ``images``, ``seed`` and ``split``; the number of images that rounding used is added.
        activations: the counts that `workflow.evo.npu.int8_check.verify_activations` returned.
    """
    (image,), outputs = io(path)
    return {
        "variant": variant,
        "sha256": sha256_file(path),
        "names": names,
        "imgsz": imgsz,
        "reg_max": reg_max,
        "strides": sorted({head.stride for head in exported.heads}),
        "input": {
            **_tensor(image),
            "layout": "NHWC",
            "colour": "RGB",
            "preprocessing": PREPROCESSING.format(imgsz=imgsz),
        },
        "outputs": [
            {
                "index": index,
                **_tensor(tensor),
                "kind": head.kind,
                "feature_map": head.feature_map,
                "stride": head.stride,
            }
            for index, (tensor, head) in enumerate(zip(outputs, exported.heads, strict=True))
        ],
        "calibration": {**calibration, "rounding_images": exported.rounding_images},
        "activations": activations,
        "folded": {"leaky_relu": exported.fold.folded, "requantised": exported.fold.requantised},
        "float_operators": exported.float_operators(),
        "cpu_fallback": cpu_fallback(path),
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }
