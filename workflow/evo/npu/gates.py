"""What a variant has to keep to before it may train: the gates of the configuration, on the configured boards.

``check/npu.json`` holds facts only, for every board there is, so that another gate or board in a configuration makes
nothing again: the gates are applied where the facts are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config.session import NpuSettings
from ..config.variants import OPS_TARGETS, Variant
from ..errors import UserError
from ..text.message import Figure, Message


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
            sentences = [check["failed"].get(name, Message("not compiled yet"))]
        else:
            sentences = _missed(check["boards"][name], least, settings.max_latency_ms)
        missed += [Message("%(board)s: %(missed)s", board=name, missed=sentence) for sentence in sentences]
    return {
        "mode": settings.gate,
        "passed": not missed,
        "limits": {"min_ops_percent": least, "max_latency_ms": settings.max_latency_ms},
        "missed": missed,
    }


def _missed(facts: Mapping[str, Any], least: float | None, most_ms: float | None) -> list[Message]:
    """Return a sentence per gate that one board misses."""
    found = []
    if least is not None and facts["ops_percent"] < least:
        found.append(
            Message(
                "%(found)s of the operators on the NPU, %(asked)s %% are asked for",
                found=Figure("percent", facts["ops_percent"]),
                asked=f"{least:g}",
            )
        )
    latency = facts["estimate"]["latency_ms"]
    if latency is None:
        found.append(Message("nothing runs on the NPU"))
    elif most_ms is not None and latency > most_ms:
        found.append(
            Message(
                "%(found)s by Vela's estimate, %(allowed)s ms are allowed",
                found=Figure("latency", latency),
                allowed=f"{most_ms:g}",
            )
        )
    for kind, memory in facts["memory"].items():
        if memory["fits"] is False:
            found.append(
                Message(
                    "%(found)s of %(memory)s, the board has %(budget)s",
                    found=Figure("kibibytes", memory["used_kib"]),
                    memory=kind if kind == "flash" else kind.upper(),
                    budget=Figure("kibibytes", memory["budget_kib"]),
                )
            )
    return found


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
