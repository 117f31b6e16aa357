"""How folders are gone through: links, what no folder of images is, and what stands in the way."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.data import folders, listing
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.folders import scan
from workflow.evo.data.hashes import dataset_hashes
from workflow.evo.data.listing import label_of, named_images
from workflow.evo.errors import UserError


def names(path: Path) -> list[str]:
    return list(named_images(load_dataset(path), "train")[0])


def test_links_that_lead_back_are_followed_once(tmp_path):
    path = save_dataset(tmp_path)
    before = dataset_hashes(load_dataset(path), None)
    for name in ("first", "second"):
        (tmp_path / "images/train" / name).symlink_to(".")
    (tmp_path / "images/train/up").symlink_to("..")
    assert names(path) == ["train0.png", "train1.png", "up/val/val0.png", "up/val/val1.png"]
    (tmp_path / "images/train/up").unlink()
    assert names(path) == ["train0.png", "train1.png"]
    assert dataset_hashes(load_dataset(path), None) == before


def test_folders_that_link_to_one_another_many_times_are_seen_once_each(tmp_path):
    path = save_dataset(tmp_path)
    for depth in range(40):  # 2^40 paths
        folder = tmp_path / f"chain/{depth}"
        save_image(folder / f"{depth:02}.png")
        for name in "ab":
            (folder / name).symlink_to(tmp_path / f"chain/{depth + 1}")
    (tmp_path / "images/train/chain").symlink_to(tmp_path / "chain/0")
    assert len(names(path)) == 42


def test_a_folder_counts_under_its_own_name_rather_than_that_of_a_link(tmp_path):
    path = save_dataset(tmp_path, images=1)
    save_image(tmp_path / "images/train/deep/er/a.png")
    (tmp_path / "images/train/aa").symlink_to("deep/er")
    assert names(path) == ["deep/er/a.png", "train0.png"]


def test_linked_folders_and_images_elsewhere_are_found(tmp_path):
    path = save_dataset(tmp_path, images=1)
    image = save_image(tmp_path / "store/b.png")
    (tmp_path / "images/train/linked").symlink_to(tmp_path / "store")
    (tmp_path / "images/train/c.png").symlink_to(image)
    assert names(path) == ["c.png", "linked/b.png", "train0.png"]


def test_the_whole_disk_is_not_a_folder_of_images(tmp_path):
    path = save_dataset(tmp_path, train="/")
    with pytest.raises(UserError, match=r"^/: the root of the file system is not a folder of images — name the folder"):
        names(path)


def test_a_folder_of_far_too_many_folders_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "MAX_FOLDERS", 3)
    path = save_dataset(tmp_path)
    for number in range(3):
        (tmp_path / f"images/train/{number}").mkdir()
    with pytest.raises(UserError, match="images/train: more than 3 folders below it — name the folder of the images"):
        names(path)


def test_overlapping_folders_list_the_shared_images_again(tmp_path):
    path = save_dataset(tmp_path, train=["images/train", "images/train/deep"])
    again = save_image(tmp_path / "images/train/deep/a.png")
    found, repeated = named_images(load_dataset(path), "train")
    assert list(found) == ["0/deep/a.png", "0/train0.png", "0/train1.png"]
    assert repeated == [str(again)]


def test_an_image_listed_three_times_is_listed_again_twice(tmp_path):
    path = save_dataset(tmp_path, train="train.txt")
    (tmp_path / "train.txt").write_text("./images/train/train0.png\n" * 3)
    found, repeated = named_images(load_dataset(path), "train")
    assert list(found) == ["train0.png"] and repeated == [str(tmp_path / "images/train/train0.png")] * 2


def test_a_label_folder_that_is_a_file_is_named(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "labels/train").rename(tmp_path / "labels/elsewhere")
    (tmp_path / "labels/train").write_text("")
    with pytest.raises(UserError, match=r"labels/train: cannot be read: Not a directory"):
        dataset_hashes(load_dataset(path), None)


def test_a_split_without_labels_and_one_beside_its_images(tmp_path):
    path = save_dataset(tmp_path, images=1, train="pictures")
    image = save_image(tmp_path / "pictures/a.png")
    before = dataset_hashes(load_dataset(path), None)
    Path(label_of(str(image))).write_text("0 0.5 0.5 0.1 0.1\n")
    assert dataset_hashes(load_dataset(path), None).splits["train"] != before.splits["train"]


@pytest.mark.parametrize("name", ["a.PNG", "b.Jpeg", "c.tIFF", "d.txt", "\udcff.png", "line\nend.jpg"])
def test_a_scan_keeps_what_ends_like_an_image_or_a_label(tmp_path, name):
    (tmp_path / name).write_text("1")
    (tmp_path / "notes.md").write_text("1")
    found = scan(str(tmp_path), keep=True)
    facts = (tmp_path / name).stat()
    assert found.names == [name]
    assert found.stamps == array(
        "q", [facts.st_mode, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns]
    )


def test_a_scan_in_pieces_sees_every_file(tmp_path, monkeypatch):
    for number in range(10):
        (tmp_path / f"{number}.jpg").touch()
    whole = scan(str(tmp_path), keep=True)
    monkeypatch.setattr(folders, "_CHUNK", 3)
    pieces = scan(str(tmp_path), keep=True)
    assert pieces.names == whole.names and pieces.stamps == whole.stamps


def test_what_is_no_image_does_not_change_the_state_of_a_folder(tmp_path):
    before = scan(str(tmp_path)).state
    (tmp_path / "labels.cache").write_text("")
    assert scan(str(tmp_path)).state == before
    (tmp_path / "deeper").mkdir()
    assert scan(str(tmp_path)).state != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "labels/train").chmod(0)
    with pytest.raises(UserError, match="labels/train: cannot be read: Permission denied — make it readable"):
        dataset_hashes(load_dataset(path), None)
    (tmp_path / "labels/train").chmod(0o755)
