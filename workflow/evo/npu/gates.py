"""The gates that a variant has to pass before it may train: those of the configuration, on the configured boards.

``check/npu.json`` holds facts only, for every board there is, so that another gate or board in a configuration makes
nothing again: the gates are applied where the facts are read. What a board misses stays data; `workflow.evo.text`
makes a sentence of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..config.session import NpuSettings
from ..config.variants import ACTIVATIONS, Variant
from ..errors import UserError
from ..text.misses import missed_gate


@dataclass(frozen=True)
class Miss:
    """A gate that a board misses.

    Attributes:
        board: name of the board.
        kind: ``operators``, ``latency``, ``nothing_on_npu``, ``sram``, ``flash``, ``dram``, ``not_compiled`` or
            ``failed``: the compiler failed.
        found: percent of the operators, milliseconds or KiB by kind; the error of the compiler, as the document of a
            fact, where it failed; otherwise None.
        limit: what the gate or the board allows, in the unit of ``found``; None where there is no figure.
    """

    board: str
    kind: str
    found: float | dict[str, Any] | None = None
    limit: float | None = None


def gate(variant: Variant, settings: NpuSettings, check: Mapping[str, Any]) -> dict[str, Any]:
    """Check what the compiler found against the gates of the configuration.

    Args:
        variant: its level and activation have a target of their own.
        settings: the ``npu`` block.
        check: ``check/npu.json`` of the variant.

    Returns:
        ``{"mode", "passed", "limits", "missed"}``; ``missed`` has the document of each `Miss`.
    """
    least = settings.min_ops_percent
    if least is None and variant.level is not None and variant.activation is not None:
        least = ACTIVATIONS[variant.activation].min_ops_percent.get(variant.level)
    missed = [
        asdict(miss) for board in settings.boards for miss in _misses(board, check, least, settings.max_latency_ms)
    ]
    return {
        "mode": settings.gate,
        "passed": not missed,
        "limits": {"min_ops_percent": least, "max_latency_ms": settings.max_latency_ms},
        "missed": missed,
    }


def _misses(board: str, check: Mapping[str, Any], least: float | None, most_ms: float | None) -> Iterator[Miss]:
    """Yield the gates that one board misses."""
    if board not in check["boards"]:
        if board not in check["failed"]:
            yield Miss(board, "not_compiled")
        else:
            yield Miss(board, "failed", check["failed"][board])
        return
    facts = check["boards"][board]
    if least is not None and facts["ops_percent"] < least:
        yield Miss(board, "operators", facts["ops_percent"], least)
    latency = facts["estimate"]["latency_ms"]
    if latency is None:
        yield Miss(board, "nothing_on_npu")
    elif most_ms is not None and latency > most_ms:
        yield Miss(board, "latency", latency, most_ms)
    for kind, memory in facts["memory"].items():
        if memory["fits"] is False:
            yield Miss(board, kind, memory["used_kib"], memory["budget_kib"])


def missed_on(check: Mapping[str, Any] | None, board: str) -> list[dict[str, Any]] | None:
    """Return the misses of one board from ``{"gate": …}`` of `gate`; None where nothing was checked."""
    return None if check is None else [miss for miss in check["gate"]["missed"] if miss["board"] == board]


def refuse_missed(variant: Variant, verdict: Mapping[str, Any]) -> None:
    """Refuse a variant that misses a gate, unless the gates only warn.

    Raises:
        UserError: naming the first gate that it misses.
    """
    if verdict["passed"] or verdict["mode"] == "warn":
        return
    first, *more = verdict["missed"]
    raise UserError(
        f"{variant.name} misses {f'{len(more) + 1} gates' if more else 'a gate'}: {missed_gate(first)}",
        where="npu",
        hint="change the model, the boards or the gate, or set npu.gate to 'warn'",
    )
