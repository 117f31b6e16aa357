"""After every edit exactly what depends on it runs again: the table of `tests.workflow.edits` against real dry runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.workflow.edits import EDITS, TRAINING, Edit
from tests.workflow.finished import Place, finish, touch
from workflow.evo.config.loading import load_session_files
from workflow.evo.data.source import session_hashes
from workflow.evo.plan.dry_run import Job
from workflow.evo.session.triggers import evaluation_identity
from workflow.evo.training.legacy import recipes_0_1_0
from workflow.evo.training.recipe import recipe_document

VARIANTS = ("level2_relu", "mine")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return finish(tmp_path_factory.mktemp("finished") / "session")


@pytest.fixture
def place(finished, tmp_path) -> Place:
    return Place(tmp_path, finished)


def rules(jobs: list[Job]) -> set[str]:
    return {job.rule for job in jobs} - {"all"}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_nothing_more_than_needed_runs_again(place, edit: Edit):
    edit.do(place)
    jobs = place.plan()
    assert rules(jobs) == edit.again
    if edit.only:
        assert {job.variant for job in jobs} <= {edit.only, None}
    elif "train" in edit.again:
        assert {job.variant for job in jobs if job.rule == "train"} == {*VARIANTS}


def test_every_key_of_the_configuration_is_in_the_table():
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    named = " ".join(edit.name for edit in EDITS)
    missing = [
        f"{name}.{key}"
        for name, block in schema["properties"].items()
        for key in block.get("properties", ())
        if name in {"evaluate", "npu", "report"} and f"{name}.{key}" not in named
    ]
    assert missing == []
    elsewhere = {"data", "digits", "replicates"}
    assert [name for name in schema["properties"] if name not in named and name not in elsewhere] == []


def test_what_is_asked_for_once_more_by_force_is_published_and_not_trained(place):
    """Snakemake deletes the outputs first; the checkpoint is no output."""
    jobs = place.plan("--forcerun", "train")
    assert rules(jobs) == TRAINING


def test_an_edit_of_a_split_that_is_not_evaluated_evaluates_nothing_again(place, monkeypatch):
    monkeypatch.chdir(place.workspace.folder)
    place.change(evaluate={"splits": ["val"]})
    session = load_session_files([Path("session.yaml")])
    for variant in VARIANTS:
        for rule, file in (("evaluate", "evaluate/metrics.json"), ("evaluate_int8", "npu/metrics_int8.json")):
            path, made_of = place.result(variant, file), evaluation_identity(session, session_hashes(session), rule)
            path.write_text(json.dumps({**json.loads(path.read_text()), "made_of": made_of}))
    touch(place.workspace.folder)
    place.file("photos", "labels", "test", "test0.txt").write_text("0 0.4 0.4 0.2 0.2\n")
    assert rules(place.plan()) == {"check_dataset", "compare_variants"}


def test_what_version_0_1_0_trained_is_not_trained_again(place, monkeypatch):
    monkeypatch.chdir(place.workspace.folder)
    session = load_session_files([Path("session.yaml")])
    data = session_hashes(session)
    for name in VARIANTS:
        variant, path = session.variant(name), session.layout.variant(name).training
        document = recipe_document(session, variant, data.training, len(data.names))
        training = json.loads(path.read_text())
        training["recipe"] = next(recipes_0_1_0(session, variant, document, training["arguments"]))
        path.write_text(json.dumps(training))
    touch(place.workspace.folder)
    assert rules(place.plan()) == set()
    place.change(train={"workers": 3})
    assert rules(place.plan()) == set()
    place.change(train={"lr0": 0.02})
    assert "train" in rules(place.plan())


def test_more_replicates_train_only_what_is_new(place):
    touch(place.workspace.folder)
    place.change(replicates=3)
    jobs = place.plan()
    trained = sorted(job.variant for job in jobs if job.rule == "train")
    assert trained == sorted(f"{name}_s{index}" for name in VARIANTS for index in (1, 2))
    assert {job.rule for job in jobs if job.variant in VARIANTS} == set()
    assert {job.rule for job in jobs if job.variant is None} <= {"compare_variants", "all"}
