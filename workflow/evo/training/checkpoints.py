"""Checkpoint generations: directories that are complete or absent, with a hash of every file in them.

A generation is written beside the others under a temporary name, flushed to disk and renamed: the rename is the
commit. Two generations are kept, so that one damaged by a crash or a bad disk costs an epoch and not the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import explain_os_errors, sha256_file, sha256_json, write_atomically

MANIFEST = "manifest.json"
DIGEST = "digest"
"""Key of the manifest's own SHA-256: a flipped bit in it must not pass for another epoch or another recipe."""
KEPT = 2
DELIVERED = "delivered"
"""Marks checkpoints whose training was handed over completely: see `workflow.evo.session_run`."""


@dataclass(frozen=True)
class Generation:
    """One complete checkpoint.

    Attributes:
        folder: holds ``state.pt`` (everything a resume needs), ``last.pt``, ``best.pt`` and ``results.csv``.
        recipe: identity of the training it belongs to.
        epoch: last finished epoch, from 1.
        finished: whether the training was over after that epoch.
        batch: images per batch it was trained with.
    """

    folder: Path
    recipe: str
    epoch: int
    finished: bool
    batch: int


class CheckpointStore:
    """The generations below one folder, ``{variant}/train/.checkpoints``."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def _folders(self) -> list[Path]:
        """Generation folders, newest first."""
        return sorted(self.folder.glob("epoch[0-9]*"), reverse=True)

    @contextlib.contextmanager
    def writing(self, recipe: str, epoch: int, *, finished: bool, batch: int) -> Iterator[Path]:
        """Yield an empty folder to fill; commit it as the newest generation when the block ends without error.

        Raises:
            DiskFull: the generations that were there are unchanged.
        """
        draft = self.folder / ".draft"
        with explain_os_errors(self.folder, f"writing the checkpoint of epoch {epoch}"):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            try:
                yield draft
                manifest = {
                    "recipe": recipe,
                    "epoch": epoch,
                    "finished": finished,
                    "batch": batch,
                    "sha256": {path.name: sha256_file(path) for path in sorted(draft.iterdir())},
                }
                write_atomically(draft / MANIFEST, json.dumps({**manifest, DIGEST: sha256_json(manifest)}, indent=2))
                for path in (*draft.iterdir(), draft):
                    _fsync(path)
                final = self.folder / f"epoch{epoch:05d}"
                shutil.rmtree(final, ignore_errors=True)
                draft.rename(final)
                _fsync(self.folder)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            # Later epochs can only be damaged ones that this run fell back from: they would outlive the good.
            later = [folder for folder in self._folders() if folder.name > final.name]
            for folder in later + self._folders()[len(later) + KEPT :]:
                shutil.rmtree(folder)

    def newest(self, recipe: str, on_damage: Callable[[Path, str], None]) -> Generation | None:
        """Return the newest undamaged generation of ``recipe``; tell ``on_damage(folder, reason)`` of the others."""
        for folder in self._folders():
            try:
                manifest = _read_manifest(folder)
                wrong = [name for name, digest in manifest["sha256"].items() if _digest(folder / name) != digest]
                generation = Generation(
                    folder, manifest["recipe"], manifest["epoch"], manifest["finished"], manifest["batch"]
                )
            except _UNREADABLE as error:
                on_damage(folder, f"unreadable manifest ({type(error).__name__})")
                continue
            if wrong:
                on_damage(folder, f"damaged {', '.join(wrong)}")
            elif generation.recipe == recipe:
                return generation
        return None

    def set_aside(self, recipe: str) -> Path | None:
        """Move generations of another recipe out of the way; return where the newest such set now lies."""
        others = [folder for folder in self._folders() if _recipe(folder) not in {recipe, None}]
        if not others:
            return None
        aside = self.folder / "superseded"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for folder in others:
            folder.rename(aside / folder.name)
        return aside

    def keep_newest(self) -> None:
        """Remove all generations but the newest."""
        for folder in self._folders()[1:]:
            shutil.rmtree(folder)

    def clear(self) -> None:
        """Remove every generation, so that the next run trains afresh."""
        for folder in self._folders():
            shutil.rmtree(folder)


def _digest(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return an intact manifest; any of `_UNREADABLE` otherwise."""
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest.pop(DIGEST) != sha256_json(manifest):
        raise ValueError("the manifest does not match its own digest")
    return manifest


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def _recipe(folder: Path) -> Any:
    try:
        return _read_manifest(folder)["recipe"]
    except _UNREADABLE:
        return None


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
