"""The rows of ``backbone`` and ``head`` of a model file: modules, arguments and where each layer reads from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import did_you_mean
from .located_yaml import Node
from .modules import MAX_COUNT, MODULES, argument_problems
from .problems import Problems

MAX_LAYERS = 300


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


class LayerReader:
    """Reads the layers of one file.

    Every method returns a usable value, and adds a problem where that of the file is wrong.
    """

    def __init__(self, table: Mapping[str, Node], problems: Problems):
        self.table, self.problems = table, problems

    def rows(self, key: str) -> tuple[Node, ...]:
        node = self.table.get(key)
        if node is None or node.refused:
            return ()
        if node.kind != "sequence" or not node.value:
            self.problems.add(node.line, f"'{key}' must be a list of layers [from, repeats, module, arguments]")
            return ()
        return node.value

    def layers(self, backbone: tuple[Node, ...], head: tuple[Node, ...]) -> list[Layer]:
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
        if name is None or not row.valid:
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
        elif arguments.valid:
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

    def check_detect(self, layers: list[Layer], backbone: int) -> None:
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
