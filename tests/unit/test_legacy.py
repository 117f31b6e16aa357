"""What version 0.1.0 trained, found again under the name that it gave to it."""

import hashlib
import json

import pytest

from tests.unit.dataset_folder import save_dataset
from workflow.evo.config.loading import load_session
from workflow.evo.config.train_arguments import with_defaults
from workflow.evo.data.digits import identity
from workflow.evo.data.source import session_hashes
from workflow.evo.files import sha256_json
from workflow.evo.training.checkpoints import CheckpointStore
from workflow.evo.training.recipe import is_published, recipe_document, standing_recipe

NAME = "level4_relu"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def described(session):
    data = session_hashes(session)
    return recipe_document(session, session.variant(NAME), data.training, len(data.names))


def standing(session):
    return standing_recipe(session, session.variant(NAME), described(session))


def rows(root, split):
    """Return what version 0.1.0 hashed of a split: name, image and label as they are on the disk."""

    def digest(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    images = sorted((root / "images" / split).iterdir())
    return [[path.name, digest(path), digest(root / "labels" / split / f"{path.stem}.txt")] for path in images]


def named_by_0_1_0(session, data, **changes):
    """Return the recipe of version 0.1.0."""
    document = described(session)
    omitted = {"device", "verbose", "plots", "save_period", "profile", "cache", "pretrained"}
    chosen = with_defaults(dict(session.train.arguments))
    arguments = {key: value for key, value in chosen.items() if key not in omitted}
    kept = {key: document[key] for key in ("model", "pretrained", "ultralytics", "torch")}
    return sha256_json({**kept, "arguments": {**arguments, **changes}, "data": data})


def write_training(session, recipe, **arguments):
    layout = session.layout.variant(NAME)
    layout.train.mkdir(parents=True, exist_ok=True)
    layout.training.write_text(json.dumps({"schema_version": 1, "recipe": recipe, "arguments": arguments}))
    for path in (layout.best, layout.last, layout.results_csv):
        path.write_text("published")
    return layout


def test_a_training_on_the_embedded_dataset_keeps_its_name():
    session = load_session({"session": "s"})
    old = named_by_0_1_0(session, identity(session.digits))
    layout = write_training(session, old)
    assert standing(session) == old
    assert is_published(layout, old)


@pytest.mark.parametrize("windows", [False, True])
def test_a_training_on_a_dataset_keeps_its_name_whatever_the_line_ends_of_its_labels(folder, windows):
    save_dataset(folder / "photos")
    if windows:
        for path in (folder / "photos/labels").rglob("*.txt"):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    session = load_session({"session": "s", "data": "photos/data.yaml"})
    splits = {split: rows(folder / "photos", split) for split in ("train", "val")}
    old = named_by_0_1_0(session, sha256_json({"names": ["cat", "dog"], "splits": splits}))
    write_training(session, old)
    assert standing(session) == old


def test_arguments_that_change_no_weight_may_have_changed_since():
    before = load_session({"session": "s", "train": {"workers": 8}})
    old = named_by_0_1_0(before, identity(before.digits))
    write_training(before, old, workers=8)
    assert standing(load_session({"session": "s", "train": {"workers": 2, "mask_ratio": 2}})) != old
    write_training(before, old, workers=8, mask_ratio=4)
    assert standing(load_session({"session": "s", "train": {"workers": 2, "mask_ratio": 2}})) == old


def test_an_interrupted_training_keeps_its_name():
    session = load_session({"session": "s"})
    old = named_by_0_1_0(session, identity(session.digits))
    store = CheckpointStore(session.layout.variant(NAME).checkpoints)
    with store.writing(old, 3, finished=False, batch=16) as draft:
        (draft / "state.pt").write_bytes(b"state")
    assert standing(session) == old
    store.set_aside("another", None)
    assert standing(session) == old, "also when it is set aside"


def test_another_training_has_a_name_of_its_own():
    session = load_session({"session": "s"})
    write_training(session, named_by_0_1_0(session, identity(session.digits), lr0=0.5))
    assert standing(session) == sha256_json(described(session))


def test_without_results_nothing_is_asked_of_the_dataset(monkeypatch):
    monkeypatch.setattr("workflow.evo.training.recipe.recipes_0_1_0", pytest.fail)
    session = load_session({"session": "s"})
    assert standing(session) == sha256_json(described(session))
    write_training(session, sha256_json(described(session)))
    assert standing(session) == sha256_json(described(session))
