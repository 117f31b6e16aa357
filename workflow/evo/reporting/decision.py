"""Which variant to ship on the first board: the facts, and the two sentences that say why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..text.language import Language
from ..text.wording import latency, listed, metric
from .compare import NOISE, done, value_at, whole_latency


@dataclass(frozen=True)
class Contender:
    """What the decision looks at of one variant.

    Attributes:
        name: of the variant.
        int8: mAP50-95 on val as int8, measured on a host.
        latency_ms: Vela's estimate; None where it leaves operators out.
        missed: the gates that the variant misses on the board.
    """

    name: str
    int8: float
    latency_ms: float | None
    missed: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """The variant to ship, or why there is none.

    Attributes:
        board: the one that it is for.
        chosen: the fastest of ``close`` by Vela's estimate; None where no complete variant passes all gates.
        accurate: the one with the highest accuracy as int8 among those that pass.
        close: those that pass and are less than the noise behind ``accurate``, which is among them.
        passed: all complete variants that pass.
        missed: the complete ones that do not.
        open: names of the variants that are not complete.
    """

    board: str
    chosen: Contender | None
    accurate: Contender | None
    close: tuple[Contender, ...]
    passed: tuple[Contender, ...]
    missed: tuple[Contender, ...]
    open: tuple[str, ...]


def decide(variants: Iterable[Mapping[str, Any]], board: str) -> Decision:
    """Return the decision for ``board``: accuracy as int8 first, and within the noise of it the lowest latency."""
    variants = list(variants)
    finished = done(variants)
    contenders = [_contender(v, board) for v in finished if value_at(v, ("int8", "val", "map50_95")) is not None]
    passed = sorted((c for c in contenders if not c.missed), key=lambda c: -c.int8)
    close = [c for c in passed if round(passed[0].int8 - c.int8, 6) < NOISE]
    return Decision(
        board=board,
        chosen=min(close, key=_pace, default=None),
        accurate=passed[0] if passed else None,
        close=tuple(close),
        passed=tuple(passed),
        missed=tuple(c for c in contenders if c.missed),
        open=tuple(v["variant"] for v in variants if v["status"] != "done"),
    )


def _contender(variant: Mapping[str, Any], board: str) -> Contender:
    facts = value_at(variant, ("npu", board))
    prefix = f"{board}: "
    missed = [
        sentence.removeprefix(prefix)
        for sentence in value_at(variant, ("preflight", "gate", "missed")) or ()
        if sentence.startswith(prefix)
    ]
    return Contender(
        name=variant["variant"],
        int8=variant["int8"]["val"]["map50_95"],
        latency_ms=whole_latency(facts) if facts else None,
        missed=tuple(missed),
    )


def _pace(contender: Contender) -> tuple[float, float]:
    fastest = float("inf") if contender.latency_ms is None else contender.latency_ms
    return fastest, -contender.int8


def sentences(decision: Decision, language: Language) -> tuple[str, str]:
    """Return what to ship and why, each a sentence or two."""
    _ = language.gettext
    if decision.chosen is None:
        if not decision.missed:
            return (
                _("No variant can be recommended yet for %(board)s.") % {"board": decision.board},
                _("A recommendation needs a complete variant with a measured accuracy as int8."),
            )
        return (
            _("No complete variant passes the gates of %(board)s.") % {"board": decision.board},
            _("The gates that each of them misses are listed below."),
        )
    chosen, accurate = decision.chosen, decision.accurate
    what = _("Ship %(variant)s on %(board)s.") % {"variant": chosen.name, "board": decision.board}
    values = {
        "variant": chosen.name,
        "accuracy": metric(chosen.int8, language),
        "latency": latency(chosen.latency_ms, language),
        "best": accurate.name,
        "highest": metric(accurate.int8, language),
        "noise": NOISE,
        "others": listed((c.name for c in decision.close if c is not chosen), language),
        "close": len(decision.close),
    }
    if len(decision.passed) == 1:
        why = _(
            "It is the only complete variant that passes the gates: mAP50-95 %(accuracy)s on val as int8, "
            "%(latency)s by Vela's estimate."
        )
    elif len(decision.close) == 1:
        values["num"] = len(decision.passed) - 1
        why = language.ngettext(
            "It passes the gates and has the highest mAP50-95 on val as int8, %(accuracy)s, at least %(noise)s ahead "
            "of the other one that passes; %(latency)s by Vela's estimate.",
            "It passes the gates and has the highest mAP50-95 on val as int8, %(accuracy)s, at least %(noise)s ahead "
            "of the other %(num)s that pass; %(latency)s by Vela's estimate.",
            values["num"],
        )
    elif chosen.latency_ms is None:
        why = _(
            "It passes the gates and has mAP50-95 %(accuracy)s on val as int8, but %(others)s cannot be told from it: "
            "differences below %(noise)s are noise, and no latency of a whole network is known."
        )
    elif chosen is accurate:
        why = _(
            "It passes the gates and has the highest mAP50-95 on val as int8, %(accuracy)s. It cannot be told from "
            "%(others)s, since differences below %(noise)s are noise, but it has the lowest latency of these by Vela's "
            "estimate: %(latency)s."
        )
    else:
        why = _(
            "It passes the gates with mAP50-95 %(accuracy)s on val as int8. The highest is %(highest)s, of %(best)s, "
            "but differences below %(noise)s are noise, and of the %(close)d variants that close this one has the "
            "lowest latency by Vela's estimate: %(latency)s."
        )
    return what, why % values
