"""The deploy bundle: a folder with everything that a firmware engineer needs to run one compiled model."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EvoError
from ..evaluation.int8 import check_model
from ..evaluation.interpreter import HIGHEST
from ..files import explain_os_errors, read_json, sha256_file, write_atomically
from ..layout import VariantLayout
from ..npu.flatbuffer import Tensor, io
from ..text import wording
from ..text.facts import fact
from ..text.markdown import Markdown, escape
from ..text.templates import environment
from .header import header_values

TEMPLATES = Path(__file__).resolve().parent / "templates"
HIGHEST_COLOUR = 255


def build(layout: VariantLayout, board: str) -> list[str]:
    """Write ``{variant}/npu/{board}/deploy/`` from the results of the variant; return the names of its files.

    Raises:
        EvoError: a result is missing or damaged, results do not belong together, or the compiler changed the model's
            inputs or outputs.
    """
    results = layout.board(board)
    metadata = read_json(layout.npu_metadata, "npu_metadata")
    documents = {
        "training": read_json(layout.training, "training"),
        "metrics": read_json(layout.metrics, "metrics"),
        "int8": read_json(layout.metrics_int8, "metrics_int8"),
        "compatibility": read_json(results.compatibility, "compatibility"),
    }
    check_model(layout.model_int8, metadata)
    check_ports(results.compiled, metadata)
    compiled_sha256 = sha256_file(results.compiled)
    _check_origin(documents, metadata, compiled_sha256, layout, board)
    files: dict[str, str | bytes] = {
        results.compiled.name: results.compiled.read_bytes(),
        "labels.txt": labels(metadata["names"]),
        "metadata.json": layout.npu_metadata.read_bytes(),
        "model.h": render_header(metadata, compiled_sha256),
        "decode.py": (TEMPLATES / "decode.py").read_bytes(),
        "MODEL_CARD.md": render_card(documents, metadata, compiled_sha256),
    }
    write_folder(results.deploy, files)
    return list(files)


def labels(names: list[str]) -> str:
    """Return ``labels.txt``: line n is class n, so line breaks within a name become spaces."""
    return "".join(" ".join(name.split()) + "\n" for name in names)


def render_header(metadata: Mapping[str, Any], compiled_sha256: str) -> str:
    """Return ``model.h``."""
    return (
        environment(TEMPLATES, autoescape=False)
        .get_template("model.h.j2")
        .render(header_values(metadata, compiled_sha256))
    )


def render_card(documents: Mapping[str, Any], metadata: Mapping[str, Any], compiled_sha256: str) -> str:
    """Return ``MODEL_CARD.md``; names and messages are escaped.

    Args:
        documents: ``training``, ``metrics``, ``int8`` and ``compatibility``: the variant's JSON files of these schemas.
        metadata: ``metadata.json``.
        compiled_sha256: of the compiled model.
    """
    card = environment(TEMPLATES, autoescape=False, finalize=escape)
    card.filters.update(
        metric=wording.metric,
        signed=lambda value: wording.DASH if value is None else f"{value:+.3f}",
        count=wording.count,
        listed=wording.listed,
        raw=Markdown,
    )
    return card.get_template("MODEL_CARD.md.j2").render(
        **documents,
        m=metadata,
        kernels=fact(f"kernels_{documents['int8']['evaluation']['kernels']}"),
        compiled_sha256=compiled_sha256,
        splits=[split for split in ("val", "test") if split in documents["int8"]],
        highest_score=highest_score(metadata),
        highest_colour=highest_colour(metadata),
    )


def highest_score(metadata: Mapping[str, Any]) -> float:
    """Return the highest class probability that the int8 outputs can represent."""
    classes = (output for output in metadata["outputs"] if output["kind"] == "class")
    return max(1 / (1 + math.exp(-_largest(output))) for output in classes)


def highest_colour(metadata: Mapping[str, Any]) -> int:
    """Return the highest colour value, 0 to 255, that the model's input distinguishes from the next lower one."""
    return min(math.ceil(_largest(metadata["input"]) * HIGHEST_COLOUR), HIGHEST_COLOUR)


def _largest(tensor: Mapping[str, Any]) -> float:
    return (HIGHEST - tensor["zero_point"]) * tensor["scale"]


def check_ports(compiled: Path, metadata: Mapping[str, Any]) -> None:
    """Refuse a compiled model whose inputs and outputs are not those of the model that metadata.json describes.

    Raises:
        EvoError: naming the first that differs.
    """
    inputs, outputs = io(compiled)
    described = [metadata["input"], *sorted(metadata["outputs"], key=lambda output: output["index"])]
    found = [*inputs, *outputs]
    if len(inputs) != 1 or len(found) != len(described):
        raise EvoError(
            f"{len(inputs)} inputs and {len(outputs)} outputs, metadata.json describes 1 and {len(described) - 1}",
            where=compiled.resolve(),
            hint="compile the model again",
        )
    for tensor, entry in zip(found, described, strict=True):
        expected = Tensor(tensor.name, tuple(entry["shape"]), entry["dtype"], entry["scale"], entry["zero_point"])
        if tensor != expected:
            raise EvoError(
                f"the compiled model has {_described(tensor)} where metadata.json describes {_described(expected)}",
                where=compiled.resolve(),
                hint="compile the model again",
            )


def _described(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {tensor.dtype} with scale {tensor.scale} and zero point {tensor.zero_point}"


def _check_origin(
    documents: Mapping[str, Any], metadata: Mapping[str, Any], compiled_sha256: str, layout: VariantLayout, board: str
) -> None:
    """Refuse to put figures of another model, or of other weights, on the card."""
    best, compatibility = documents["training"]["weights"]["best"], layout.board(board).compatibility
    for found, expected, path in (
        (documents["metrics"]["evaluation"]["weights_sha256"], best, layout.metrics),
        (documents["int8"]["float"]["evaluation"]["weights_sha256"], best, layout.metrics_int8),
        (documents["int8"]["evaluation"]["weights_sha256"], metadata["sha256"], layout.metrics_int8),
        (documents["compatibility"]["sha256"]["source"], metadata["sha256"], compatibility),
        (documents["compatibility"]["sha256"]["compiled"], compiled_sha256, compatibility),
    ):
        if found != expected:
            raise EvoError(
                f"figures of another file (SHA-256 {found[:12]}… instead of {expected[:12]}…)",
                where=path,
                hint="delete it and run snakemake again",
            )


def write_folder(target: Path, files: Mapping[str, str | bytes]) -> None:
    """Write ``files`` (by name) as the folder ``target``, through a temporary folder next to it and a rename.

    What was in ``target`` before is gone afterwards, and unchanged after an error.

    Raises:
        UserError: the folder is not writable.
        EvoError: the disk is full.
    """
    target = Path(target)
    with explain_os_errors(target, "writing the bundle"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent) as scratch:
            draft = Path(scratch) / "new"
            for name, content in files.items():
                write_atomically(draft / name, content)
            if target.exists():
                target.replace(Path(scratch) / "old")  # a folder with content cannot be renamed over
            draft.replace(target)
