import shutil

import pytest

from workflow.evo import variants
from workflow.evo.config import load_session
from workflow.evo.train_arguments import RUNTIME
from workflow.evo.training.recipe import arguments_of, recipe, recipe_document

NAME = "level4_relu"
DATA = "d" * 64


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A copy of the model files, to be changed."""
    folder = shutil.copytree(variants.MODELS, tmp_path / "models")
    monkeypatch.setattr(variants, "MODELS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def session(**train):
    return load_session({"train": train} if train else {})


def recipe_of(data=DATA, nc=10, name=NAME, **train):
    chosen = session(**train)
    return recipe(chosen, chosen.variant(name), data, nc)


def edit(old, new, name=NAME):
    path = session().variant(name).yaml
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_same_training_has_the_same_recipe():
    assert recipe_of() == recipe_of()
    assert len(recipe_of()) == 64


@pytest.mark.parametrize(
    "train",
    [
        {"device": "cpu"},
        {"device": 1},
        {"plots": True},
        {"verbose": False},
        {"save_period": 5},
        {"cache": "ram"},
        {"profile": True},
    ],
    ids=str,
)
def test_where_and_how_a_run_works_is_no_part_of_it(train):
    assert set(train) <= RUNTIME
    assert recipe_of(**train) == recipe_of()


def test_a_default_written_out_is_no_change():
    assert recipe_of(epochs=100, box=7.5) == recipe_of()


@pytest.mark.parametrize(
    "train", [{"epochs": 99}, {"batch": 8}, {"seed": 1}, {"imgsz": 320}, {"lr0": 0.02}, {"mosaic": 0.0}], ids=str
)
def test_an_argument_that_the_result_depends_on_changes_it(train):
    assert recipe_of(**train) != recipe_of()


def test_a_comment_in_the_model_file_and_a_touch_are_no_change():
    before = recipe_of()
    path = session().variant(NAME).yaml
    path.write_text("# a remark\n" + path.read_text() + "\n# another\n")
    assert recipe_of() == before
    path.touch()
    assert recipe_of() == before


def test_a_change_of_the_network_changes_the_recipe_of_that_variant_only():
    before, other = recipe_of(), recipe_of(name="level4_leaky")
    edit("torch.nn.ReLU()", "torch.nn.ReLU6()")
    assert recipe_of() != before
    assert recipe_of(name="level4_leaky") == other


def test_a_model_file_that_is_refused_or_gone_still_has_a_recipe_of_its_own():
    seen = {recipe_of()}
    chosen = session()
    path = chosen.variant(NAME).yaml
    for text in ("backbone: [", "backbone: {"):
        path.write_text(text)
        seen.add(recipe(chosen, chosen.variant(NAME), DATA, 10))
    path.unlink()
    seen.add(recipe(chosen, chosen.variant(NAME), DATA, 10))
    assert len(seen) == 4


def test_no_two_variants_share_a_recipe():
    chosen = session()
    assert len({recipe(chosen, variant, DATA, 10) for variant in chosen.variants}) == len(chosen.variants)


def test_other_images_or_classes_change_it():
    assert len({recipe_of(), recipe_of(data="e" * 64), recipe_of(nc=11)}) == 3


def test_pretrained_weights_count_by_content(tmp_path):
    weights = tmp_path / "start.pt"
    weights.write_bytes(b"weights")
    first = recipe_of(pretrained="start.pt")
    assert first != recipe_of()
    weights.touch()
    assert recipe_of(pretrained="start.pt") == first
    weights.write_bytes(b"weightS")
    assert recipe_of(pretrained="start.pt") != first


def test_the_document_names_what_a_training_depends_on():
    chosen = session()
    document = recipe_document(chosen, chosen.variant(NAME), DATA, 10)
    assert set(document) == {"arguments", "model", "data", "pretrained", "ultralytics", "torch"}
    assert document["data"] == DATA and document["pretrained"] is None
    assert document["arguments"] == arguments_of(chosen)
    assert not RUNTIME & set(document["arguments"])
