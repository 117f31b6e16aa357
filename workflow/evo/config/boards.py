"""Boards to compile for: an Ethos-U, how Vela models its system, and the memory there is."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, did_you_mean
from ..files import load_schema
from ..printable import quoted
from .strict_yaml import read_table
from .violations import kinds, unknown_keys, violations, where

BOARDS = Path(__file__).resolve().parents[3] / "config" / "boards"
MAX_BYTES = 100_000  # of a board file; the largest here has 3 KiB
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

SYSTEMS = (
    *("Ethos_U55_Deep_Embedded", "Ethos_U55_High_End_Embedded"),
    *("Ethos_U65_Embedded", "Ethos_U65_Mid_End", "Ethos_U65_High_End", "Ethos_U65_Client_Server"),
    *("Ethos_U85_SYS_Flash_Low", "Ethos_U85_SYS_Flash_High"),
    *("Ethos_U85_SYS_DRAM_Low", "Ethos_U85_SYS_DRAM_Mid", "Ethos_U85_SYS_DRAM_High"),
)
"""System configurations of Vela's bundled ``Arm/vela.ini``."""

MODES = (
    *("Sram_Only", "Shared_Sram", "Dedicated_Sram"),
    *("Dedicated_Sram_256KB", "Dedicated_Sram_384KB", "Dedicated_Sram_512KB"),
)
"""Memory modes of the same file."""

RENAMED = {f"ethos-{name}": f"preset-{name}" for name in ("u55-128", "u55-256", "u65-256", "u65-512", "u85-256")}
"""What version 0.1.0 called Arm's reference configurations, which are not boards."""


@dataclass(frozen=True)
class Board:
    """One file of ``config/boards``, or a user's own.

    Attributes:
        name: the file's name without its suffix; names the folder of what is compiled for it.
        platform: the chip or reference platform that the figures belong to.
        accelerator: Vela's ``--accelerator-config``.
        system_config: Vela's ``--system-config``: a name, or the values of a section by Vela's names.
        memory_mode: Vela's ``--memory-mode``, likewise.
        clock_mhz: clock of the NPU that ``system_config`` computes with.
        sram_kib: SRAM that a model may use; None where it is of no concern. The same for the next two.
        flash_kib: flash that a compiled model may fill.
        dram_kib: DRAM that a model may use.
        source: where each figure comes from, by key.
        vela_config: a vendor's ini file that has the two names; None for Vela's own.
        vela: ``version`` of the compiler that the board needs, and its ``path`` where it is not the installed one.
        assumed: what no public source gives, and what stands in for it.
    """

    name: str
    platform: str
    accelerator: str
    system_config: str | Mapping[str, Any]
    memory_mode: str | Mapping[str, Any]
    clock_mhz: float
    sram_kib: int | None
    flash_kib: int | None
    dram_kib: int | None
    source: Mapping[str, str]
    vela_config: Path | None = None
    vela: Mapping[str, str] | None = None
    assumed: Sequence[str] = ()

    @property
    def generation(self) -> str:
        """Beginning of the names of Vela's system configurations for this NPU: ``Ethos_U55``."""
        return self.accelerator.rpartition("-")[0].replace("-", "_").replace("ethos_u", "Ethos_U")

    @property
    def system_name(self) -> str:
        """Name of the system configuration that Vela is given; it begins with `generation`.

        Vela 5.2 takes the width of the buses from the name: under any other one it computes the memories of an
        Ethos-U55 twice as fast as they are.
        """
        name = self.system_config if isinstance(self.system_config, str) else self._own_name
        return name if name.startswith(self.generation) else f"{self.generation}_{name}"

    @property
    def mode_name(self) -> str:
        """Name of the memory mode, its own for values of the board."""
        return self.memory_mode if isinstance(self.memory_mode, str) else self._own_name

    @property
    def _own_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9_]", "_", self.name)

    def own_sections(self) -> str:
        """Return what Vela needs besides the named ini file: values of the board, or a name that it takes."""
        tables = (
            (f"System_Config.{self.system_name}", self.system_config),
            (f"Memory_Mode.{self.mode_name}", self.memory_mode),
        )
        sections = []
        for title, table in tables:
            if not isinstance(table, str):
                lines = (f"{key}={_plain(value)}" for key, value in table.items())
                sections.append("\n".join([f"[{title}]", *lines, ""]))
        if self.system_name != self.system_config and isinstance(self.system_config, str):
            sections.append(f"[System_Config.{self.system_name}]\ninherit=System_Config.{self.system_config}\n")
        return "\n".join(sections)


def _plain(value: Any) -> str:
    return repr(int(value) if isinstance(value, float) and value.is_integer() else value).strip("'")


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
        if name in RENAMED:
            raise UserError(f"the board {quoted(name)} is now called {RENAMED[name]}", where="board")
        if name not in board_names():
            raise UserError(f"unknown board {quoted(name)}", where="board", hint=did_you_mean(name, board_names()))
    document = read_table(path, "board", MAX_BYTES)
    schema = load_schema("board")
    sentences = map(_explain, violations(document, schema))
    if problems := list(dict.fromkeys(sentences)):  # each missing key is a violation, with the same explanation
        raise UserError("; ".join(problems), where=path)
    defaults = {key: sub["default"] for key, sub in schema["properties"].items() if "default" in sub}
    values = {**defaults, **document}
    vendor = path.parent / values["vela_config"] if values["vela_config"] else None
    if values["vela"] and "path" in values["vela"]:
        values["vela"] = {**values["vela"], "path": str((path.parent / values["vela"]["path"]).resolve())}
    board = Board(name=path.stem, **{**values, "vela_config": vendor and vendor.resolve()})
    _check_names(board, path)
    _check_clock(board, path)
    return board


def _check_names(board: Board, path: Path) -> None:
    """Refuse names of sections that no ini file has, and an accelerator of another generation than its system."""
    sections = _sections(board.vela_config, path) if board.vela_config else None
    for key, title, value, bundled in (
        ("system_config", "System_Config", board.system_config, SYSTEMS),
        ("memory_mode", "Memory_Mode", board.memory_mode, MODES),
    ):
        if not isinstance(value, str):
            continue
        if sections is not None and f"{title}.{value}" not in sections:
            raise UserError(
                f"no section [{title}.{value}]", where=board.vela_config, hint=f"'{key}' of {path} names it"
            )
        if sections is None and value not in bundled:
            raise UserError(f"unknown {key} {quoted(value)}, {did_you_mean(value, bundled)}", where=path)
    if board.system_config in SYSTEMS and not str(board.system_config).startswith(board.generation):
        raise UserError(
            f"'system_config' {board.system_config} belongs to another generation than 'accelerator' "
            f"{board.accelerator}",
            where=path,
        )


def _sections(vendor: Path, path: Path) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with vendor.open(encoding="utf-8") as stream:
            parser.read_string(stream.read(MAX_BYTES))
    except FileNotFoundError as error:
        raise UserError(f"ini file of Vela not found: {vendor}", where=f"'vela_config' of {path}") from error
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"not an ini file ({reason})", where=vendor, hint=f"'vela_config' of {path} names it"
        ) from error
    return parser.sections()


def _check_clock(board: Board, path: Path) -> None:
    if not isinstance(board.system_config, str) and board.system_config["core_clock"] != board.clock_mhz * 1e6:
        raise UserError(
            f"'clock_mhz' is {board.clock_mhz:g}, but core_clock of 'system_config' is "
            f"{board.system_config['core_clock'] / 1e6:g} MHz",
            where=path,
        )


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
