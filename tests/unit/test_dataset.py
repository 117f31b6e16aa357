from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.data import dataset as reading
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.listing import IMAGE_SUFFIXES, label_path, list_images
from workflow.evo.errors import UserError
from workflow.evo.text.facts import sentence


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as refused:
        load_dataset(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_paths_are_relative_to_the_yaml_and_not_to_the_working_directory(tmp_path, monkeypatch):
    path = save_dataset(tmp_path / "data", splits=("train", "val", "test"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    dataset = load_dataset(Path("../data/data.yaml"))
    assert dataset.yaml == path
    assert dataset.splits == {s: (tmp_path / "data/images" / s,) for s in ("train", "val", "test")}
    assert dataset.names == ("cat", "dog")
    assert [image.name for image in list_images(dataset, "val")] == ["val0.png", "val1.png"]


def test_names_as_a_table_as_a_list_and_from_the_count(tmp_path):
    assert load_dataset(save_dataset(tmp_path, names={1: "dog", 0: "cat"}, nc=2)).names == ("cat", "dog")
    assert load_dataset(save_dataset(tmp_path, names=["a", 7])).names == ("a", "7")
    assert load_dataset(save_dataset(tmp_path, names=None, nc="2")).names == ("class_0", "class_1")


def test_equal_names_by_the_ten_thousand_are_counted_and_not_compared_with_each_other(tmp_path, monkeypatch):
    class Names(tuple):
        def count(self, _name):
            pytest.fail("each name is compared with every other")

    monkeypatch.setattr(reading, "_names", lambda *_: Names(["same"] * 50_000 + ["other"]))
    (remark,) = load_dataset(save_dataset(tmp_path)).remarks
    assert (remark.what.code, sentence(remark.what), remark.count) == (
        "class_name_twice",
        "several classes share a name: 'same'",
        1,
    )


def test_validation_is_accepted_as_val(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path, val=None, validation="images/val"))
    assert dataset.splits["val"] == (tmp_path / "images/val",)


def test_download_is_ignored_and_said_so(tmp_path):
    canary = tmp_path / "canary"
    dataset = load_dataset(save_dataset(tmp_path, download=f"open({str(canary)!r}, 'w')"))
    assert [finding.what.code for finding in dataset.remarks] == ["download_ignored"]
    assert not canary.exists()


def test_roboflow_paths_that_start_one_folder_too_high_are_found(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path, path=None, train="../images/train"))
    assert dataset.splits["train"] == (tmp_path / "images/train",)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"val": None}, "'val' is missing — add `val: FOLDER`, the images to validate with"),
        ({"val": None, "vall": "images/val"}, "is 'vall' meant?"),
        ({"train": None}, "'train' is missing — add `train: FOLDER`"),
        ({"names": None}, "'names' is missing"),
        ({"names": []}, "'names' must list at least one class"),
        ({"names": {0: "a", 2: "b"}}, "'names' has 2 classes, but no class 1 — number them 0 to 1 without gaps"),
        ({"names": {"cat": 0}}, "the keys of 'names' must be class ids"),
        ({"names": ["a", ["b"]]}, "class name ['b'] of class 1 is not text of one line"),
        ({"names": ["a\nb"]}, r"class name 'a\nb' of class 0 is not text of one line"),
        ({"nc": 3}, "'nc' is 3, but 'names' has 2 classes"),
        ({"nc": "many"}, "'nc' is 'many', not a number of classes"),
        ({"names": None, "nc": 10**9}, "not a number of classes"),
        ({"path": 3}, "'path' is 3, not a folder"),
        ({"train": {"a": 1}}, "'train' is {'a': 1}, not a folder or a list of folders"),
        ({"train": "data.yaml"}, "is neither a folder nor a .txt list: "),
        ({"train": "a\0b"}, "a path in it cannot be followed"),
        ({"train": "a" * 300}, "a path in it cannot be followed"),
        ({"channels": 1}, "'channels' is 1: images are read with 3 channels"),
    ],
)
def test_mistakes_are_refused_in_one_line(tmp_path, keys, expected):
    message = refusal(save_dataset(tmp_path, **keys))
    assert expected in message
    assert str(tmp_path / "data.yaml") in message


def test_a_missing_folder_is_named_by_its_absolute_path_and_its_nearest_sibling(tmp_path):
    message = refusal(save_dataset(tmp_path, train="images/trian"))
    assert f"'train: images/trian' does not exist: {tmp_path}/images/trian" in message
    assert f"in {tmp_path}/images: did you mean 'train'?" in message
    message = refusal(save_dataset(tmp_path, path="../nowhere"))
    assert f"'path: ../nowhere' does not exist: {tmp_path.parent}/nowhere" in message


def test_a_missing_yaml_names_the_nearest_file(tmp_path):
    save_dataset(tmp_path)
    assert f"not found: {tmp_path}/dat.yaml — in {tmp_path}: did you mean 'data.yaml'?" in refusal(
        tmp_path / "dat.yaml"
    )
    assert "a folder, not a dataset YAML" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not a dataset YAML"),
        (b"- a\n", "not a dataset YAML"),
        (b"\x00\x01\x02", "not valid YAML"),
        (b"\xff\xfe\xfa", "not a text file"),
        (b"train: [\n", "not valid YAML"),
        (b"names: !!python/object/apply:os.system ['touch canary']\n", "not valid YAML"),
        (b"a: &a [x, x]\nb: &b [*a, *a]\n", "alias '*a' in line 2"),
        (b"a: &a [*a]\n", "alias '*a' in line 1"),
        (b"[" * 100_000, "nested too deep in line 1"),
        (b"#" * 10_000_000, "larger than 1 MB"),
    ],
)
def test_what_is_no_dataset_yaml_is_refused(tmp_path, monkeypatch, content, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(write(tmp_path / "data.yaml", content))
    assert not (tmp_path / "canary").exists()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "data.yaml"


@given(content=st.binary(max_size=200) | st.text("trainvl: names[]{}&*!\n-'\"0", max_size=120).map(str.encode))
def test_arbitrary_content_is_refused_and_never_crashes(fuzzed, content):
    with pytest.raises(UserError):
        load_dataset(write(fuzzed, content))


def test_a_list_of_folders_and_lists_of_images(tmp_path):
    path = save_dataset(tmp_path, train=["images/train", "more.txt", "lists/more.txt"])
    extra = [save_image(tmp_path / name) for name in ("images/extra/a.png", "images/extra/b.png", "lists/c.jpg")]
    (tmp_path / "lists/more.txt").write_text(f"\ufeff./c.jpg\n{extra[1]}\nreadme.md\n\n")
    (tmp_path / "more.txt").write_text("images/extra/a.png\n")
    found = list_images(load_dataset(path), "train")
    assert found == sorted([*(tmp_path / f"images/train/train{i}.png" for i in range(2)), *extra])


def test_a_listed_image_that_does_not_exist_is_named(tmp_path):
    path = save_dataset(tmp_path, train="train.txt")
    (tmp_path / "train.txt").write_text("./images/train/train0.png\n./images/train/train9.png\n")
    with pytest.raises(UserError, match=r"1 of 2 listed images do not exist, first .*/images/train/train9.png"):
        list_images(load_dataset(path), "train")


def test_images_are_found_in_subfolders_but_not_hidden_or_of_other_kinds(tmp_path):
    path = save_dataset(tmp_path, images=1)
    save_image(tmp_path / "images/train/sub/deep/b.JPG")
    save_image(tmp_path / "images/train/.hidden/c.jpg")
    save_image(tmp_path / "images/train/._d.jpg")
    (tmp_path / "images/train/notes.md").write_text("")
    (tmp_path / "images/train/folder.png").mkdir()
    assert [image.name for image in list_images(load_dataset(path), "train")] == ["b.JPG", "train0.png"]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/data/images/train/a.b.jpg", "/data/labels/train/a.b.txt"),
        ("/images/set/images/a.png", "/images/set/labels/a.txt"),
        ("/data/pictures/a.png", "/data/pictures/a.txt"),
    ],
)
def test_the_label_of_an_image(image, label):
    assert label_path(Path(image)) == Path(label)


def test_image_suffixes_are_those_of_ultralytics():
    package = Path(importlib.util.find_spec("ultralytics").origin).parent
    for statement in ast.parse((package / "data" / "utils.py").read_text()).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "IMG_FORMATS":
            assert {f".{suffix}" for suffix in ast.literal_eval(statement.value)} == IMAGE_SUFFIXES
            return
    pytest.fail("ultralytics/data/utils.py defines no IMG_FORMATS")
