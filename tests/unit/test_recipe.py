import importlib.metadata
import shutil

import pytest

from workflow.evo.config import variants
from workflow.evo.config.loading import load_session
from workflow.evo.config.train_arguments import NEUTRAL
from workflow.evo.training import recipe as recipe_module
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
        {"workers": 2},
        {"deterministic": False},
        {"mask_ratio": 2, "overlap_mask": False, "dropout": 0.5, "auto_augment": "augmix", "erasing": 0.1},
        {"pose": 1.0, "kobj": 2.0, "rle": 2.0, "angle": 2.0, "dlog": 2.0, "dgrad": 1.0, "dlam": 0.0},
        {"save_json": True, "dnn": True, "cls_remap": False},
    ],
    ids=str,
)
def test_what_changes_no_weight_is_no_part_of_it(train):
    assert set(train) <= NEUTRAL
    assert recipe_of(**train) == recipe_of()


COUNTED = {
    "the steps of the optimizer": "epochs patience batch nbs optimizer lr0 lrf momentum weight_decay cos_lr "
    "warmup_epochs warmup_momentum warmup_bias_lr freeze seed time",
    "the numbers of a step": "amp channels_last compile",
    "the losses": "box cls cls_pw dfl",
    "what the network sees": "imgsz rect multi_scale fraction single_cls",
    "how images are augmented": "hsv_h hsv_s hsv_v degrees translate scale shear perspective flipud fliplr bgr mosaic "
    "mixup cutmix copy_paste copy_paste_mode close_mosaic",
    "which epoch is the best": "val conf iou max_det nms",
}
"""The arguments in a recipe, by what of the weights depends on them."""


def test_the_arguments_that_remain_in_a_recipe_are_those_that_weights_depend_on():
    counted = [name for names in COUNTED.values() for name in names.split()]
    assert sorted(arguments_of(session().train)) == sorted(counted)
    assert len(set(counted)) == len(counted)


@pytest.mark.parametrize("version", ["2.0.8", None])
def test_a_package_that_augments_images_where_it_is_installed_changes_it(monkeypatch, version):
    installed = importlib.metadata.version

    def answer(name):
        if name == "albumentations":
            if version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return version
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", answer)
    monkeypatch.setattr(recipe_module, "_albumentations", recipe_module._albumentations.__wrapped__)
    chosen = session()
    assert recipe_document(chosen, chosen.variant(NAME), DATA, 10)["albumentations"] == version


def test_a_new_version_of_the_training_code_changes_it(monkeypatch):
    before = recipe_of()
    monkeypatch.setattr("workflow.evo.training.recipe.TRAINING_VERSION", 2)
    assert recipe_of() != before


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
    assert set(document) == {
        *("arguments", "model", "data", "pretrained"),
        *("ultralytics", "torch", "albumentations", "training"),
    }
    assert document["data"] == DATA and document["pretrained"] is None
    assert document["arguments"] == arguments_of(chosen.train)
    assert not NEUTRAL & set(document["arguments"])
