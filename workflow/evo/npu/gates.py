"""What a variant has to keep to before it may train: the gates of the configuration, on the configured boards.

``check/npu.json`` holds facts only, for every board there is, so that another gate or board in a configuration makes
nothing again: the gates are applied where the facts are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import NpuSettings
from ..errors import UserError
from ..variants import OPS_TARGETS, Variant


def gate(variant: Variant, settings: NpuSettings, check: Mapping[str, Any]) -> dict[str, Any]:
    """Hold what the compiler said against the gates of the configuration.

    Args:
        variant: its level and activation have a target of their own.
        settings: the ``npu`` block.
        check: ``check/npu.json`` of the variant.

    Returns:
        ``{"mode", "passed", "limits", "missed"}``; ``missed`` has one sentence per gate that a board misses.
    """
    least = settings.min_ops_percent
    if least is None and variant.level is not None:
        least = OPS_TARGETS.get(variant.level, {}).get(str(variant.activation))
    missed = []
    for name in settings.boards:
        if name not in check["boards"]:
            missed.append(f"{name}: {check['failed'].get(name, 'not compiled yet')}")
            continue
        board = check["boards"][name]
        if least is not None and board["ops_percent"] < least:
            missed.append(
                f"{name}: {board['ops_percent']:.1f} % of the operators on the NPU, {least:g} % are asked for"
            )
        latency = board["estimate"]["latency_ms"]
        if latency is None:
            missed.append(f"{name}: nothing runs on the NPU")
        elif settings.max_latency_ms is not None and latency > settings.max_latency_ms:
            missed.append(f"{name}: {latency:.2f} ms by Vela's estimate, {settings.max_latency_ms:g} ms are allowed")
        for kind, memory in board["memory"].items():
            if memory["fits"] is False:
                missed.append(
                    f"{name}: {memory['used_kib']:,.0f} KiB of {kind}, the board has {memory['budget_kib']:,.0f}"
                )
    return {
        "mode": settings.gate,
        "passed": not missed,
        "limits": {"min_ops_percent": least, "max_latency_ms": settings.max_latency_ms},
        "missed": missed,
    }


def refuse_missed(variant: Variant, verdict: Mapping[str, Any]) -> None:
    """Refuse a variant that misses a gate, unless the gates only warn.

    Raises:
        UserError: naming the first gate that it misses.
    """
    if verdict["passed"] or verdict["mode"] == "warn":
        return
    more = len(verdict["missed"]) - 1
    raise UserError(
        f"{variant.name} misses {f'{more + 1} gates' if more else 'a gate'}: {verdict['missed'][0]}",
        where="npu",
        hint="change the model, the boards or the gate, or set npu.gate to 'warn'",
    )
