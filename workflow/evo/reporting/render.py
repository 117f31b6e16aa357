"""The reports in Markdown. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..text.language import ENGLISH, Language
from ..text.markdown import Markdown, escape, link_target
from .summary import VariantSummary
from .templating import environment_of
from .views import placements, views


def variant_markdown(summary: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return ``{variant}_training_report.md``; links are relative to the session's folder."""
    checked = summary["preflight"]["boards"] if summary["preflight"] else {}
    view = VariantSummary(summary)
    return _markdown(
        "variant.md.j2",
        language,
        v=summary,
        view=view,
        placements=placements([view], summary["boards"]),
        others={board: facts for board, facts in checked.items() if board not in summary["boards"]},
    )


def session_markdown(summary: Mapping[str, Any], language: Language = ENGLISH) -> str:
    """Return ``report.md`` of a session."""
    return _markdown("session.md.j2", language, s=summary, **views(summary))


def _markdown(template: str, language: Language, **values: Any) -> str:
    return _markdown_environment(language).get_template(template).render(**values)


@cache
def _markdown_environment(language: Language) -> Any:
    # The texts of the catalogue are Markdown; what is inserted into them is not.
    found = environment_of(language, Markdown, autoescape=False, finalize=escape)
    found.filters["path"] = link_target
    found.filters["raw"] = Markdown
    return found
