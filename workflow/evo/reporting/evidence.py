"""What the page draws beyond the summaries: curves, boxes, operators and the times of the jobs, where they exist."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import documents
from ..layout import VariantLayout
from ..results.read import read_if_there
from .summary import VariantSummary

OTHER = "other"
"""The part of an operator whose name does not show where in the network it is."""

HEAD = ("serving_default_output", "Sequential_")
"""Beginnings of operator names of the detection head: outputs of the model, and the branches that feed them."""


def read_curves(root: Path, variants: Iterable[VariantSummary]) -> dict[str, documents.Curves]:
    """Return ``curves.json`` by variant, where it is of the same weights as the metrics that the summary shows."""
    found = {}
    for variant in variants:
        document, _ = read_if_there(VariantLayout(root, variant.name).curves, "curves")
        if document and document["weights_sha256"] == variant.evaluated_weights:
            found[variant.name] = document
    return found


def read_operators(root: Path, variants: Iterable[VariantSummary], boards: Iterable[str]) -> list[dict[str, Any]]:
    """Return cycles by Vela's estimate per variant, board, part of the network and type of operator."""
    rows = []
    for variant in variants:
        layout = VariantLayout(root, variant.name)
        model, _ = read_if_there(layout.model, "model")
        layers = model["definition"]["layers"] if model else []
        for board in boards:
            if variant.trained(board).document is None:
                continue
            cycles: Counter[tuple[str, str]] = Counter()
            for operator in _operators(layout.board(board).operators):
                cycles[part_of(operator["name"], layers), operator["type"]] += int(operator["estimated_cycles"] or 0)
            rows += [
                {"variant": variant.name, "board": board, "part": part, "type": kind, "cycles": number}
                for (part, kind), number in cycles.items()
                if number
            ]
    return rows


def _operators(path: Path) -> list[dict[str, str]]:
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return [r for r in rows if r.get("name") and r.get("type") and (r.get("estimated_cycles") or "0").isdecimal()]


def part_of(operator: str, layers: Iterable[Mapping[str, Any]]) -> str:
    """Return the part of the network that an operator belongs to, by its name.

    Args:
        operator: name of the operator's output, ``…/ultralytics.nn.modules.block.C2f_8/…``; of a fused one the names
            of all outputs in a row, its own first.
        layers: ``definition.layers`` of ``model.json``: position, module and part of each.

    Returns:
        ``backbone``, ``neck``, ``detect`` or `OTHER`.
    """
    names = [name.rpartition(".")[2] for name in operator.partition(";")[0].split("/")]
    parts = {f"{layer['module'].rpartition('.')[2]}_{layer['index']}": layer["part"] for layer in layers}
    top = names[2] if len(names) > 2 else names[0]  # the wrappers of the export come first
    if top in parts:
        return parts[top]
    return "detect" if top.startswith(HEAD) else OTHER
