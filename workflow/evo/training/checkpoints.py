"""Checkpoints: folders that are complete or absent, with a hash of every file in them.

A checkpoint is written beside the others under a temporary name, flushed to disk and renamed: the rename is the
commit. Two are kept, so that one damaged by a crash or a bad disk costs an epoch and not the run. One that
goes is renamed first as well: a removal that is cut short leaves nothing that looks like a damaged checkpoint.

Checkpoints of another recipe are in ``superseded/{recipe}/`` until that recipe returns; nobody but a person removes
them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import explain_os_errors, sha256_file, sha256_json, write_atomically
from ..text.facts import Fact, fact

STATE = "state.pt"
"""Everything that a training continues from."""

MANIFEST = "manifest.json"
DIGEST = "digest"
"""Key of the manifest's own SHA-256: a flipped bit in it must not pass for another epoch or another recipe."""
KEPT = 2
SUPERSEDED = "superseded"
RETIRED = "retired-"
"""How the name of a set begins that comes back with no recipe: a person asked for another training."""
REMOVED = ".removed-"
"""How the name of a folder begins that is being deleted."""
DELIVERED = "delivered"
"""Marks checkpoints whose training was handed over completely: see `workflow.evo.session.lifecycle`."""
COMPANIONS = ("incidents.jsonl", "run.json")
"""Files of `workflow.evo.results.journal` that belong to a recipe as its checkpoints do. The last one says to
which, so that a move which a kill has cut short is finished the next time."""


@dataclass(frozen=True)
class Checkpoint:
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
    """The checkpoints below one folder, ``{variant}/train/.checkpoints``."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def _folders(self) -> list[Path]:
        """Folders of the checkpoints, newest first."""
        return sorted(self.folder.glob("epoch[0-9]*"), reverse=True)

    @contextlib.contextmanager
    def writing(self, recipe: str, epoch: int, *, finished: bool, batch: int) -> Iterator[Path]:
        """Yield an empty folder to fill; commit it as the newest checkpoint when the block ends without error.

        Raises:
            DiskFull: the checkpoints that were there are unchanged.
        """
        draft = self.folder / ".draft"
        with explain_os_errors(self.folder, f"writing the checkpoint of epoch {epoch}"):
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            self.sweep()
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
                overwritten = _set_apart(final) if final.exists() else None
                draft.rename(final)
                _fsync(self.folder)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            if overwritten is not None:
                shutil.rmtree(overwritten)
            # Later epochs can only be damaged ones that this run fell back from: they would outlive the good.
            later = [folder for folder in self._folders() if folder.name > final.name]
            for folder in later + self._folders()[len(later) + KEPT :]:
                _remove(folder)

    def newest(self, recipe: str, on_damage: Callable[[Path, Fact], None]) -> Checkpoint | None:
        """Return the newest undamaged checkpoint of ``recipe``; tell ``on_damage(folder, reason)`` of the others."""
        for folder in self._folders():
            try:
                manifest = _read_manifest(folder)
                wrong = [name for name, digest in manifest["sha256"].items() if _digest(folder / name) != digest]
                checkpoint = Checkpoint(
                    folder, manifest["recipe"], manifest["epoch"], manifest["finished"], manifest["batch"]
                )
            except _UNREADABLE as error:
                on_damage(folder, fact("manifest_unreadable", error=type(error).__name__))
                continue
            if wrong:
                on_damage(folder, fact("files_damaged", files=wrong))
            elif checkpoint.recipe == recipe:
                return checkpoint
        return None

    def recipes(self) -> set[str]:
        """Return the recipes of which something lies here or is set aside."""
        found = {_recipe(folder) for folder in (*self._folders(), *self._loose())}
        aside = {folder.name for folder in self._superseded.glob("*") if not folder.name.startswith(("epoch", RETIRED))}
        return (found | aside) - {None}

    def sweep(self) -> None:
        """Finish the removals that a kill has cut short."""
        for folder in self.folder.glob(f"{REMOVED}*"):
            shutil.rmtree(folder)

    def set_aside(self, recipe: str, journal: str | None = None) -> Path | None:
        """Move checkpoints of other recipes out of the way, each to those of its recipe.

        Args:
            recipe: of the training that comes now.
            journal: the recipe that the files `COMPANIONS` belong to; they go with it.

        Returns:
            Where the newest of them lies now; None when there was none.
        """
        newest = None
        for folder in self._folders():
            if (owner := _recipe(folder)) not in {recipe, None}:
                moved = _move(folder, self._superseded / owner)
                newest = newest or moved.parent
        for folder in self._loose():
            _move(folder, self._superseded / (_recipe(folder) or f"{RETIRED}damaged"))
        if journal not in {recipe, None}:
            for name in COMPANIONS:
                if (self.folder / name).exists():
                    _move(self.folder / name, self._superseded / journal)
        return newest

    def aside(self, recipe: str) -> CheckpointStore:
        """Return the store of what is set aside of a recipe, empty where nothing is."""
        return CheckpointStore(self._superseded / recipe)

    def _loose(self) -> list[Path]:
        """Return what version 0.1.0 set aside: checkpoints of one recipe, without a folder of their own."""
        return sorted(self._superseded.glob("epoch[0-9]*"))

    def take_back(self, recipe: str) -> Path | None:
        """Bring back what was set aside of a recipe, the files `COMPANIONS` too; return where it lay, if anywhere.

        Call it after `set_aside`. One that a kill has cut short is finished.
        """
        aside = self.aside(recipe).folder
        if not aside.is_dir():
            return None
        for path in sorted(aside.iterdir()):
            if path.name in COMPANIONS and (self.folder / path.name).exists():
                path.unlink()  # the file here is of the same recipe, and newer
            else:
                _move(path, self.folder)
        aside.rmdir()
        return aside

    def retire(self, recipe: str) -> Path | None:
        """Move everything away for good, so that the next run trains afresh; it comes back with no recipe by itself.

        Args:
            recipe: of the training.

        Returns:
            Where it lies now; None when there was nothing.
        """
        present = [path for path in (*self._folders(), *(self.folder / name for name in COMPANIONS)) if path.exists()]
        if not present:
            return None
        target = _unused(self._superseded / f"{RETIRED}{recipe}")
        for path in present:
            _move(path, target)
        return target

    def keep_newest(self) -> None:
        """Remove all checkpoints but the newest."""
        for folder in self._folders()[1:]:
            _remove(folder)

    @property
    def _superseded(self) -> Path:
        return self.folder / SUPERSEDED


def _move(path: Path, folder: Path) -> Path:
    """Move a file or folder into ``folder``, beside what has its name there; return its new path."""
    folder.mkdir(parents=True, exist_ok=True)
    return path.rename(_unused(folder / path.name))


def _unused(path: Path) -> Path:
    """Return ``path``, or the first of ``path.1``, ``path.2`` … that does not exist."""
    names = itertools.chain([path], (path.with_name(f"{path.name}.{number}") for number in itertools.count(1)))
    return next(name for name in names if not name.exists())


def _set_apart(folder: Path) -> Path:
    """Rename a folder to a name that no reader looks at, and return it: the folder is as good as gone."""
    target = Path(tempfile.mkdtemp(prefix=REMOVED, dir=folder.parent))
    return folder.rename(target / folder.name).parent


def _remove(folder: Path) -> None:
    shutil.rmtree(_set_apart(folder))


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
