"""Running Arm's Vela compiler.

Vela runs in a process of its own, because it can crash with a segmentation fault (on a damaged model) or never end, and
its exit code says little: 0 even when every operator stays on the CPU. Cycles and milliseconds are Vela's
estimates; nothing here is measured on a device.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

from ..config.boards import Board
from ..errors import EvoError, UserError
from ..files import write_atomically
from ..printable import inert
from .flatbuffer import read_operators
from .vela_report import CpuOperator, Row, Summary, left_on_cpu, read_rows, read_summary

CONFIG = "Arm/vela.ini"
TAIL_LINES = 20
VERSION_TIMEOUT_S = 60

LAUNCH = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG of linux/prctl.h
if os.getppid() != int(parent):
    sys.exit("the program that asked for this has ended")
os.execv(command[0], command)
"""
"""Becomes the command, and ends with this program. A ``preexec_fn`` would fork, which JAX's threads (it comes with
the converter) may turn into a deadlock."""

RAISED = re.compile(r"[\w.]+(?:Error|Exception)\b")


@dataclass(frozen=True)
class Compiled:
    """A model compiled for one board.

    Attributes:
        path: the compiled file.
        version: of Vela.
        summary: totals.
        rows: Vela's per-layer table, in the order of execution.
        cpu: what Vela leaves to the CPU.
    """

    path: Path
    version: str
    summary: Summary
    rows: tuple[Row, ...]
    cpu: tuple[CpuOperator, ...]


def compile_model(model: Path, board: Board, folder: Path, timeout_s: float) -> Compiled:
    """Compile ``model`` for ``board`` into ``{folder}/{stem of the model}_vela.tflite``.

    The file appears when it is complete; after an error, whatever was there before is unchanged.

    Raises:
        UserError: Vela does not accept the board's settings.
        EvoError: the model or Vela is missing, or Vela failed, crashed, took longer than ``timeout_s``, or left
            something unreadable. The last lines of its output go to standard error.
    """
    model = Path(model).resolve()
    if not model.is_file():
        raise EvoError("model not found", where=model, hint="run the rule `export_int8` first")
    vela = find_vela(board)
    version = vela_version(vela)
    if board.vela and board.vela["version"] != version:
        raise UserError(
            f"the board needs Vela {board.vela['version']}, {vela} is {version}",
            where=f"board {board.name}",
            hint="install that version and name it as the board's vela.path",
        )
    with tempfile.TemporaryDirectory(prefix="evo-vela-") as name:
        scratch = Path(name)
        # Vela names its files after the model; a fixed name keeps commas out of its CSV and does not change the output.
        (scratch / "model.tflite").symlink_to(model)
        command = [
            str(vela),
            *("--accelerator-config", board.accelerator),
            *(word for file in _config_files(board, scratch) for word in ("--config", file)),
            *("--system-config", board.system_name, "--memory-mode", board.mode_name),
            *("--output-dir", str(scratch / "out"), "--verbose-performance", str(scratch / "model.tflite")),
        ]
        code, output = _run(command, scratch, timeout_s)
        if code != 0:
            raise _failure(code, output, model, board, timeout_s)
        draft = scratch / "out" / "model_vela.tflite"
        try:
            read_operators(draft)
            summary = read_summary(next((scratch / "out").glob("model_summary_*.csv")))
            rows = read_rows(scratch / "out" / "model_per-layer.csv")
        except (EvoError, OSError, LookupError, StopIteration, TypeError, ValueError) as error:
            _print_tail(output)
            raise EvoError(
                f"Vela {version} ended without an error, but its output is incomplete ({_reason(error)})",
                where=model,
                hint="look for a full disk or another version of Vela, then run the same command again",
            ) from error
        if summary.clock_mhz != board.clock_mhz:
            raise UserError(
                f"'clock_mhz' is {board.clock_mhz:g}, but Vela computes {board.system_name} with "
                f"{summary.clock_mhz:g} MHz",
                where=f"board {board.name}",
                hint=f"write clock_mhz: {summary.clock_mhz:g}",
            )
        target = Path(folder) / f"{model.stem}_vela.tflite"
        write_atomically(target, draft.read_bytes())
    return Compiled(target, version, summary, rows, left_on_cpu(rows, output))


def _config_files(board: Board, scratch: Path) -> list[str]:
    """Return the ini files that have the board's system configuration and memory mode."""
    named = isinstance(board.system_config, str) or isinstance(board.memory_mode, str)
    files = [str(board.vela_config)] if board.vela_config else [CONFIG] if named else []
    sections = board.own_sections()
    if sections and board.vela_config:  # a section inherits only from its own file
        files, sections = [], f"{board.vela_config.read_text(encoding='utf-8')}\n{sections}"
    if sections:
        own = scratch / "board.ini"
        own.write_text(sections, encoding="utf-8")
        files.append(str(own))
    return files


def find_vela(board: Board | None = None) -> Path:
    """Return the ``vela`` of a board, or of the running interpreter's environment, or else the one on the path.

    Raises:
        UserError: the board names one that is not there.
        EvoError: none is installed.
    """
    if board and board.vela and "path" in board.vela:
        named = Path(board.vela["path"])
        if not named.is_file():
            raise UserError(f"Vela not found: {named}", where=f"board {board.name}", hint="correct its vela.path")
        return named
    own = Path(sys.executable).parent / "vela"
    found = str(own) if own.is_file() else shutil.which("vela")
    if found is None:
        raise EvoError("the compiler Vela is not installed", where=own, hint="run `make setup`")
    return Path(found)


@cache
def vela_version(vela: Path) -> str:
    """Return the output of ``vela --version``.

    Raises:
        EvoError: it does not run.
    """
    with tempfile.TemporaryDirectory(prefix="evo-vela-") as scratch:
        code, output = _run([str(vela), "--version"], Path(scratch), VERSION_TIMEOUT_S)
    if code != 0:
        _print_tail(output)
        raise EvoError(f"Vela does not start ({_cause(output)})", where=vela, hint="run `make setup`")
    return _last_line(output)


def write_operators_csv(compiled: Compiled, path: Path) -> None:
    """Write Vela's per-layer table as properly quoted CSV, with the reason for each row on the CPU.

    Cycles are Vela's estimates, and the header says so.
    """
    reasons = {(operator.name, operator.type): operator.reason for operator in compiled.cpu}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [field.name for field in fields(Row)]
    writer.writerow([*(f"estimated_{name}" if "cycles" in name else name for name in columns), "reason"])
    for row in compiled.rows:
        reason = (reasons.get((row.name, row.type)) or "no reason given") if row.target == "CPU" else ""
        writer.writerow(map(inert, [*asdict(row).values(), reason]))
    write_atomically(path, text.getvalue())


def _run(command: Sequence[str], scratch: Path, timeout_s: float) -> tuple[int | None, str]:
    """Run a command in a process group of its own. Return its exit code (None: out of time) and all that it printed."""
    log = scratch / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(timeout_s)
    except BaseException as error:  # Vela and its children end with the wait, for whatever reason it ends
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        code = None
    return code, log.read_text(errors="replace")


def _failure(code: int | None, output: str, model: Path, board: Board, timeout_s: float) -> EvoError:
    """Print the end of Vela's output, and return what its exit code means."""
    _print_tail(output)
    last = _cause(output)
    if code is None:
        return EvoError(
            f"Vela was still compiling for {board.name} after {timeout_s:g} s and was stopped",
            where=model,
            hint="allow it more with npu.time_limit",
        )
    number = -code if code < 0 else code - 128  # a shell in between adds 128
    names = {one.value: one.name for one in signal.Signals}
    if number in names:
        hint = (
            "the system may be short of memory"
            if number == signal.SIGKILL
            else "the model is probably damaged: delete it and run snakemake again"
        )
        return EvoError(f"Vela crashed for {board.name} ({names[number]})", where=model, hint=hint)
    if code == 2 or "OptionError" in last:
        return UserError(f"Vela refuses the settings of the board ({last})", where=f"board {board.name}")
    return EvoError(
        f"Vela failed for {board.name} with exit code {code} ({last})",
        where=model,
        hint="the log has the end of its output",
    )


def _print_tail(output: str) -> None:
    for line in output.splitlines()[-TAIL_LINES:]:
        print(f"vela: {line}", file=sys.stderr, flush=True)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it printed nothing"


def _cause(output: str) -> str:
    """Return what a Python traceback ends with, or the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    raised = [number for number, line in enumerate(lines) if RAISED.match(line)]
    return " ".join(lines[raised[-1] :])[:300] if raised else _last_line(output)


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
