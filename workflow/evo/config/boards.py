"""Boards to compile for: an Ethos-U, how Vela models its system, and the memory there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, did_you_mean
from ..files import load_schema
from ..printable import quoted
from .strict_yaml import read_table
from .violations import kinds, unknown_keys, violations, where

BOARDS = Path(__file__).resolve().parents[3] / "config" / "boards"
MAX_BYTES = 100_000  # of a board file; the largest here has 2 KiB
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Board:
    """One file of ``config/boards``, or a user's own.

    Attributes:
        name: the file's name without its suffix; names the folder of what is compiled for it.
        platform: the chip or reference platform that the figures belong to.
        accelerator: Vela's ``--accelerator-config``.
        system_config: Vela's ``--system-config``, of its bundled ``Arm/vela.ini``.
        memory_mode: Vela's ``--memory-mode``, of the same file.
        clock_mhz: clock of the NPU that ``system_config`` computes with.
        sram_kib: SRAM that a model may use; None where it is of no concern. The same for the next two.
        flash_kib: flash that a compiled model may fill.
        dram_kib: DRAM that a model may use.
        source: where each figure comes from, by key.
    """

    name: str
    platform: str
    accelerator: str
    system_config: str
    memory_mode: str
    clock_mhz: float
    sram_kib: int | None
    flash_kib: int | None
    dram_kib: int | None
    source: Mapping[str, str]


def board_names() -> list[str]:
    """Return the names of the boards that come with the workflow."""
    return sorted(path.stem for path in BOARDS.glob("*.yaml"))


def load_board(name: str) -> Board:
    """Load a board by its name, or by the path of a ``.yaml`` or ``.yml`` file, relative to the working directory.

    Raises:
        UserError: there is no such board, or its file has an unknown key, a wrong value, or an accelerator and a system
            configuration of different generations, which Vela compiles without a warning.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name).resolve()
        if not path.is_file():
            raise UserError(
                f"board file not found: {path}", where="board", hint=f"or one of {', '.join(board_names())}"
            )
        if not NAME.fullmatch(path.stem):
            raise UserError(
                f"the name {quoted(path.stem)} cannot name a folder",
                where=path,
                hint="letters, digits, '-', '_' and '.' only",
            )
    else:
        path = BOARDS / f"{name}.yaml"
        if name not in board_names():
            raise UserError(f"unknown board {quoted(name)}", where="board", hint=did_you_mean(name, board_names()))
    document = read_table(path, "board", MAX_BYTES)
    schema = load_schema("board")
    sentences = map(_explain, violations(document, schema))
    if problems := list(dict.fromkeys(sentences)):  # each missing key is a violation, with the same explanation
        raise UserError("; ".join(problems), where=path)
    defaults = {key: sub["default"] for key, sub in schema["properties"].items() if "default" in sub}
    board = Board(name=path.stem, **{**defaults, **document})
    generation = board.accelerator.rpartition("-")[0].replace("-", "_")  # ethos-u55-256: ethos_u55
    if not board.system_config.lower().startswith(generation):
        raise UserError(
            f"'system_config' {board.system_config} belongs to another generation than 'accelerator' "
            f"{board.accelerator}",
            where=path,
        )
    return board


def _explain(error: Any) -> str:
    """Return one sentence for a schema violation."""
    key = where(error)
    if error.validator == "additionalProperties":
        return unknown_keys(error)
    if error.validator == "enum":
        return f"unknown {key} {quoted(error.instance)}, {did_you_mean(error.instance, error.validator_value)}"
    if error.validator == "type":
        return f"'{key}' must be {kinds(error)}, not {quoted(error.instance)}"
    if error.validator == "required":
        missing = [f"'{name}'" for name in error.validator_value if name not in error.instance]
        return f"missing: {', '.join(missing)}"
    return f"'{key}': {error.message}"
