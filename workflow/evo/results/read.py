"""The results of the stages of one variant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.session import Session
from ..document_readers import reads_if_there
from ..errors import EvoError
from ..files import read_json
from ..layout import VariantLayout
from ..text.facts import Fact, fact
from .history import read_history
from .stages import Stage, variant_stages


@dataclass(frozen=True)
class Result:
    """The result of one stage.

    Attributes:
        stage: the stage.
        board: the board it ran for; None where it runs once per variant.
        done: whether its first output exists and is valid.
        document: the JSON document in that output, if it is one.
        damage: what is wrong with the output.
    """

    stage: Stage
    board: str | None
    done: bool
    document: dict[str, Any] | None
    damage: str | None

    @property
    def key(self) -> tuple[str, str | None]:
        """Rule and board."""
        return self.stage.rule, self.board

    def at(self, found: Fact) -> Fact:
        """Return a fact about this result, with its board if it has one."""
        return fact("at_board", board=self.board, what=found) if self.board else found


def read_results(session: Session, name: str) -> list[Result]:
    """Return the result of each stage that a variant can fail with, in the order of the stages and boards."""
    trained = session.layout.variant(name).training.is_file()
    return [
        _read(stage, stage.output(session.layout, name, board), board)
        for stage, board in variant_stages(session)
        if stage.fails_variant and not (trained and stage.before_training_only)
    ]


def _read(stage: Stage, path: Path, board: str | None) -> Result:
    if stage.schema is None:
        return Result(stage, board, path.exists(), None, None)
    document, damage = read_if_there(path, stage.schema)
    return Result(stage, board, document is not None, document, damage)


@reads_if_there
def read_if_there(path: Path, schema: str) -> tuple[Any, str | None]:
    """Return ``(document, None)``, ``(None, None)`` without a file, or ``(None, what is wrong with it)``."""
    if not Path(path).is_file():
        return None, None
    try:
        return read_json(path, schema), None
    except EvoError as error:
        return None, str(error)


def training_history(paths: VariantLayout) -> dict[str, list[float | None]]:
    """Return the history of the training, even while it runs or after it was interrupted."""
    return read_history(paths.results_csv) or read_history(paths.unfinished_csv)
