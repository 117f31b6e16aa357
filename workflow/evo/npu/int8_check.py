"""Check of an int8 model: it has the activation operators that the checked network executes."""

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
        executed: calls per part of one forward pass, from ``activations.json``. A ``sigmoid`` there is of the decoding
            of the head, which is left to the host.
        end2end: whether the network has a second, one-to-one head, a copy of the first that is not exported.
    """
    calls: Counter[str] = Counter()
    for part, counts in executed.items():
        heads = 2 if end2end and part == "detect" else 1
        calls.update(
            {OPERATORS.get(name, name.upper()): count // heads for name, count in counts.items() if name != "sigmoid"}
        )
    return dict(sorted(calls.items()))


def verify_activations(
    executed: Mapping[str, Mapping[str, int]], found: Mapping[str, int], end2end: bool = False
) -> dict[str, dict[str, int]]:
    """Return the expected and the found counts of activation operators, for ``metadata.json`` and ``npu.json``.

    Args:
        executed: see `expected_activations`.
        found: operators of the int8 model by type.
        end2end: see `expected_activations`.

    Raises:
        EvoError: they differ; the message has both.
    """
    expected = expected_activations(executed, end2end)
    if dict(found) != expected:
        raise EvoError(
            f"the int8 model has {_counted(found)}, the checked network has {_counted(expected)}",
            hint="this model does not compute what was trained: report it with the model file",
        )
    return {"expected": expected, "found": dict(found)}


def _counted(counts: Mapping[str, Any]) -> str:
    named: Iterable[str] = (f"{count} {name}" for name, count in counts.items())
    return ", ".join(named) or "no activation"
