"""The `activation:` line of a model file, read by its syntax against an allow-list and never evaluated.

Ultralytics evaluates that line as Python code (``nn/tasks.py``, ``parse_model``), so a model file can run anything.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import Any

from ..errors import did_you_mean, nearest

MAX_LENGTH = 200
"""Length limit of the expression in characters; it also bounds how deeply it can nest."""


@dataclass(frozen=True)
class _Parameter:
    """One argument of an activation class: its default, and the open interval of numbers allowed."""

    default: float | bool
    low: float = -math.inf
    high: float = math.inf

    def problem(self, name: str, value: Any) -> str | None:
        if isinstance(self.default, bool):
            return None if isinstance(value, bool) else f"'{name}' must be True or False, not {value!r}"
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"'{name}' must be a number, not {value!r}"
        if not self.low < value < self.high:
            return f"'{name}={value}' must be between {self.low:g} and {self.high:g}"
        return None


_INPLACE = {"inplace": _Parameter(False)}

CLASSES: dict[str, dict[str, _Parameter]] = {
    "ReLU": _INPLACE,
    "ReLU6": _INPLACE,
    "LeakyReLU": {"negative_slope": _Parameter(0.01, 0, 1), **_INPLACE},
    "ELU": {"alpha": _Parameter(1.0, 0, 100), **_INPLACE},
    "GELU": {},
    "SiLU": _INPLACE,
    "Mish": _INPLACE,
    "Hardswish": _INPLACE,
}
"""Activation classes of ``torch.nn`` that a model file may state, with their arguments in positional order."""


@dataclass(frozen=True)
class Activation:
    """An activation with every argument spelled out.

    Attributes:
        name: class in ``torch.nn``.
        arguments: (name, value) in the order of the class.
    """

    name: str
    arguments: tuple[tuple[str, float | bool], ...] = ()

    @property
    def function(self) -> tuple[str, tuple[tuple[str, float | bool], ...]]:
        """What it computes: everything but ``inplace``, which only decides where the result is stored."""
        return self.name, tuple(item for item in self.arguments if item[0] != "inplace")

    def __str__(self) -> str:
        shown = [f"{value:g}" for _, value in self.function[1]]
        return f"{self.name}({', '.join(shown)})" if shown else self.name


def activation(name: str, **arguments: float | bool) -> Activation:
    """Return an activation of the allow-list, completed by the defaults of its class."""
    values = {key: arguments.get(key, parameter.default) for key, parameter in CLASSES[name].items()}
    return Activation(name, tuple(values.items()))


SILU = activation("SiLU")
"""Ultralytics' default."""


class NotAnActivationError(ValueError):
    """The expression is refused; the message has the reason."""


def parse(text: Any) -> Activation:
    """Read ``[torch.]nn.Class(literal arguments)``.

    Args:
        text: the value of the key ``activation``, as read from YAML.

    Raises:
        NotAnActivationError: it is anything else. Nothing of it was evaluated.
    """
    if not isinstance(text, str):
        raise NotAnActivationError(f"{text!r} is not an activation, write for example torch.nn.ReLU()")
    if len(text) > MAX_LENGTH:
        raise NotAnActivationError(f"an activation of {len(text)} characters, write for example torch.nn.ReLU()")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        tree = None
    name = _class_name(tree.func) if isinstance(tree, ast.Call) else None
    if name is None or not isinstance(tree, ast.Call):
        raise NotAnActivationError(_no_call(text, tree))
    if name not in CLASSES:
        raise NotAnActivationError(f"'torch.nn.{name}' is not an allowed activation, {did_you_mean(name, CLASSES)}")
    return activation(name, **_arguments(name, tree))


def _class_name(node: ast.AST | None) -> str | None:
    """Return ``Class`` of ``nn.Class`` or ``torch.nn.Class``, None for every other expression."""
    if not isinstance(node, ast.Attribute):
        return None
    owner = node.value
    plain = isinstance(owner, ast.Name) and owner.id == "nn"
    full = (
        isinstance(owner, ast.Attribute)
        and owner.attr == "nn"
        and isinstance(owner.value, ast.Name)
        and owner.value.id == "torch"
    )
    return node.attr if plain or full else None


def _no_call(text: str, tree: ast.AST | None) -> str:
    quoted = f"'{text if len(text) <= 80 else text[:77] + '…'}'"
    if (name := _class_name(tree)) in CLASSES:
        return f"{quoted} is a class, call it: torch.nn.{name}()"
    by_lower = {item.lower(): item for item in CLASSES}
    if text.isidentifier() and (close := nearest(text.lower(), by_lower)):
        return f"{quoted} is not an activation, did you mean 'torch.nn.{by_lower[close]}()'?"
    return (
        f"{quoted} is refused and was not run: only torch.nn.Class(numbers) is read, Class one of {', '.join(CLASSES)}"
    )


def _arguments(name: str, call: ast.Call) -> dict[str, float | bool]:
    parameters = CLASSES[name]
    if len(call.args) > len(parameters):
        raise NotAnActivationError(f"'torch.nn.{name}' takes at most {len(parameters)} arguments, not {len(call.args)}")
    pairs = list(zip(parameters, call.args, strict=False))
    pairs += [(keyword.arg or "**", keyword.value) for keyword in call.keywords]
    values: dict[str, float | bool] = {}
    for key, node in pairs:
        if key not in parameters:
            hint = did_you_mean(key, parameters) if parameters else "it has none"
            raise NotAnActivationError(f"'torch.nn.{name}' has no argument '{key}', {hint}")
        if key in values:
            raise NotAnActivationError(f"'{key}' of 'torch.nn.{name}' is given twice")
        value = _literal(node)
        if problem := parameters[key].problem(key, value):
            raise NotAnActivationError(f"torch.nn.{name}: {problem}")
        values[key] = value if isinstance(value, bool) else float(value)
    return values


def _literal(node: ast.AST) -> Any:
    """Return a number or a bool written as such; anything else as the text that the message quotes."""
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return node.value if sign == 1 else ast.unparse(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return sign * node.value
    return ast.unparse(node)
