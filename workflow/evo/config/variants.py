"""Levels, activations and the one function that names a model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models" / "train"

LEVEL_NAMES = {1: "reference", 2: "scales_backbone", 3: "scales_backbone_head", 4: "activation"}
"""What a level makes NPU-friendly, as it stands in a model file's name. Levels are cumulative."""

LEVEL_SCOPES = {
    1: (),
    2: ("backbone",),
    3: ("backbone", "neck"),
    4: ("backbone", "neck", "detect"),
}
"""The parts of the network whose activation a level replaces."""

ACTIVATIONS = {"relu": "torch.nn.ReLU()", "leaky": "torch.nn.LeakyReLU(0.1)", "silu": "torch.nn.SiLU()"}
"""Activation name and the expression a model YAML states for it."""

PARTS = ("backbone", "neck", "detect")


@dataclass(frozen=True)
class Variant:
    """One cell of the grid, or one further model of the configuration's ``models`` table.

    Attributes:
        name: as it stands in every path, ``level2_relu``.
        yaml: absolute path of the model definition.
        level: 1 to 4, or None for a further model.
        activation: ``relu``, ``leaky`` or ``silu``, or None for a further model.
    """

    name: str
    yaml: Path
    level: int | None = None
    activation: str | None = None


def variant_name(level: int, activation: str) -> str:
    """Return the name of a grid cell: ``level2_relu``."""
    return f"level{level}_{activation}"


def model_file(level: int, activation: str) -> Path:
    """Return the absolute path of a grid cell's model YAML. The only place where such a file is named."""
    return MODELS / f"npu_level{level}_{LEVEL_NAMES[level]}_{activation}.yaml"
