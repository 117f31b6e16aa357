"""One document that answers which variant of a session is best, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ..config.session import Session
from ..results.collect import collect_variant
from ..results.read import read_if_there
from ..text.facts import fact
from .accuracies import read_accuracies
from .boards import decisions, differences
from .comparability import warnings
from .criteria import criteria
from .headline import headline
from .summary import VariantSummary


def compare(session: Session, summaries: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a document of ``session_summary.schema.json`` from whatever exists of the session.

    Its conclusions are facts, the same in every language; `workflow.evo.text.facts.sentence` words them.

    Args:
        session: the session.
        summaries: documents of ``summary.schema.json``; a variant without one is collected anew.
    """
    known = {summary["variant"]: summary for summary in summaries}
    documents = [known.get(name) or collect_variant(session, name) for name in session.variant_names]
    variants = [VariantSummary(document) for document in documents]
    dataset, dataset_problem = read_if_there(session.layout.fingerprint, "fingerprint")
    environment, environment_problem = read_if_there(session.layout.environment, "environment")
    accuracies, damaged = read_accuracies(session.root, variants)
    decided = decisions(variants, session.npu.boards, session.goal, accuracies.of("int8"))
    board = session.goal.board
    problems = [fact("quoted", text=problem) for problem in (dataset_problem, environment_problem) if problem]
    finished = [v.training.finished for v in variants if v.training.finished]
    return {
        "session": session.name,
        "as_of": max(finished, key=datetime.fromisoformat, default=None),
        "boards": list(session.npu.boards),
        "replicates": session.replicates,
        "decisions": [decision.document() for decision in decided],
        "differences": differences(decided, variants),
        "accuracies": accuracies.document(variants),
        "headline": headline(variants, board, accuracies.of("float")),
        "settings": dict(session.train.arguments),
        "dataset": dataset,
        "environment": environment,
        "variants": documents,
        "criteria": criteria(variants, board),
        "incidents": [{"variant": v.name, **incident} for v in variants for incident in v.document["incidents"]],
        "warnings": [found.document() for found in [*problems, *damaged, *warnings(variants, session.npu.boards)]],
    }
