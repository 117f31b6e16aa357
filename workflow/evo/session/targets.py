"""Targets on Snakemake's command line that no rule of this session makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from ..config.session import FOLDERS, Session
from ..errors import UserError, did_you_mean

REPORT = re.compile(r"(.+)_training_(?:report\.md|summary\.json)")


def unknown_targets(
    session: Session, arguments: Sequence[str], targets_of: Callable[[Sequence[str]], Iterable[str]]
) -> None:
    """Refuse a target that belongs to a variant or a session which is not configured.

    Args:
        session: the session.
        arguments: the command line of Snakemake, without the program.
        targets_of: tells which of them are targets (`-d results/x/y` is none); called only when one looks wrong.

    Raises:
        UserError: naming the nearest variant.
    """
    refusals = {argument: refusal for argument in arguments if (refusal := _refusal(session, argument))}
    if not refusals:
        return
    for target in targets_of(arguments):
        if target in refusals:
            raise refusals[target]


def _refusal(session: Session, target: str) -> UserError | None:
    path = PurePosixPath(target)
    if path.is_relative_to(session.root):
        parts = path.relative_to(session.root).parts
        name = _variant_of(parts)
        if name is not None and name not in session.variant_names:
            return UserError(f"unknown variant '{name}'", where=target, hint=did_you_mean(name, session.variant_names))
        if name is not None and parts[1:2] == ("npu",) and len(parts) > 3 and parts[2] not in session.npu.boards:
            hint = f"{did_you_mean(parts[2], session.npu.boards)} Boards are named in 'npu.boards'"
            return UserError(f"no board '{parts[2]}' in this session", where=target, hint=hint)
    elif path.parts[:1] == ("results",) and len(path.parts) > 2:
        return UserError(
            f"the session is '{session.name}', not '{path.parts[1]}'",
            where=target,
            hint=f"name its configuration with --configfile, or ask for results/{session.name}/…",
        )
    return None


def _variant_of(parts: tuple[str, ...]) -> str | None:
    """Return the variant that a file of the session, given by the parts of its path, belongs to."""
    if len(parts) > 1:
        return parts[0] if parts[0] not in FOLDERS else None
    report = REPORT.fullmatch(parts[0]) if parts else None
    return report[1] if report else None
