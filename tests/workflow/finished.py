"""A session that is finished on paper: every file of it, made up where nothing reads it, and Snakemake's own record
that these rules made it with these parameters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.conftest import ROOT, TINY, Workspace, environment, quick_snakemake
from tests.unit import synthetic
from tests.unit.dataset_folder import save_dataset
from workflow.evo.config.loading import load_session_files
from workflow.evo.config.train_arguments import with_defaults
from workflow.evo.data.source import session_hashes
from workflow.evo.plan.dry_run import Job, parse
from workflow.evo.results.journal import Journal
from workflow.evo.session.triggers import evaluation_identity, export_identity
from workflow.evo.training.checkpoints import DELIVERED, CheckpointStore
from workflow.evo.training.recipe import recipe_document, standing_recipe

CHECKOUT = ("Snakefile", "environment.yml", "config", "models", "profiles", "workflow")
DROPPED = shutil.ignore_patterns("__pycache__")


class Place:
    """A copy of a session to edit, and of the checkout that plans it once that is edited too.

    Attributes:
        versions: of packages, instead of those that are installed.
        overrides: what follows ``--config``.
    """

    def __init__(self, folder: Path, session: Path, checkout: Path = ROOT):
        shutil.copytree(session, folder / "session", symlinks=True)
        self.folder, self._checkout = folder, checkout
        self.workspace = Workspace(folder / "session", config=None)
        self.versions: dict[str, str] = {}
        self.overrides: list[str] = []

    def checkout(self) -> Path:
        """Return a copy of the checkout, which plans from now on."""
        own = self.folder / "checkout"
        if not own.exists():
            copy_checkout(self._checkout, own)
        return own

    def file(self, *parts: str) -> Path:
        return self.workspace.folder.joinpath(*parts)

    def result(self, *parts: str) -> Path:
        return self.workspace.path(*parts)

    def change(self, **overlay: object) -> None:
        self.workspace.change(**overlay)

    def edit(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text, f"{old!r} is not in {path}"
        path.write_text(text.replace(old, new))

    def plan(self, *arguments: str) -> list[Job]:
        own = self.folder / "checkout"
        return plan(self.workspace.folder, own if own.exists() else self._checkout, self, *arguments)


def copy_checkout(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for name in CHECKOUT:
        path = source / name
        if path.is_dir():
            shutil.copytree(path, target / name, symlinks=True, ignore=DROPPED)
        else:
            shutil.copy2(path, target / name)


def command(checkout: Path, *arguments: str) -> list[str]:
    fixed = ["--cores", "2", "--configfile", "session.yaml"]
    return ["-s", str(checkout / "Snakefile"), *arguments, *fixed]


def plan(folder: Path, checkout: Path, place: Place | None = None, *arguments: str) -> list[Job]:
    overrides = ["--config", *place.overrides] if place and place.overrides else []
    return parse(_run(folder, [*command(checkout, "-n", *arguments), *overrides], place.versions if place else {}))


def _run(folder: Path, arguments: list[str], versions: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [*quick_snakemake(versions), *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def finish(folder: Path, checkout: Path = ROOT) -> Path:
    """Make the session in ``folder``, recorded by Snakemake as made by the rules of ``checkout``; return the folder."""
    folder.mkdir(parents=True)
    save_dataset(folder / "photos", splits=("train", "val", "test"))
    source = (ROOT / "models/train/npu_level4_activation_leaky.yaml").read_text()
    (folder / "mine.yaml").write_text(source)
    weights = folder / "start.pt"
    weights.write_bytes(b"weights")
    config = {key: value for key, value in TINY.items() if key != "digits"}
    config |= {"data": "photos/data.yaml", "grid": {"levels": [2], "activations": ["relu"]}}
    config |= {"models": {"mine": {"yaml": "mine.yaml"}}, "evaluate": {"splits": ["val", "test"]}}
    config |= {"npu": {"boards": ["preset-u55-256"]}, "report": {"language": "en"}}
    (folder / "session.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for job in plan(folder, checkout):
        for output in map(folder.joinpath, job.outputs):
            holder = output if not output.suffix else output.parent
            holder.mkdir(parents=True, exist_ok=True)
            (output / "stub" if not output.suffix else output).write_text("a stub")
    before = Path.cwd()
    os.chdir(folder)
    try:
        _write_documents()
    finally:
        os.chdir(before)
    touch(folder, checkout)
    return folder


def touch(folder: Path, checkout: Path = ROOT) -> None:
    """Let Snakemake record every file of the session as made by the rules of ``checkout``."""
    _run(folder, command(checkout, "--touch", "--forceall"))


def _write_documents() -> None:
    session = load_session_files([ROOT / "config" / "config.yaml", Path("session.yaml")])
    data = session_hashes(session)
    synthetic.write_shared(session, data.names, test=True)
    for variant in session.variants:
        document = recipe_document(session, variant, data.training, len(data.names))
        identity = standing_recipe(session, variant, document)
        synthetic.write_done(
            session,
            variant.name,
            0.4,
            names=data.names,
            recipe=identity,
            arguments=with_defaults(dict(session.train.arguments)),
            model_fingerprint=document["model"],
            data_hash=data.training,
        )
        synthetic.write_preflight(session, variant.name, boards=session.npu.boards)
        layout = session.layout.variant(variant.name)
        for path, made_of in (
            (layout.metrics, evaluation_identity(session, data, "evaluate")),
            (layout.metrics_int8, evaluation_identity(session, data, "evaluate_int8")),
            (layout.npu_metadata, export_identity(session, data)),
        ):
            path.write_text(json.dumps({**json.loads(path.read_text()), "made_of": made_of}))
        with CheckpointStore(layout.checkpoints).writing(identity, 2, finished=True, batch=4) as draft:
            (draft / "state.pt").write_bytes(b"state")
        Journal(layout.checkpoints).start_attempt(identity, 4)
        (layout.checkpoints / DELIVERED).touch()
