"""Where a session may work: nothing of a user's lies where results go, and no library stumbles over the name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..config.session import Session
from ..config.variants import ROOT
from ..errors import UserError
from .dataset import load_dataset
from .view import KINDS

UNUSABLE = {
    os.pathsep: "at which Python parts its search path",
    "{": "which Snakemake takes for a wildcard",
    "}": "which Snakemake takes for a wildcard",
}
"""What the path of the workflow itself must not have."""

DRAWN = re.compile(r"path: \.\n((train|val|test): images/\2\n)+names:\n(  \d: '\d'\n){10}")
"""The YAML of the embedded dataset, by which a folder is known to be drawn."""


def refuse_misplaced(session: Session) -> None:
    """Refuse a session whose results would replace something that is not theirs. Cheap: no image is looked at.

    Snakemake deletes what a rule is about to make, through links too; so this comes before it plans anything.

    Raises:
        UserError: a folder that the session fills is a link or a file, the dataset lies in the session's folder or
            around it, or the path of the workflow has a letter that a tool takes for something else.
    """
    root = session.root.absolute()
    for letter, why in UNUSABLE.items():
        if letter in os.fspath(ROOT):
            raise UserError(f"the path has a '{letter}', {why}", where=ROOT, hint="rename that folder")
    layout = session.layout
    for folder in (root.parent, root):
        _refuse_file(folder)
    view = layout.view
    for folder in (layout.data, layout.digits, view, *(view / kind for kind in KINDS)):
        if folder.is_symlink():
            raise UserError(
                f"a link to {folder.resolve()}: what lies there would be replaced",
                where=folder.absolute(),
                hint="remove the link; a whole session may be a link, to another disk",
            )
        _refuse_file(folder)
    if session.data is None:
        _refuse_foreign_digits(layout.digits_yaml)
    else:
        _refuse_own_results(session, session.data)


def _refuse_file(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        what = "a link to nothing" if folder.is_symlink() else "a file"
        raise UserError(f"{what} stands where a folder is needed", where=folder.absolute(), hint="move it elsewhere")


def _refuse_foreign_digits(path: Path) -> None:
    if path.is_file() and not DRAWN.fullmatch(path.read_text(encoding="utf-8", errors="replace")):
        raise UserError(
            "a dataset that was not drawn by this workflow: the embedded one would replace it",
            where=path.absolute(),
            hint="move its folder elsewhere, or name it as 'data'",
        )


def _refuse_own_results(session: Session, path: Path) -> None:
    dataset = load_dataset(path)
    root, digits = session.root.resolve(), session.layout.digits.resolve()
    hint = "keep the dataset elsewhere, or name another session with `--config session=NAME`"
    places = {"the dataset YAML": dataset.yaml.parent}
    for split, sources in dataset.splits.items():
        for source in sources:
            places[f"'{split}: {source}'"] = source
    for what, place in places.items():
        if place.is_relative_to(root) and not place.is_relative_to(digits):
            raise UserError(f"{what} lies in the results of session {session.name}: {root}", where=path, hint=hint)
    for split, sources in dataset.splits.items():
        for source in sources:
            if source.is_dir() and root.parent.is_relative_to(source):
                raise UserError(
                    f"'{split}: {source}' is around the results, whose images would be trained on: {root.parent}",
                    where=path,
                    hint="name the folder of the images, or run in another one with `snakemake -d FOLDER`",
                )
