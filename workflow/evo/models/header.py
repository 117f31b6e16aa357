"""The keys of a model file besides its layers: classes, scales, activation and the ``npu`` block."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from ..config.variants import LEVEL_SCOPES, PARTS
from ..errors import did_you_mean
from . import expressions
from .expressions import Activation
from .located_yaml import Node
from .problems import Problems

_SCALE_IN_NAME = re.compile(r"yolo(e-)?[v]?\d+([nslmx])")  # ultralytics.nn.tasks.guess_model_scale


class HeaderReader:
    """Reads the header of one file.

    Every method returns a usable value, and adds a problem where that of the file is wrong.
    """

    def __init__(self, path: Path, table: Mapping[str, Node], problems: Problems):
        self.path, self.table, self.problems = path, table, problems

    def line(self, key: str) -> int:
        return self.table[key].line if key in self.table else 0

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        node = self.table.get(key)
        if node is None or node.refused:
            return default
        if type(node.value) is not int or not low <= node.value <= high:
            self.problems.add(node.line, f"'{key}' must be a whole number, {low} to {high}, not {node.describe()}")
            return default
        return node.value

    def flag(self, key: str) -> bool | None:
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
            self.problems.add(node.line, f"'{key}' is ignored where there is 'scales', remove one of the two")
        return self._gain(node, f"'{key}'")

    def _gain(self, node: Node, name: str) -> float:
        if type(node.value) not in (int, float) or not 0 < node.value <= 4:
            if not node.refused:
                self.problems.add(node.line, f"{name} must be a factor above 0 and up to 4, not {node.describe()}")
            return 1.0
        return node.value

    def scales(self) -> tuple[str | None, float, float, float]:
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

    def activation(self) -> Activation | None:
        node = self.table.get("activation")
        if node is None or node.refused:
            return None
        try:
            return expressions.parse(node.value if node.kind == "scalar" else node.describe())
        except expressions.NotAnActivationError as error:
            self.problems.add(node.line, f"activation: {error}")
            return None

    def npu(self, activation: Activation | None) -> tuple[int | None, tuple[str, ...]]:
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
