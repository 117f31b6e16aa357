"""The C header of a deploy bundle: scales, zero points, grids and class names, for firmware without a JSON parser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..evaluation.decode import ordered


def c_string(text: str) -> str:
    r"""Return ``text`` as a C string literal in UTF-8.

    Bytes that are not printable ASCII become octal escapes of three digits, which end by themselves (those of ``\x`` do
    not); question marks are escaped because two of them may start a trigraph in C11 (5.2.1.1).
    """
    special = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    return '"' + "".join(special.get(b, chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in text.encode()) + '"'


def c_float(value: float) -> str:
    """Return the shortest C literal that is exactly ``value`` as a 32-bit float."""
    import numpy as np

    text = str(np.float32(value))
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def header_values(metadata: Mapping[str, Any], compiled_sha256: str) -> dict[str, Any]:
    """Return the values of the template ``model.h.j2``: C literals only, so that no class name can end its string.

    Args:
        metadata: ``metadata.json``.
        compiled_sha256: of the compiled model.
    """
    boxes, classes = (ordered(metadata["outputs"], kind) for kind in ("box", "class"))
    maps = [
        {
            "name": box["feature_map"],
            "stride": box["stride"],
            "height": box["shape"][1],
            "width": box["shape"][2],
            "box": [box["index"], c_float(box["scale"]), box["zero_point"]],
            "classes": [scores["index"], c_float(scores["scale"]), scores["zero_point"]],
        }
        for box, scores in zip(boxes, classes, strict=True)
    ]
    _, height, width, channels = metadata["input"]["shape"]
    return {
        "variant": c_string(metadata["variant"]),
        "int8_sha256": c_string(metadata["sha256"]),
        "compiled_sha256": c_string(compiled_sha256),
        "height": height,
        "width": width,
        "channels": channels,
        "scale": c_float(metadata["input"]["scale"]),
        "zero_point": metadata["input"]["zero_point"],
        "reg_max": metadata["reg_max"],
        "outputs": len(metadata["outputs"]),
        "maps": maps,
        "cells": sum(one["height"] * one["width"] for one in maps),
        "names": [c_string(name) for name in metadata["names"]],
    }
