"""Where a session may work: its folders hold no files of a user, and its path has no letter that a tool misreads."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..config.session import Session
from ..config.variants import ROOT
from ..data.dataset import load_dataset
from ..data.view import KINDS
from ..errors import UserError

UNUSABLE = {
    os.pathsep: "where Python splits its search path",
    "{": "which Snakemake reads as a wildcard",
    "}": "which Snakemake reads as a wildcard",
}
"""Letters that the path of the workflow must not have."""

DRAWN = re.compile(r"path: \.\n((train|val|test): images/\2\n)+names:\n(  \d: '\d'\n){10}")
"""The YAML of the embedded dataset, by which a drawn folder is recognised."""


def refuse_misplaced(session: Session) -> None:
    """Refuse a session whose results would replace files of a user. Cheap: no image is opened.

    Snakemake deletes the outputs of a rule before it runs, through links too; so this is called before it plans.

    Raises:
        UserError: a folder of the session is a link or a file, the dataset is in the session's folder or contains it,
            or the path of the workflow has a letter in `UNUSABLE`.
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
                f"a link to {folder.resolve()}: what is there would be replaced",
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
        raise UserError(f"{what} is where a folder is needed", where=folder.absolute(), hint="move it elsewhere")


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
    sources_by_name = {"the dataset YAML": dataset.yaml.parent}
    for split, sources in dataset.splits.items():
        for source in sources:
            sources_by_name[f"'{split}: {source}'"] = source
    for what, place in sources_by_name.items():
        if place.is_relative_to(root) and not place.is_relative_to(digits):
            raise UserError(f"{what} is in the results of session {session.name}: {root}", where=path, hint=hint)
    for split, sources in dataset.splits.items():
        for source in sources:
            if source.is_dir() and root.parent.is_relative_to(source):
                raise UserError(
                    f"'{split}: {source}' contains the results, whose images would be trained on: {root.parent}",
                    where=path,
                    hint="name the folder of the images, or run in another one with `snakemake -d FOLDER`",
                )
