"""Levels, activations and the one function that names a model file.

`python -m tools.grid` writes what else follows from the table of activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models" / "train"

LEVEL_NAMES = {1: "reference", 2: "scales_backbone", 3: "scales_backbone_head", 4: "activation"}
"""What a level makes NPU-friendly, as model files are named. Levels are cumulative."""

LEVEL_SCOPES = {
    1: (),
    2: ("backbone",),
    3: ("backbone", "neck"),
    4: ("backbone", "neck", "detect"),
}
"""The parts of the network whose activation a level replaces."""

PARTS = ("backbone", "neck", "detect")


@dataclass(frozen=True)
class GridActivation:
    """An activation that a level can have.

    Attributes:
        expression: as a model YAML states it.
        min_ops_percent: least share of a variant's operators on the NPU, per cent, by level.
    """

    expression: str
    min_ops_percent: Mapping[int, float]


REFERENCE = "silu"
"""The activation of level 1, and of the parts that a level leaves as they are."""

ACTIVATIONS = {
    "relu": GridActivation("torch.nn.ReLU()", {2: 85.0, 3: 90.0, 4: 95.0}),
    "leaky": GridActivation("torch.nn.LeakyReLU(0.1)", {2: 87.0, 3: 92.0, 4: 97.0}),
    REFERENCE: GridActivation("torch.nn.SiLU()", {}),
}
"""Activations by their name in the configuration and in file names."""

CHOICES = tuple(name for name in ACTIVATIONS if name != REFERENCE)
"""What the configuration can choose for levels 2 to 4."""

GRID = ((1, REFERENCE), *((level, name) for level in LEVEL_NAMES if level != 1 for name in CHOICES))
"""Level and activation of every model file there is."""


@dataclass(frozen=True)
class Variant:
    """One cell of the grid, or one further model of the configuration's ``models`` table; or a replicate of it.

    Attributes:
        name: as in every path, ``level2_relu``, or ``level2_relu_s1`` for its first further replicate.
        yaml: absolute path of the model definition.
        level: 1 to 4, or None for a further model.
        activation: one of `ACTIVATIONS`, or None for a further model.
        replicate: which of the trainings with different seeds: 0 for the first, which has the plain name.
        first: name of the first replicate.
    """

    name: str
    yaml: Path
    level: int | None = None
    activation: str | None = None
    replicate: int = 0

    @property
    def first(self) -> str:
        return self.name.removesuffix(f"_s{self.replicate}") if self.replicate else self.name

    def replicates(self, number: int) -> list[Variant]:
        """Return this variant and its further replicates, ``number`` in all."""
        further = [replace(self, name=replicate_name(self.name, index), replicate=index) for index in range(1, number)]
        return [self, *further]


def replicate_name(first: str, replicate: int) -> str:
    """Return the name of a replicate: ``level2_relu_s1``; the first one keeps the plain name."""
    return f"{first}_s{replicate}" if replicate else first


def variant_name(level: int, activation: str) -> str:
    """Return the name of a grid cell: ``level2_relu``."""
    return f"level{level}_{activation}"


def model_file(level: int, activation: str) -> Path:
    """Return the absolute path of a grid cell's model YAML. The only place where such a file is named."""
    return MODELS / f"npu_level{level}_{LEVEL_NAMES[level]}_{activation}.yaml"
