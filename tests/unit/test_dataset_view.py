from __future__ import annotations

import os

import pytest
import yaml

from tests.unit.dataset_folder import BOX, save_dataset, save_image
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.listing import label_path
from workflow.evo.data.view import link
from workflow.evo.errors import UserError


def tree(folder) -> dict[str, str]:
    """Every file below a folder, and what it links to."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink()) if path.is_symlink() else "file"
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_images_and_labels_are_linked_as_ultralytics_looks_for_them(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path / "data", images=1))
    (tmp_path / "data/labels/val/val0.txt").unlink()
    out = link(dataset, tmp_path)
    assert out == tmp_path / "dataset.yaml"
    assert tree(tmp_path / "view") == {
        ".copies.json": "file",
        "images/train/train0.png": str(tmp_path / "data/images/train/train0.png"),
        "images/val/val0.png": str(tmp_path / "data/images/val/val0.png"),
        "labels/train/train0.txt": str(tmp_path / "data/labels/train/train0.txt"),
    }
    assert yaml.safe_load(out.read_text()) == {
        "train": "view/images/train",
        "val": "view/images/val",
        "names": {0: "cat", 1: "dog"},
    }


def test_linking_again_changes_nothing(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path / "data"))
    link(dataset, tmp_path)
    before = {p: p.lstat().st_ino for p in (tmp_path / "view/images").rglob("*")}
    content = (tmp_path / "dataset.yaml").read_bytes()
    link(dataset, tmp_path)
    assert {p: p.lstat().st_ino for p in (tmp_path / "view/images").rglob("*")} == before
    assert (tmp_path / "dataset.yaml").read_bytes() == content


def test_what_former_content_left_behind_is_removed(tmp_path):
    path = save_dataset(tmp_path / "data", splits=("train", "val", "test"))
    link(load_dataset(path), tmp_path)
    (tmp_path / "view/labels/train.cache").write_text("")
    (tmp_path / "view/images/train/train0.npy").write_text("")
    (tmp_path / "data/images/train/train1.png").unlink()
    save_dataset(tmp_path / "data", images=1)
    link(load_dataset(path), tmp_path)
    assert sorted(tree(tmp_path / "view")) == [
        ".copies.json",
        "images/train/train0.png",
        "images/val/val0.png",
        "images/val/val1.png",
        "labels/train/train0.txt",
        "labels/val/val0.txt",
        "labels/val/val1.txt",
    ]
    assert not (tmp_path / "view/images/test").exists()


def test_equal_names_of_several_folders_are_told_apart_whatever_the_place(tmp_path):
    names = []
    for place in ("here", "there/deep"):
        root = tmp_path / place
        path = save_dataset(root, train=["images/a", "images/b"], images=1)
        for image in ("a/x.png", "b/X.jpg", "b/y.png"):
            save_image(root / "images" / image)
            label = (root / "labels" / image).with_suffix(".txt")
            label.parent.mkdir(exist_ok=True)
            label.write_text(BOX)
        link(load_dataset(path), root)
        names.append(sorted(item.name for item in (root / "view/images/train").iterdir()))
        labels = sorted(item.stem for item in (root / "view/labels/train").iterdir())
        assert labels == sorted(name.rpartition(".")[0] for name in names[-1])
    assert names[0] == names[1]
    assert len(names[0]) == 3
    assert "y.png" in names[0]


def test_a_name_that_steers_a_terminal_gets_a_plain_one_and_keeps_its_label(tmp_path):
    path = save_dataset(tmp_path / "data", images=1)
    for name in ("a\n\x1b]0;own\x07", "a\n\x1b]1;own\x07", "\udcff", "이름"):
        save_image(tmp_path / "data/images/train" / f"{name}.png")
        (tmp_path / "data/labels/train" / f"{name}.txt").write_text(BOX)
    link(load_dataset(path), tmp_path)
    images, labels = (sorted((tmp_path / "view" / kind / "train").iterdir()) for kind in ("images", "labels"))
    assert len(images) == 5
    assert all(image.name.isprintable() for image in images)
    assert [image.stem for image in images] == [label.stem for label in labels]
    assert all(label_path(image.readlink()) == label.readlink() for image, label in zip(images, labels, strict=True))
    assert "이름.png" in [image.name for image in images]


def test_a_jpeg_that_ultralytics_would_rewrite_is_copied(tmp_path):
    path = save_dataset(tmp_path / "data", images=1)
    image = save_image(tmp_path / "data/images/train/padded.jpg")
    image.write_bytes(image.read_bytes() + b"\0\0")
    image.chmod(0o444)
    link(load_dataset(path), tmp_path)
    copy = tmp_path / "view/images/train/padded.jpg"
    assert not copy.is_symlink()
    assert copy.read_bytes() == image.read_bytes()
    assert os.access(copy, os.W_OK)
    image.chmod(0o644)
    image.write_bytes(image.read_bytes()[:-2])
    link(load_dataset(path), tmp_path)
    assert copy.is_symlink()


def test_difficult_class_names_survive(tmp_path):
    names = ['it\'s: a "cat"', "0", "yes", "- dog", "#", "Zähler 😀", "наука", "x" * 300, "{}", " padded "]
    dataset = load_dataset(save_dataset(tmp_path / "data", names=names))
    out = link(dataset, tmp_path)
    assert list(yaml.safe_load(out.read_text())["names"].values()) == names
    assert load_dataset(out).names == dataset.names


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path / "data"))
    (tmp_path / "session").mkdir(mode=0o555)
    with pytest.raises(UserError, match="not allowed to write"):
        link(dataset, tmp_path / "session")
