"""Holding the activation functions of an int8 model against what its level promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import EvoError

OPERATORS = {
    "relu": "RELU",
    "hardtanh": "RELU6",  # what torch executes for ReLU6
    "leaky_relu": "LEAKY_RELU",
    "silu": "LOGISTIC",  # x · sigmoid(x): a LOGISTIC and a MUL
    "hardswish": "HARD_SWISH",
}
"""What a torch function becomes in a LiteRT model."""


def expected_activations(executed: Mapping[str, Mapping[str, int]], end2end: bool = False) -> dict[str, int]:
    """Return how many activation operators an int8 model has to have.

    Args:
        executed: calls per part of one forward pass, from ``activations.json``. A ``sigmoid`` there belongs to the
            decoding of the head, which the exported model leaves to the host.
        end2end: whether the network has a second, one-to-one head. It is a copy of the first, and not exported.
    """
    calls: Counter[str] = Counter()
    for part, counts in executed.items():
        heads = 2 if end2end and part == "detect" else 1
        calls.update(
            {OPERATORS.get(name, name.upper()): count // heads for name, count in counts.items() if name != "sigmoid"}
        )
    return dict(sorted(calls.items()))


def prove(
    executed: Mapping[str, Mapping[str, int]], found: Mapping[str, int], end2end: bool = False
) -> dict[str, dict[str, int]]:
    """Return the expected and the found counts; for the arguments see `expected_activations`.

    Raises:
        EvoError: they differ; the message has both.
    """
    expected = expected_activations(executed, end2end)
    if dict(found) != expected:
        raise EvoError(
            f"the int8 model has {_words(found)}, the checked network promises {_words(expected)}",
            hint="this model does not compute what was trained: report it with the model file",
        )
    return {"expected": expected, "found": dict(found)}


def _words(counts: Mapping[str, Any]) -> str:
    named: Iterable[str] = (f"{count} {name}" for name, count in counts.items())
    return ", ".join(named) or "no activation"
