from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.dataset_folder import BOX, save_dataset, save_image
from workflow.evo.data import check as checking
from workflow.evo.data import hashes
from workflow.evo.data.check import check
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.hashes import dataset_hashes
from workflow.evo.files import read_json, write_json
from workflow.evo.text.facts import sentence


def found(path: Path) -> dict[str, dict]:
    return {finding["code"]: finding for finding in check(load_dataset(path), None)["findings"]}


def test_a_sound_dataset_has_no_findings(tmp_path):
    path = save_dataset(tmp_path, splits=("train", "val", "test"))
    document = check(load_dataset(path), None)
    assert document["findings"] == []
    assert document["content_hash"] == dataset_hashes(load_dataset(path), None).everything
    assert document["splits"]["test"] == {
        "images": 2,
        "labelled": 2,
        "instances": 4,
        "per_class": [2, 2],
        "width": {"min": 16, "median": 16, "max": 16},
        "height": {"min": 12, "median": 12, "max": 12},
    }


def test_the_fingerprint_is_the_same_bytes_wherever_the_dataset_lies(tmp_path):
    path = save_dataset(tmp_path / "a")
    (tmp_path / "a/labels/train/train0.txt").write_text("7 0.5 0.5 0.1 0.1\n")
    shutil.copytree(tmp_path / "a", tmp_path / "b/c")
    written = []
    for index, yaml in enumerate((path, tmp_path / "b/c/data.yaml", path)):
        out = tmp_path / f"{index}.json"
        write_json(out, "fingerprint", check(load_dataset(yaml), tmp_path / "cache.json"))
        written.append(out.read_bytes())
    assert len(set(written)) == 1
    assert str(tmp_path).encode() not in written[0]
    assert read_json(tmp_path / "0.json", "fingerprint")["findings"][0]["code"] == "label_class_range"


def test_a_truncated_jpeg_is_fatal_and_named(tmp_path):
    path = save_dataset(tmp_path)
    image = tmp_path / "images/train/cut.jpg"
    Image.effect_noise((64, 64), 50).save(image)
    image.write_bytes(image.read_bytes()[:-200])
    finding = found(path)["image_unreadable"]
    assert finding["severity"] == "fatal"
    assert finding["examples"][0].startswith("images/train/cut.jpg (image file is truncated")


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_image_is_fatal(tmp_path, content):
    path = save_dataset(tmp_path)
    (tmp_path / "images/val/not.png").write_bytes(content)
    assert found(path)["image_unreadable"]["examples"][0].startswith("images/val/not.png (")


def test_an_image_of_a_kind_that_ultralytics_does_not_read_is_fatal(tmp_path):
    path = save_dataset(tmp_path)
    Image.new("RGB", (16, 16)).save(tmp_path / "images/val/gif.png", format="GIF")
    assert found(path)["image_unreadable"]["examples"] == [
        "images/val/gif.png (a GIF file, which Ultralytics does not read)"
    ]


def test_a_tiny_image_is_fatal_and_a_rotated_one_has_its_edges_swapped(tmp_path):
    path = save_dataset(tmp_path, images=1)
    save_image(tmp_path / "images/train/tiny.png", size=(16, 9))
    assert found(path)["image_too_small"]["examples"] == ["images/train/tiny.png (16×9)"]
    rotated = Image.new("RGB", (40, 20))
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "images/val/rotated.jpg", exif=exif)
    assert check(load_dataset(path), None)["splits"]["val"]["height"]["max"] == 40


def test_a_class_id_out_of_range_names_the_valid_range(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "labels/val/val0.txt").write_text("2 0.5 0.5 0.1 0.1\n-1 0.4 0.5 0.1 0.1\n")
    finding = found(path)["label_class_range"]
    assert (finding["severity"], finding["count"]) == ("fatal", 2)
    assert sentence(finding) == "class ids must be 0 to 1: 'names' has 2 classes"
    assert finding["examples"] == ["labels/val/val0.txt (2)", "labels/val/val0.txt (-1)"]


@pytest.mark.parametrize(
    ("row", "code", "severity", "says"),
    [
        ("0 320 240 64 64", "label_pixels", "fatal", "look like pixels: divide by the image's width and height"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.1", "label_polygon", "fatal", "convert to boxes"),
        ("0 0.5 0.5 0 0.1", "label_zero_area", "warning", "no area"),
        ("0 0.99 0.5 0.5 0.1", "label_leaves_image", "warning", "leave the image"),
    ],
)
def test_label_problems_have_their_severity(tmp_path, row, code, severity, says):
    path = save_dataset(tmp_path)
    (tmp_path / "labels/train/train0.txt").write_text(row)
    finding = found(path)[code]
    assert finding["severity"] == severity
    assert says in sentence(finding)
    assert finding["examples"][0].startswith("labels/train/train0.txt (line 1")


def test_an_image_in_two_splits_is_fatal_and_both_files_are_named(tmp_path):
    path = save_dataset(tmp_path)
    shutil.copy(tmp_path / "images/train/train0.png", tmp_path / "images/val/copy.png")
    finding = found(path)["image_shared"]
    assert finding["severity"] == "fatal"
    assert finding["examples"] == ["images/train/train0.png (train) = images/val/copy.png (val)"]


def test_the_same_folder_for_two_splits_is_an_overlap(tmp_path):
    assert found(save_dataset(tmp_path, test="images/val"))["image_shared"]["count"] == 2


def test_a_copy_within_a_split_is_a_warning(tmp_path):
    path = save_dataset(tmp_path)
    shutil.copy(tmp_path / "images/train/train0.png", tmp_path / "images/train/copy.png")
    finding = found(path)["image_twice"]
    assert (finding["severity"], finding["count"]) == ("warning", 1)


def test_an_image_listed_twice_is_used_once(tmp_path):
    path = save_dataset(tmp_path, train=["images/train", "images"], val="val.txt")
    save_image(tmp_path / "val/a.png")
    (tmp_path / "val/a.txt").write_text(BOX)
    (tmp_path / "val.txt").write_text("./val/a.png\n")
    document = check(load_dataset(path), None)
    assert document["splits"]["train"]["images"] == 4
    assert [finding["count"] for finding in document["findings"]] == [2]


def test_missing_empty_and_orphan_labels(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "labels/train/train0.txt").unlink()
    (tmp_path / "labels/train/train1.txt").write_text("")
    (tmp_path / "labels/val/nobody.txt").write_text(BOX)
    (tmp_path / "labels/val/classes.txt").write_text("cat\ndog\n")
    save_image(tmp_path / "images/train/other.png")
    (tmp_path / "labels/train/other.txt").write_text(BOX)
    findings = found(path)
    assert {code: (f["severity"], f["examples"]) for code, f in findings.items()} == {
        "label_missing": ("warning", ["images/train/train0.png"]),
        "label_orphan": ("warning", ["labels/val/nobody.txt"]),
        "label_empty": ("info", ["labels/train/train1.txt (no box)"]),
    }


def test_an_image_that_no_list_names_does_not_make_its_label_an_orphan(tmp_path):
    path = save_dataset(tmp_path, train="train.txt")
    (tmp_path / "train.txt").write_text("./images/train/train0.png\n")
    assert found(path) == {}


def test_class_balance_is_looked_at(tmp_path):
    path = save_dataset(tmp_path, names=["cat", "dog", "cow"])
    (tmp_path / "labels/val/val0.txt").write_text("0 0.5 0.5 0.1 0.1\n2 0.4 0.5 0.1 0.1\n")
    (tmp_path / "labels/val/val1.txt").write_text("")
    findings = found(path)
    assert findings["class_untrained"]["examples"] == ["cow"]
    assert findings["class_absent_in_val"]["examples"] == ["dog"]


def test_an_empty_split_and_one_without_boxes_are_fatal(tmp_path):
    path = save_dataset(tmp_path)
    for label in (tmp_path / "labels/train").iterdir():
        label.write_text("")
    for image in (tmp_path / "images/val").iterdir():
        image.unlink()
    findings = found(path)
    assert findings["split_without_box"]["examples"] == ["train"]
    assert findings["split_empty"]["examples"] == ["val: images/val"]
    assert {findings[code]["severity"] for code in ("split_without_box", "split_empty")} == {"fatal"}


def test_examples_end_at_five_and_the_count_does_not(tmp_path):
    path = save_dataset(tmp_path, images=8)
    for label in (tmp_path / "labels/train").iterdir():
        label.write_text("0 1 2\n")
    finding = found(path)["label_columns"]
    assert (finding["count"], len(finding["examples"])) == (8, 5)


def test_an_unchanged_dataset_is_not_opened_again(tmp_path, monkeypatch):
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    time.sleep(0.01)
    first = check(load_dataset(path), cache)
    opened: list[str] = []
    original = checking._inspect
    monkeypatch.setattr(checking, "_inspect", lambda path, label: (opened.append(path), original(path, label))[1])
    assert check(load_dataset(path), cache) == first
    assert opened == []
    (tmp_path / "data/labels/val/val0.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    assert check(load_dataset(path), cache) != first
    assert [Path(path).name for path in opened] == ["val0.png"]


def test_an_image_that_did_not_open_is_looked_at_again(tmp_path):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    (tmp_path / "data/images/val/not.png").write_text("text")
    check(load_dataset(path), cache)
    assert len(json.loads((tmp_path / "cache.checks.json").read_text())["entries"]) == 4


def test_progress_is_four_lines_in_a_log(tmp_path, capsys):
    check(load_dataset(save_dataset(tmp_path)), None, progress=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("checking")]
    assert lines == [f"checking … {share} %" for share in (25, 50, 75, 100)]


@pytest.mark.skipif("EVO_BCCD" not in os.environ, reason="EVO_BCCD names no data.yaml of the blood-cell dataset")
def test_the_blood_cells_are_sound():
    document = check(load_dataset(Path(os.environ["EVO_BCCD"])), None)
    assert document["names"] == ["RBC", "WBC", "Platelets"]
    assert {split: row["images"] for split, row in document["splits"].items()} == {"train": 205, "val": 87, "test": 72}
    assert document["splits"]["train"]["width"]["median"] == 640
    assert document["findings"] == []
