"""The modules a model file may name, and what each may be given.

Arguments are those of the file: without the input channels, and for repeated blocks without the number of repeats,
both of which Ultralytics inserts (``nn/tasks.py``, ``parse_model``). Names, order and defaults are those of the
installed classes; a test compares them with the signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REQUIRED = object()
MAX_CHANNELS = 4096
MAX_KERNEL = 15
MAX_COUNT = 64


@dataclass(frozen=True)
class Parameter:
    """One argument of a module: its name, the kind of value it takes (a key of `KINDS`) and its default."""

    name: str
    kind: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class Module:
    """One module of the allow-list.

    Attributes:
        parameters: arguments in the order of the file.
        many: it takes a list of layers (``from: [-1, 6]``) instead of one.
        scaled: the first argument is its output channels, scaled by the width; else the channels pass through.
        repeats: how ``repeats`` is meant: ``inside`` (handed to the block), ``chained`` or ``once``.
    """

    parameters: tuple[Parameter, ...]
    many: bool = False
    scaled: bool = True
    repeats: str = "chained"


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _odd_sizes(value: Any, low: int, high: int) -> bool:
    return (
        isinstance(value, list) and low <= len(value) <= high and all(_whole(k, 1, MAX_KERNEL) and k % 2 for k in value)
    )


KINDS: dict[str, tuple[str, Any]] = {
    "channels": (f"a whole number of channels, 1 to {MAX_CHANNELS}", lambda v: _whole(v, 1, MAX_CHANNELS)),
    "kernel": (f"a kernel size, 1 to {MAX_KERNEL}", lambda v: _whole(v, 1, MAX_KERNEL)),
    "odd kernel": (f"an odd kernel size, 1 to {MAX_KERNEL}", lambda v: _whole(v, 1, MAX_KERNEL) and v % 2),
    "pair of kernels": ("two odd kernel sizes, [3, 3]", lambda v: _odd_sizes(v, 2, 2)),
    "list of kernels": ("a list of odd kernel sizes, [5, 9, 13]", lambda v: _odd_sizes(v, 1, 8)),
    "stride": ("a stride, 1 to 8", lambda v: _whole(v, 1, 8)),
    "padding": ("a padding in pixels, or None", lambda v: v is None or _whole(v, 0, MAX_KERNEL)),
    "pixels": ("a number of pixels, 0 or more", lambda v: _whole(v, 0, MAX_KERNEL)),
    "groups": (f"a number of groups, 1 to {MAX_CHANNELS}", lambda v: _whole(v, 1, MAX_CHANNELS)),
    "count": (f"a whole number, 1 to {MAX_COUNT}", lambda v: _whole(v, 1, MAX_COUNT)),
    "flag": ("True or False", lambda v: isinstance(v, bool)),
    "activation": ("True or False", lambda v: isinstance(v, bool)),
    "ratio": (
        "a ratio above 0 and up to 2",
        lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v <= 2,
    ),
    "nothing": ("None", lambda v: v is None),
    "factor": ("a whole factor, 1 to 8", lambda v: _whole(v, 1, 8)),
    "mode": ("'nearest' or 'bilinear'", lambda v: v in ("nearest", "bilinear") and isinstance(v, str)),
    "dimension": ("1, the channels", lambda v: _whole(v, 1, 1)),
    "classes": ("the word nc: training replaces it by the classes of the dataset", lambda v: v == "nc"),
}
"""Kinds of arguments: how a message describes the kind, and the test of a value."""

_C2 = Parameter("c2", "channels")
_ACT = Parameter("act", "activation", True)
_G = Parameter("g", "groups", 1)
_E = Parameter("e", "ratio", 0.5)


def _kernel(default: int = 1) -> Parameter:
    return Parameter("k", "kernel", default)


def _stride(default: int = 1) -> Parameter:
    return Parameter("s", "stride", default)


def _shortcut(default: bool) -> Parameter:
    return Parameter("shortcut", "flag", default)


MODULES: dict[str, Module] = {
    "Conv": Module(
        (_C2, _kernel(), _stride(), Parameter("p", "padding", None), _G, Parameter("d", "count", 1), _ACT),
    ),
    "DWConv": Module((_C2, _kernel(), _stride(), Parameter("d", "count", 1), _ACT)),
    "ConvTranspose": Module(
        (_C2, _kernel(2), _stride(2), Parameter("p", "pixels", 0), Parameter("bn", "flag", True), _ACT)
    ),
    "GhostConv": Module((_C2, _kernel(), _stride(), _G, _ACT)),
    "Bottleneck": Module((_C2, _shortcut(True), _G, Parameter("k", "pair of kernels", (3, 3)), _E)),
    "C2": Module((_C2, _shortcut(True), _G, _E), repeats="inside"),
    "C2f": Module((_C2, _shortcut(False), _G, _E), repeats="inside"),
    "C3": Module((_C2, _shortcut(True), _G, _E), repeats="inside"),
    "C3Ghost": Module((_C2, _shortcut(True), _G, _E), repeats="inside"),
    "C3k2": Module(
        (_C2, Parameter("c3k", "flag", False), _E, Parameter("attn", "flag", False), _G, _shortcut(True)),
        repeats="inside",
    ),
    "RepC3": Module((_C2, Parameter("e", "ratio", 1.0)), repeats="inside"),
    "C2PSA": Module((_C2, _E), repeats="inside"),
    "SPP": Module((_C2, Parameter("k", "list of kernels", (5, 9, 13)))),
    "SPPF": Module((_C2, Parameter("k", "odd kernel", 5), Parameter("n", "count", 3), _shortcut(False))),
    "nn.Upsample": Module(
        (
            Parameter("size", "nothing", None),
            Parameter("scale_factor", "factor"),
            Parameter("mode", "mode", "nearest"),
        ),
        scaled=False,
    ),
    "nn.MaxPool2d": Module(
        (
            Parameter("kernel_size", "kernel"),
            Parameter("stride", "stride", None),
            Parameter("padding", "pixels", 0),
        ),
        scaled=False,
    ),
    "nn.Identity": Module((), scaled=False),
    "Concat": Module((Parameter("dimension", "dimension", 1),), many=True, scaled=False, repeats="once"),
    "Detect": Module((Parameter("nc", "classes"),), many=True, scaled=False, repeats="once"),
}
"""What a model file may name, with its arguments."""


def literal(value: Any) -> Any:
    """Return an argument as the module receives it: YAML has no None, Ultralytics reads the word."""
    return None if value == "None" else value


def _quoted(value: Any) -> str:
    text = "a table" if isinstance(value, dict) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def argument_problems(name: str, values: list[Any]) -> list[str]:
    """Check the arguments of one layer against the allow-list; return one message per problem.

    Args:
        name: a key of `MODULES`.
        values: the arguments of the file.
    """
    parameters = MODULES[name].parameters
    if len(values) > len(parameters):
        wanted = f"at most {len(parameters)} ({', '.join(p.name for p in parameters)})" if parameters else "none"
        return [f"{name} is given {len(values)} arguments, it takes {wanted}"]
    missing = [p.name for p in parameters[len(values) :] if p.default is REQUIRED]
    found = [f"{name} needs the argument '{name_}'" for name_ in missing]
    for parameter, value in zip(parameters, map(literal, values), strict=False):
        described, fits = KINDS[parameter.kind]
        if parameter.kind == "activation" and isinstance(value, str):
            found.append(
                f"{name}: a string as the activation of one layer ({_quoted(value)}) becomes no activation at all in "
                "Ultralytics (Identity, without a warning): use True, and the key 'activation' for the whole network"
            )
        elif not fits(value):
            found.append(f"{name}: '{parameter.name}' must be {described}, not {_quoted(value)}")
    return found


def bind(name: str, values: list[Any]) -> Mapping[str, Any]:
    """Return the arguments of one checked layer by name, defaults included."""
    parameters = MODULES[name].parameters
    given = [literal(value) for value in values]
    given += [parameter.default for parameter in parameters[len(given) :]]
    return {
        parameter.name: tuple(value) if isinstance(value, list) else value
        for parameter, value in zip(parameters, given, strict=True)
    }
