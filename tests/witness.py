"""Sees which sockets to other hosts and which files the processes of a session open, by Python's audit events."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import Workspace

HOOK = """
import json, os, sys

def note(*what):
    handle = os.open(os.environ["SOCKETS_SEEN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, json.dumps([sys.orig_argv[1:], *what]).encode() + b"\\n")
    os.close(handle)

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        note(event, repr(arguments[1]), int(arguments[0].family))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        note(event, repr(arguments[0]), None)
    elif event == "open" and isinstance(arguments[0], (str, bytes)) and not (arguments[2] or 0) & 3:
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if "/results/" in path:
            note(event, path, None)
    elif event in ("os.scandir", "os.listdir") and isinstance(arguments[0], str):
        path = os.path.abspath(arguments[0])
        if "/results/" in path:
            note("open", path, None)

note("start", None, None)
sys.addaudithook(watch)
"""

START = """
import sys
sys.executable = sys.argv.pop(1)
from snakemake.cli import main
main()
"""
"""Snakemake with another interpreter for its jobs."""

UNIX_FAMILY = 1
THIS_HOST = ("'127.0.0.1'", "'localhost'", "'::1'", "('127.0.0.1', ", "('::1', ")


class Witness:
    """Watches the processes of a workspace from now on: Snakemake, its jobs, and what these start in Python."""

    def __init__(self, workspace: Workspace, folder: Path):
        self.record = folder / "sockets.jsonl"
        self.jobs: dict = {}  # of the run, for whoever compares
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(HOOK)
        # The jobs get a PYTHONPATH of their own, which their interpreter lengthens.
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{folder}/hook" exec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        workspace.program = [sys.executable, "-c", START, str(python)]
        workspace.environment = {"PYTHONPATH": f"{folder}/hook", "SOCKETS_SEEN": str(self.record)}

    def _events(self) -> list[tuple[list[str], str, str, int | None]]:
        return [tuple(json.loads(line)) for line in self.record.read_text().splitlines()]

    def programs(self) -> set[str]:
        """Return the scripts of the workflow that have run under watch, and ``snakemake``."""
        started = [argv for argv, event, *_ in self._events() if event == "start"]
        scripts = {
            word.removeprefix("workflow.scripts.") for argv in started for word in argv if "workflow.scr" in word
        }
        return scripts | {"snakemake" for argv in started if START in argv}

    def read(self) -> dict[tuple[str, ...], set[str]]:
        """Return the files and folders below ``results/`` that each script has read, by its name and wildcards."""
        found: dict[tuple[str, ...], set[str]] = {}
        for argv, event, path, _ in self._events():
            scripts = [word.rpartition(".")[2] for word in argv if "workflow.scripts." in word]
            if scripts and event == "open":
                names = [argv[argv.index(option) + 1] for option in ("--variant", "--board") if option in argv]
                found.setdefault((scripts[0], *names), set()).add(f"results/{path.rpartition('/results/')[2]}")
        return found

    def elsewhere(self) -> list[str]:
        """Return who turned to another host, and how: not to this one, and not to a socket in the file system."""
        return [
            f"{' '.join(argv)[:80]}: {event} {where}"
            for argv, event, where, family in self._events()
            if event not in {"start", "open"} and family != UNIX_FAMILY and not where.startswith(THIS_HOST)
        ]
