"""The best variants of a session by each criterion that a reader may rank them by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..text.facts import fact
from ..text.sentences import SENTENCES
from ..text.wording import FIGURES
from .summary import VariantSummary


@dataclass(frozen=True)
class Criterion:
    """One question a reader may rank the variants by.

    Its title is the sentence ``best_{key}``; what its figure is not, where that needs saying, ``best_{key}_note``.

    Attributes:
        key: names it in ``summary.json``.
        value: reads it from a variant, for a board; None where it is not known or not comparable.
        higher: whether higher is better.
        figure: how a value is written, one of ``wording.FIGURES``; values that are written alike are a tie.
        estimate: whether it is the compiler's estimate.
    """

    key: str
    value: Callable[[VariantSummary, str], float | None]
    higher: bool
    figure: str
    estimate: bool = False


CRITERIA = (
    Criterion("val_map50_95", lambda v, _: v.val.map50_95, True, "metric"),
    Criterion("val_map50", lambda v, _: v.val.map50, True, "metric"),
    Criterion("test_map50_95", lambda v, _: v.test.map50_95, True, "metric"),
    Criterion("val_recall", lambda v, _: v.val.recall, True, "metric"),
    Criterion("int8_map50_95", lambda v, _: v.int8_val.map50_95, True, "metric"),
    Criterion("int8_difference", lambda v, _: v.int8_change, False, "metric"),
    Criterion("vela_latency_ms", lambda v, board: v.trained(board).whole_latency_ms, False, "latency", estimate=True),
    Criterion("sram_kib", lambda v, board: v.trained(board).used_kib("sram"), False, "kibibytes"),
    Criterion("flash_kib", lambda v, board: v.trained(board).used_kib("flash"), False, "kibibytes"),
    Criterion("parameters", lambda v, _: v.parameters, False, "count"),
    Criterion("epochs_seconds", lambda v, _: v.training.epochs_seconds, False, "duration"),
    Criterion("inference_ms", lambda v, _: v.val.inference_ms, False, "milliseconds"),
)


def criteria(variants: Iterable[VariantSummary], board: str) -> list[dict[str, Any]]:
    """Return the best variants by each criterion that two or more finished variants have a value for.

    Args:
        variants: their summaries.
        board: name of the board whose figures are compared.
    """
    finished = [v for v in variants if v.done]
    found = []
    for criterion in CRITERIA:
        values = {v.name: value for v in finished if (value := criterion.value(v, board)) is not None}
        if len(values) < 2 or (criterion.higher and not any(values.values())):  # nobody is best at detecting nothing
            continue
        best = (max if criterion.higher else min)(values.values())
        written = FIGURES[criterion.figure]
        winners = [name for name, value in values.items() if written(value) == written(best)]
        title, note = f"best_{criterion.key}", f"best_{criterion.key}_note"
        found.append(
            {
                "key": criterion.key,
                "title": fact(title, **({"board": board} if SENTENCES[title].parameters else {})).document(),
                "value": best,
                "figure": criterion.figure,
                "estimate": criterion.estimate,
                "variants": winners,
                "tie": len(winners) > 1,
                "all": len(winners) == len(values),
                "note": fact(note).document() if note in SENTENCES else None,
            }
        )
    return found
