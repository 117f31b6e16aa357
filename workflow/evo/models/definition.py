"""A model file, checked line by line without torch: the network it defines, or its problems.

The checks cover what Ultralytics' ``parse_model`` (``nn/tasks.py``) reads of a detection model, and refuse what it
would ignore, misread or execute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.variants import PARTS
from ..errors import UserError, did_you_mean
from . import located_yaml
from .expressions import SILU, Activation
from .grid_file import check_name
from .header import HeaderReader
from .layers import Layer, LayerReader
from .located_yaml import Node
from .problems import Problems

KEYS = (
    "nc",
    "scales",
    "scale",
    "depth_multiple",
    "width_multiple",
    "activation",
    "reg_max",
    "end2end",
    "npu",
    "backbone",
    "head",
)
MAX_CLASSES = 10_000
MAX_REG_MAX = 64


@dataclass(frozen=True)
class Definition:
    """A checked model file.

    Attributes:
        path: the file.
        nc: number of classes in the file; training takes that of the dataset.
        activation: what the parts in ``scope`` use.
        scope: parts that use ``activation``; the others use SiLU.
        level: 1 to 4, or None when the file states none.
        scale: key of the ``scales`` table in use, or None without a table.
        depth: factor on repeats.
        width: factor on channels.
        max_channels: upper limit of channels before the width; infinite without a table.
        reg_max: bins of the box distribution per side; 1 means no distribution focal loss.
        end2end: whether a second, one-to-one head is built.
        layers: backbone and head.
        backbone: number of layers of the backbone.
        document: the file as plain lists and dicts; copy it before handing it to anything that may write.
    """

    path: Path
    nc: int
    activation: Activation
    scope: tuple[str, ...]
    level: int | None
    scale: str | None
    depth: float
    width: float
    max_channels: float
    reg_max: int
    end2end: bool | None
    layers: tuple[Layer, ...]
    backbone: int
    document: Mapping[str, Any] = field(repr=False)

    def part_of(self, index: int) -> str:
        """Return ``backbone``, ``neck`` or ``detect`` for a layer index."""
        if index < self.backbone:
            return "backbone"
        return "detect" if index == len(self.layers) - 1 else "neck"

    @property
    def activations(self) -> dict[str, Activation]:
        """The activation of every part."""
        return {part: self.activation if part in self.scope else SILU for part in PARTS}


def load_definition(path: Path) -> Definition:
    """Read and check a model file, in milliseconds, without torch and without executing anything of the file.

    Raises:
        ModelError: a `UserError` with one ``file:line: message`` for every problem of the file.
        UserError: the file does not exist or cannot be read.
    """
    problems = Problems(Path(path))
    definition = read_definition(path, problems)
    problems.raise_if_any()
    assert definition is not None, "without one there is a problem"
    return definition


def read_definition(path: Path, problems: Problems) -> Definition | None:
    """Read a model file and note what is wrong with it.

    Returns:
        The definition, or None when its layers or scales have problems, so that channels cannot be inferred.

    Raises:
        UserError: the file does not exist or cannot be read.
    """
    path = Path(path)
    try:
        root = located_yaml.read(path, problems)
    except FileNotFoundError as error:
        folder = path.absolute().parent
        siblings = sorted(item.name for item in folder.glob("*.y*ml")) if folder.is_dir() else []
        hint = did_you_mean(path.name, siblings) if siblings else None
        raise UserError(f"model file not found: {path.absolute()}", hint=hint) from error
    except OSError as error:
        raise UserError(f"model file cannot be read ({error.strerror}): {path.absolute()}") from error
    return _definition(path, root, problems) if root is not None else None


def _definition(path: Path, root: Node, problems: Problems) -> Definition | None:
    if root.kind != "mapping":
        if not root.refused:
            problems.add(root.line, "a model file is a table of keys: nc, backbone, head, …")
        return None
    table: dict[str, Node] = root.value
    header, rows = HeaderReader(path, table, problems), LayerReader(table, problems)
    for key, node in table.items():
        if key not in KEYS:
            problems.add(node.line, f"unknown key '{key}', {did_you_mean(key, KEYS)}")
    for key in ("nc", "backbone", "head"):
        if key not in table:
            problems.add(0, f"the key '{key}' is missing")
    nc = header.whole("nc", 1, MAX_CLASSES, 1)
    reg_max = header.whole("reg_max", 1, MAX_REG_MAX, 16)
    activation = header.activation()
    level, scope = header.npu(activation)
    before = len(problems.found)
    scale, depth, width, max_channels = header.scales()
    backbone, head = rows.rows("backbone"), rows.rows("head")
    layers = rows.layers(backbone, head)
    rows.check_detect(layers, len(backbone))
    valid = len(problems.found) == before and layers and len(layers) == len(backbone) + len(head)
    check_name(header, level, activation, reg_max, max_channels)
    if not valid or not backbone or not head:
        return None
    return Definition(
        path=path,
        nc=nc,
        activation=activation or SILU,
        scope=scope,
        level=level,
        scale=scale,
        depth=depth,
        width=width,
        max_channels=max_channels,
        reg_max=reg_max,
        end2end=header.flag("end2end"),
        layers=tuple(layers),
        backbone=len(backbone),
        document=root.plain(),
    )
