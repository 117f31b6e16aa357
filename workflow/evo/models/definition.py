"""A model file, checked line by line without torch: what is wrong with it, or the network it defines.

The checks cover what Ultralytics' ``parse_model`` (``nn/tasks.py``) reads of a detection model, and refuse what it
would ignore, misread or execute.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.variants import ACTIVATIONS, LEVEL_NAMES, LEVEL_SCOPES, PARTS
from ..errors import UserError, did_you_mean
from . import expressions, located_yaml
from .expressions import SILU, Activation
from .located_yaml import Node
from .modules import MAX_COUNT, MODULES, argument_problems
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
MAX_LAYERS = 300
MAX_REG_MAX = 64

_GRID_FILE = re.compile(r"npu_level(?P<level>[^_]*)_(?P<name>.+)_(?P<activation>[^_]+)")
_SCALE_IN_NAME = re.compile(r"yolo(e-)?[v]?\d+([nslmx])")  # ultralytics.nn.tasks.guess_model_scale


@dataclass(frozen=True)
class Layer:
    """One row of ``backbone`` or ``head``.

    Attributes:
        index: position in the network, from 0, backbone and head counted through.
        sources: layers it reads, absolute indices; -1 is the image.
        repeats: as in the file, before the depth gain.
        module: a key of `modules.MODULES`.
        arguments: as in the file.
        line: in the file, from 1.
    """

    index: int
    sources: tuple[int, ...]
    repeats: int
    module: str
    arguments: tuple[Any, ...]
    line: int


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
        """The activation every part is promised to use."""
        return {part: self.activation if part in self.scope else SILU for part in PARTS}


def load_definition(path: Path) -> Definition:
    """Read and check a model file; milliseconds, no torch, nothing of the file is executed.

    Raises:
        ModelError: a `UserError` with one ``file:line: message`` for every problem of the file.
        UserError: the file does not exist or cannot be read.
    """
    problems = Problems(Path(path))
    definition = read_definition(path, problems)
    problems.raise_if_any()
    return definition


def read_definition(path: Path, problems: Problems) -> Definition | None:
    """Read a model file and note what is wrong with it.

    Returns:
        The definition, or None when its layers or scales are not sound enough to follow channels through them.

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
    return _Reader(path, root, problems).definition() if root is not None else None


class _Reader:
    """Walks the tree of one file. Every method returns a usable value and notes what was wrong with the file's."""

    def __init__(self, path: Path, root: Node, problems: Problems):
        self.path, self.root, self.problems = path, root, problems
        self.table: dict[str, Node] = root.value if root.kind == "mapping" else {}

    def definition(self) -> Definition | None:
        if self.root.kind != "mapping":
            if not self.root.refused:
                self.problems.add(self.root.line, "a model file is a table of keys: nc, backbone, head, …")
            return None
        for key, node in self.table.items():
            if key not in KEYS:
                self.problems.add(node.line, f"unknown key '{key}', {did_you_mean(key, KEYS)}")
        for key in ("nc", "backbone", "head"):
            if key not in self.table:
                self.problems.add(0, f"the key '{key}' is missing")
        nc = self._whole("nc", 1, MAX_CLASSES, 1)
        reg_max = self._whole("reg_max", 1, MAX_REG_MAX, 16)
        activation = self._activation()
        level, scope = self._npu(activation)
        before = len(self.problems.found)
        scale, depth, width, max_channels = self._scales()
        backbone, head = self._rows("backbone"), self._rows("head")
        layers = self._layers(backbone, head)
        self._detect(layers, len(backbone))
        sound = len(self.problems.found) == before and layers and len(layers) == len(backbone) + len(head)
        self._file_name(level, activation, reg_max, max_channels)
        if not sound or not backbone or not head:
            return None
        return Definition(
            path=self.path,
            nc=nc,
            activation=activation or SILU,
            scope=scope,
            level=level,
            scale=scale,
            depth=depth,
            width=width,
            max_channels=max_channels,
            reg_max=reg_max,
            end2end=self._flag("end2end"),
            layers=tuple(layers),
            backbone=len(backbone),
            document=self.root.plain(),
        )

    def _line(self, key: str) -> int:
        return self.table[key].line if key in self.table else 0

    def _whole(self, key: str, low: int, high: int, default: int) -> int:
        node = self.table.get(key)
        if node is None or node.refused:
            return default
        if type(node.value) is not int or not low <= node.value <= high:
            self.problems.add(node.line, f"'{key}' must be a whole number, {low} to {high}, not {node.describe()}")
            return default
        return node.value

    def _flag(self, key: str) -> bool | None:
        node = self.table.get(key)
        if node is None or node.refused or isinstance(node.value, bool):
            return None if node is None else node.value
        self.problems.add(node.line, f"'{key}' must be true or false, not {node.describe()}")
        return None

    def _factor(self, key: str) -> float:
        node = self.table.get(key)
        if node is None or node.refused:
            return 1.0
        if "scales" in self.table:
            self.problems.add(node.line, f"'{key}' is ignored beside 'scales', remove one of the two")
        return self._gain(node, f"'{key}'")

    def _gain(self, node: Node, name: str) -> float:
        if type(node.value) not in (int, float) or not 0 < node.value <= 4:
            if not node.refused:
                self.problems.add(node.line, f"{name} must be a factor above 0 and up to 4, not {node.describe()}")
            return 1.0
        return node.value

    def _scales(self) -> tuple[str | None, float, float, float]:
        """Return the scale in use with its depth, width and limit of channels, chosen as Ultralytics chooses."""
        depth, width = self._factor("depth_multiple"), self._factor("width_multiple")
        node, wanted = self.table.get("scales"), self.table.get("scale")
        if node is None or node.refused:
            if node is None and wanted is not None:
                self.problems.add(wanted.line, "'scale' needs the table 'scales'")
            return None, depth, width, math.inf
        if node.kind != "mapping" or not node.value:
            self.problems.add(node.line, "'scales' must be a table such as {n: [0.33, 0.25, 1024]}")
            return None, depth, width, math.inf
        rows = {key: self._scale(key, row) for key, row in node.value.items()}
        named = _SCALE_IN_NAME.search(self.path.stem)
        scale = named[2] if named else next(iter(rows))
        origin = f"the file name '{self.path.stem}'" if named else "the first row of 'scales'"
        if scale not in rows:
            self.problems.add(node.line, f"Ultralytics takes scale '{scale}' from {origin}, which 'scales' lacks")
        elif wanted is not None and not wanted.refused and wanted.value != scale:
            self.problems.add(
                wanted.line,
                f"'scale: {wanted.plain()}' would be overruled: Ultralytics takes '{scale}' from {origin}",
            )
        return (scale, *rows.get(scale, (1.0, 1.0, math.inf)))

    def _scale(self, key: str, node: Node) -> tuple[float, float, float]:
        name = f"scale '{key}'"
        if node.refused:
            return 1.0, 1.0, math.inf
        if node.kind != "sequence" or len(node.value) != 3:
            self.problems.add(node.line, f"{name} must be [depth, width, max_channels], not {node.describe()}")
            return 1.0, 1.0, math.inf
        depth, width, limit = node.value
        if (type(limit.value) is not int or not 8 <= limit.value <= 65536) and not limit.refused:
            self.problems.add(limit.line, f"max_channels of {name} must be 8 to 65536, not {limit.describe()}")
            return 1.0, 1.0, math.inf
        return self._gain(depth, f"depth of {name}"), self._gain(width, f"width of {name}"), limit.value or math.inf

    def _activation(self) -> Activation | None:
        node = self.table.get("activation")
        if node is None or node.refused:
            return None
        try:
            return expressions.parse(node.value if node.kind == "scalar" else node.describe())
        except expressions.NotAnActivationError as error:
            self.problems.add(node.line, f"activation: {error}")
            return None

    def _npu(self, activation: Activation | None) -> tuple[int | None, tuple[str, ...]]:
        """Return the level and the parts in scope; without an ``npu`` block that is the whole network."""
        node = self.table.get("npu")
        if node is None or node.refused:
            return None, PARTS
        if node.kind != "mapping":
            self.problems.add(node.line, "'npu' must be a table such as {level: 2, activation_scope: [backbone]}")
            return None, PARTS
        known = ("level", "activation_scope")
        for key, value in node.value.items():
            if key not in known:
                self.problems.add(value.line, f"unknown key '{key}' in 'npu', {did_you_mean(key, known)}")
        level, scope = self._level(node.value.get("level")), self._scope(node, node.value.get("activation_scope"))
        if level is not None and scope is not None and set(scope) != set(LEVEL_SCOPES[level]):
            wanted = f"[{', '.join(LEVEL_SCOPES[level])}]"
            self.problems.add(
                node.value["activation_scope"].line,
                f"level {level} means activation_scope {wanted}, not [{', '.join(scope)}]; "
                "a network of another kind leaves 'level' out",
            )
        if scope and activation is None and "activation" not in self.table:
            self.problems.add(node.line, "'activation_scope' names parts, but the key 'activation' is missing")
        return level, scope or ()

    def _level(self, node: Node | None) -> int | None:
        if node is None or node.refused:
            return None
        if type(node.value) is not int or node.value not in LEVEL_SCOPES:
            self.problems.add(
                node.line, f"unknown level {node.describe()}, {did_you_mean(node.plain(), list(LEVEL_SCOPES))}"
            )
            return None
        return node.value

    def _scope(self, npu: Node, node: Node | None) -> tuple[str, ...] | None:
        if node is None:
            self.problems.add(npu.line, "'npu' needs 'activation_scope', the parts that use the activation")
            return None
        if node.refused:
            return None
        if node.kind != "sequence":
            self.problems.add(
                node.line, f"'activation_scope' must be a list of {', '.join(PARTS)}, not {node.describe()}"
            )
            return None
        parts = [item for item in node.value if not item.refused]
        for item in parts:
            if item.plain() not in PARTS:
                self.problems.add(item.line, f"unknown part {item.describe()}, {did_you_mean(item.plain(), PARTS)}")
        names = [item.plain() for item in parts]
        if any(names.count(part) > 1 for part in PARTS):
            self.problems.add(node.line, "'activation_scope' names a part twice")
        return tuple(part for part in PARTS if part in names)

    def _rows(self, key: str) -> tuple[Node, ...]:
        node = self.table.get(key)
        if node is None or node.refused:
            return ()
        if node.kind != "sequence" or not node.value:
            self.problems.add(node.line, f"'{key}' must be a list of layers [from, repeats, module, arguments]")
            return ()
        return node.value

    def _layers(self, backbone: tuple[Node, ...], head: tuple[Node, ...]) -> list[Layer]:
        rows = [*backbone, *head]
        if len(rows) > MAX_LAYERS:
            self.problems.add(rows[MAX_LAYERS].line, f"{len(rows)} layers are too many (limit {MAX_LAYERS})")
            return []
        layers = [self._layer(index, row) for index, row in enumerate(rows)]
        return [layer for layer in layers if layer is not None]

    def _layer(self, index: int, row: Node) -> Layer | None:
        if row.refused:
            return None
        if row.kind != "sequence" or len(row.value) != 4:
            shown = f"{len(row.value)} entries" if row.kind == "sequence" else row.describe()
            self.problems.add(row.line, f"layer {index} must be [from, repeats, module, arguments], not {shown}")
            return None
        source, repeats, module, arguments = row.value
        if not repeats.refused and (type(repeats.value) is not int or not 1 <= repeats.value <= MAX_COUNT):
            self.problems.add(
                repeats.line,
                f"layer {index}: repeats must be a whole number, 1 to {MAX_COUNT}, not {repeats.describe()}",
            )
        name = self._module(index, module, arguments)
        sources = self._sources(index, source, name)
        if name is None or not row.sound:
            return None
        count = repeats.value if type(repeats.value) is int else 1
        if MODULES[name].repeats == "once" and count != 1:
            self.problems.add(repeats.line, f"layer {index}: {name} cannot be repeated, repeats must be 1")
        values = tuple(arguments.plain()) if arguments.kind == "sequence" else ()
        return Layer(index, sources, count, name, values, row.line)

    def _module(self, index: int, node: Node, arguments: Node) -> str | None:
        if node.refused:
            return None
        if node.kind != "scalar" or node.value not in MODULES:
            self.problems.add(
                node.line, f"layer {index}: unknown module {node.describe()}, {did_you_mean(node.plain(), MODULES)}"
            )
            return None
        if arguments.kind != "sequence":
            if not arguments.refused:
                self.problems.add(arguments.line, f"layer {index}: the arguments of {node.value} must be a list")
        elif arguments.sound:
            for problem in argument_problems(node.value, arguments.plain()):
                self.problems.add(arguments.line, f"layer {index}: {problem}")
        return node.value

    def _sources(self, index: int, node: Node, module: str | None) -> tuple[int, ...]:
        if node.refused:
            return ()
        if module is not None and MODULES[module].many != (node.kind == "sequence"):
            wanted = "a list of layers, such as [-1, 6]" if MODULES[module].many else "one layer, such as -1"
            self.problems.add(node.line, f"layer {index}: 'from' of {module} must be {wanted}, not {node.describe()}")
            return ()
        items = node.value if node.kind == "sequence" else (node,)
        if not items:
            self.problems.add(node.line, f"layer {index}: 'from' is an empty list")
        return tuple(self._source(index, item) for item in items)

    def _source(self, index: int, node: Node) -> int:
        if node.refused:
            return -1
        value = node.value
        if type(value) is not int:
            self.problems.add(node.line, f"layer {index}: 'from' must be a layer's number, not {node.describe()}")
        elif index == 0 and value != -1:
            self.problems.add(node.line, f"layer 0: 'from' must be -1, the image, not {value}")
        elif value >= index > 0:
            self.problems.add(
                node.line, f"layer {index}: 'from' {value} is not built yet, valid: {-index} to {index - 1}"
            )
        elif value < -index and index > 0:
            self.problems.add(
                node.line, f"layer {index}: 'from' {value} is out of range, valid: {-index} to {index - 1}"
            )
        else:
            return value if value >= 0 else index + value
        return -1

    def _detect(self, layers: list[Layer], backbone: int) -> None:
        detects = [layer for layer in layers if layer.module == "Detect"]
        head = self.table.get("head")
        if head is None or head.kind != "sequence" or not head.value:
            return
        last = head.value[-1]
        total = backbone + len(head.value)
        if not detects and len(layers) == total:
            self.problems.add(last.line, "the last layer of 'head' must be Detect")
        for layer in detects:
            if layer.index != total - 1:
                self.problems.add(layer.line, f"layer {layer.index}: Detect must be the one last layer of 'head'")

    def _file_name(self, level: int | None, activation: Activation | None, reg_max: int, max_channels: float) -> None:
        """Hold a file of the grid against its own name: the name is what the report calls the network."""
        if not self.path.stem.startswith("npu_level"):
            return
        stems = [f"npu_level{n}_{LEVEL_NAMES[n]}_{a}" for n in LEVEL_NAMES for a in ACTIVATIONS]
        if self.path.stem not in stems:
            self.problems.add(
                0, f"no model of the grid is named '{self.path.name}', {did_you_mean(self.path.stem, stems)}"
            )
        match = _GRID_FILE.fullmatch(self.path.stem)
        if match is None:
            return
        named = int(match["level"]) if match["level"] in {str(n) for n in LEVEL_NAMES} else None
        if named is not None and named != level:
            said = "no level" if level is None else f"level {level}"
            self.problems.add(self._line("npu"), f"the file name says level {named}, 'npu' says {said}")
        expression = ACTIVATIONS.get(match["activation"])
        if expression is not None and (activation or SILU) != expressions.parse(expression):
            said = str(activation) if activation else "SiLU (no valid key 'activation')"
            self.problems.add(
                self._line("activation"),
                f"the file name says {match['activation']}, which is {expression}, the file says {said}",
            )
        if named is not None and named >= 2 and max_channels > 512:
            self.problems.add(self._line("scales"), f"level {named} limits max_channels to 512, not {max_channels:g}")
        if named is not None and named >= 3 and reg_max != 1:
            self.problems.add(self._line("reg_max"), f"level {named} has no box distribution: reg_max must be 1")
