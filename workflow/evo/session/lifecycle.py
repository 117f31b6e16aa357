"""What happens once when a session starts and once when it ends, around all jobs."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from ..config.session import Session
from ..errors import UserError
from ..files import explain_os_errors, write_atomically
from ..host.process import exclusive_lock
from ..layout import VariantLayout
from ..results.journal import Journal
from ..training.checkpoints import DELIVERED, CheckpointStore

_open_sessions = contextlib.ExitStack()


def start(session: Session) -> None:
    """Lock the session for this process, write ``config.json`` for its jobs, and honour what a person did meanwhile.

    A deleted ``best.pt`` asks for a new training, and the checkpoints of the old one are put away; giving the command
    again lets a training that stopped for good try again.

    The kernel drops the lock with the process, whatever kills it: there is no stale lock to remove.

    Raises:
        UserError: the session is running already, or its folder is not one that can be written.
        DiskFull: there is no room for the lock or the configuration.
    """
    _refuse_unwritable(session)
    lock = exclusive_lock(
        session.layout.lock, f"session {session.name}", lambda _: None, wait_seconds=0, error=UserError
    )
    with explain_os_errors(session.layout.lock, "starting the session"):
        _open_sessions.enter_context(lock)
    write_atomically(session.layout.config, json.dumps(session.document, indent=2) + "\n")
    for name in session.variant_names:
        layout = session.layout.variant(name)
        journal = Journal(layout.checkpoints)
        journal.allow_retry()
        if weights_deleted(layout):
            CheckpointStore(layout.checkpoints).retire(journal.run.get("recipe", "unknown"))
            (layout.checkpoints / DELIVERED).unlink()


def _refuse_unwritable(session: Session) -> None:
    """Refuse what stands in the way of the jobs: Snakemake ends with a traceback where it cannot make a folder."""
    root = session.root
    folders = [root, *(root / name for name in ("logs", "benchmarks", "data", *session.variant_names))]
    for folder in folders:
        if os.path.lexists(folder) and not folder.is_dir():
            raise UserError("a file stands where a folder is needed", where=folder.absolute(), hint="move it elsewhere")
    logs = [path for place in folders[1:3] for path in place.rglob("*")]
    for path in logs:
        if path.is_symlink() and not path.is_dir():
            hint = "remove the link"
            raise UserError(f"a link, through which {path.readlink()} is written", where=path.absolute(), hint=hint)
    for path in (*folders, *logs):
        if path.exists() and not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            raise UserError(
                "not allowed to write", where=path.absolute(), hint="make it writable, or move it elsewhere"
            )


def running(session: Session) -> int | None:
    """Return the process that runs a session now, by the note in its lock; None where none does.

    The lock itself is left alone: to try it would hold up a session that starts at that moment.
    """
    import psutil

    try:
        process = psutil.Process(int((session.root / ".lock").read_text()))
        return process.pid if any("snakemake" in word for word in process.cmdline()) else None
    except (OSError, ValueError, psutil.Error):
        return None


def end(session: Session) -> None:
    """Mark finished trainings as delivered. Not called when the session is killed: then their checkpoints count."""
    for name in session.variant_names:
        layout = session.layout.variant(name)
        if _complete(layout) and layout.checkpoints.is_dir():
            CheckpointStore(layout.checkpoints).keep_newest()
            (layout.checkpoints / DELIVERED).touch()


def weights_deleted(layout: VariantLayout) -> bool:
    """Return whether a person deleted weights that had been handed over: that asks for a new training.

    Snakemake deletes every output of a job before it starts it and when it fails, ``training.json`` first: weights that
    went with it are published again from their checkpoint.
    """
    return (layout.checkpoints / DELIVERED).exists() and not layout.best.exists() and layout.training.is_file()


def _complete(layout: VariantLayout) -> bool:
    outputs: tuple[Path, ...] = (layout.best, layout.last, layout.results_csv, layout.training)
    return all(path.is_file() for path in outputs)
