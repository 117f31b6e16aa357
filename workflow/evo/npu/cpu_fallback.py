"""What an int8 model takes without an NPU: LiteRT Micro's tensor arena on the CPU.

The package ``tflite-micro`` is LiteRT Micro compiled for a host. It is a development dependency: without it the figure
is unknown.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..remembered import version

PACKAGE = "tflite-micro"
TIME_LIMIT_S = 300
TOTAL = re.compile(r"Arena allocation total (\d+) bytes")

MEASURE = """
import sys
from tflite_micro.python.tflite_micro import runtime
runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2])).print_allocations()
"""
"""Prints the arena from C++, and ends the process where something does not fit: so it is a process of its own."""

ROOM = 512 * 2**20
"""Bytes offered to the arena: more than any microcontroller has."""


def is_installed() -> bool:
    """Return whether LiteRT Micro is there to measure with."""
    return importlib.util.find_spec("tflite_micro") is not None


def cpu_fallback(model: Path) -> dict[str, Any]:
    """Return ``{"arena_kib", "by"}``; both None where LiteRT Micro is not installed or does not run the model."""
    nothing = {"arena_kib": None, "by": None}
    if not is_installed():
        return nothing
    command = [sys.executable, "-I", "-c", MEASURE, str(model), str(ROOM)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return nothing
    total = TOTAL.search(done.stderr + done.stdout)
    return {"arena_kib": int(total[1]) / 1024, "by": f"{PACKAGE} {version(PACKAGE)}"} if total else nothing
