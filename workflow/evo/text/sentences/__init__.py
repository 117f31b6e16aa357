"""The sentence of each code, by subject. Two subjects do not share a code."""

from __future__ import annotations

from . import common, comparison, dataset, decision, host, models, npu, results, training
from .sentence import Sentence

SENTENCES: dict[str, Sentence] = {
    **common.SENTENCES,
    **training.SENTENCES,
    **host.SENTENCES,
    **dataset.SENTENCES,
    **models.SENTENCES,
    **npu.SENTENCES,
    **results.SENTENCES,
    **comparison.SENTENCES,
    **decision.SENTENCES,
}
"""By code."""
