"""Model files for tests: a good one, changed in one place."""

from __future__ import annotations

from pathlib import Path

from workflow.evo.config.variants import ACTIVATIONS, GRID, LEVEL_NAMES, model_file
from workflow.evo.models import graph
from workflow.evo.models.definition import load_definition
from workflow.evo.models.problems import ModelError

FILES = [model_file(level, activation) for level, activation in GRID]
GOOD = model_file(4, "relu").read_text()
STEMS = [f"npu_level{level}_{LEVEL_NAMES[level]}_{activation}" for level in LEVEL_NAMES for activation in ACTIVATIONS]


def write(folder: Path, *changes: tuple[str, str], name: str = "mine.yaml", text: str = GOOD) -> Path:
    """Write ``text`` with every (old, new) of ``changes`` applied once; the old has to be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = folder / name
    path.write_text(text)
    return path


def line_of(text: str, words: str) -> int:
    """Return the number of the first line that holds ``words``, from 1."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)


def refusal(path: Path) -> list[str]:
    """Return the lines of the refusal; fails when the file is accepted."""
    try:
        graph.load(path)
    except ModelError as error:
        assert error.exit_code == 2
        return str(error).splitlines()
    raise AssertionError(f"{path} was accepted")


def fingerprint(path: Path, nc: int = 10) -> str:
    return graph.fingerprint(graph.resolve(load_definition(path), nc))
