from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.data import hashes
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.hashes import DatasetHashes, dataset_hashes
from workflow.evo.errors import UserError

LONG_AGO = 1_600_000_000


def content_hash(dataset, cache) -> str:
    return dataset_hashes(dataset, cache).everything


def age(root: Path) -> None:
    """Make all files old, as far as a test can: the time of the last change of an inode cannot be set."""
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def settled(monkeypatch):
    monkeypatch.setattr(hashes, "SETTLED_NS", 0)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files whose content is read."""
    seen: list[str] = []
    original = hashes._hash
    monkeypatch.setattr(hashes, "_hash", lambda path: (seen.append(Path(path).name), original(path))[1])
    return seen


def test_the_hash_depends_neither_on_the_place_nor_on_times(tmp_path):
    path = save_dataset(tmp_path / "a")
    before = content_hash(load_dataset(path), None)
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")
    age(tmp_path / "b")
    assert content_hash(load_dataset(tmp_path / "b/c/data.yaml"), None) == before


def test_everything_that_training_reads_changes_the_hash(tmp_path):
    path = save_dataset(tmp_path)
    seen = {content_hash(load_dataset(path), None)}

    def changed() -> bool:
        value = content_hash(load_dataset(path), None)
        new = value not in seen
        seen.add(value)
        return new

    (tmp_path / "labels/train/train0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert changed()
    (tmp_path / "labels/train/train0.txt").unlink()
    assert changed()
    save_image(tmp_path / "images/val/val0.png")
    assert changed()
    (tmp_path / "images/val/val0.png").rename(tmp_path / "images/val/other.png")
    assert changed()
    save_image(tmp_path / "images/train/more.png")
    assert changed()
    save_dataset(tmp_path / "unused")
    path.write_text(path.read_text().replace("- cat\n- dog", "- dog\n- cat"))
    assert changed()
    (tmp_path / "images/train/readme.txt").write_text("no image")
    assert not changed()


def test_an_untouched_file_is_not_read_again_and_a_changed_one_is(tmp_path, settled, reads):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    time.sleep(0.01)
    first = content_hash(load_dataset(path), cache)
    assert len(reads) == 8
    reads.clear()
    assert content_hash(load_dataset(path), cache) == first
    assert reads == []
    label = tmp_path / "data/labels/val/val1.txt"
    label.write_text(label.read_text())
    assert content_hash(load_dataset(path), cache) == first
    assert reads == ["val1.txt"]


def test_other_content_of_the_same_size_and_date_is_noticed(tmp_path, settled):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    age(tmp_path / "data")
    time.sleep(0.01)
    first = content_hash(load_dataset(path), cache)
    label = tmp_path / "data/labels/val/val1.txt"
    label.write_text(label.read_text().replace("0.25", "0.35"))
    os.utime(label, (LONG_AGO, LONG_AGO))
    assert content_hash(load_dataset(path), cache) != first


def test_a_file_changed_a_moment_ago_is_not_trusted_to_the_cache(tmp_path, reads):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    for _ in range(2):
        content_hash(load_dataset(path), cache)
    assert len(reads) == 16


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "\x00", '{"version": 99}', '{"version": 2, "entries": {"/a": [1]}}', "[" * 100_000]
)
def test_a_damaged_cache_is_rebuilt(tmp_path, settled, damage):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    time.sleep(0.01)
    cache.write_text(damage)
    assert content_hash(load_dataset(path), cache) == content_hash(load_dataset(path), None)
    assert len(json.loads(cache.read_text())["entries"]) == 8


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    dataset = load_dataset(save_dataset(tmp_path / "data"))
    assert content_hash(dataset, tmp_path / "file" / "cache.json") == content_hash(dataset, None)


def test_removed_files_leave_the_cache(tmp_path, settled):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    time.sleep(0.01)
    content_hash(load_dataset(path), cache)
    (tmp_path / "data/images/val/val1.png").unlink()
    content_hash(load_dataset(path), cache)
    assert len(json.loads(cache.read_text())["entries"]) == 6


def test_a_large_dataset_is_announced_once(tmp_path, settled, monkeypatch, capsys):
    monkeypatch.setattr(hashes, "ANNOUNCE_BYTES", 10)
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    time.sleep(0.01)
    content_hash(load_dataset(path), cache)
    assert "GB of images to fingerprint the dataset; later runs read changed files only" in capsys.readouterr().err
    content_hash(load_dataset(path), cache)
    assert capsys.readouterr().err == ""


def test_a_link_to_nothing_is_named(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "images/train/gone.jpg").symlink_to("/nowhere/gone.jpg")
    with pytest.raises(
        UserError, match=r"images/train/gone.jpg: cannot be read: a link to nothing \(/nowhere/gone.jpg\)"
    ):
        content_hash(load_dataset(path), None)


def edited(root: Path, name: str, content: bytes) -> DatasetHashes:
    """Return the hashes after a file below ``root`` was replaced."""
    (root / name).write_bytes(content)
    return dataset_hashes(load_dataset(root / "data.yaml"), None)


@pytest.fixture
def three(tmp_path) -> tuple[Path, DatasetHashes]:
    """The folder of a dataset of three splits, and its hashes."""
    path = save_dataset(tmp_path / "three", splits=("train", "val", "test"))
    return path.parent, dataset_hashes(load_dataset(path), None)


@pytest.mark.parametrize("split", ["train", "val"])
def test_weights_depend_on_the_images_and_labels_of_train_and_val(three, split):
    root, before = three
    assert edited(root, f"labels/{split}/{split}0.txt", b"0 0.5 0.5 0.1 0.1\n").training != before.training
    assert edited(root, f"images/{split}/{split}0.png", b"another").training != before.training


@pytest.mark.parametrize("name", ["labels/test/test0.txt", "images/test/test0.png"])
def test_an_edit_of_the_split_test_concerns_its_evaluation_and_no_weights(three, name):
    root, before = three
    after = edited(root, name, b"0 0.5 0.5 0.1 0.1\n")
    assert after.training == before.training and after.everything != before.everything
    assert after.of(["val"]) == before.of(["val"]) and after.of(["val", "test"]) != before.of(["val", "test"])


def test_a_renamed_class_and_a_split_taken_out_concern_no_weights(three):
    root, before = three
    yaml = (root / "data.yaml").read_bytes()
    renamed = edited(root, "data.yaml", yaml.replace(b"cat", b"tabby"))
    assert renamed.training == before.training
    assert renamed.of(["val"]) != before.of(["val"]) and renamed.everything != before.everything
    without = edited(root, "data.yaml", yaml.replace(b"test: images/test\n", b""))
    assert without.training == before.training and without.everything != before.everything


def test_line_ends_of_windows_and_a_byte_order_mark_in_labels_are_no_change(three):
    root, before = three
    label = (root / "labels/train/train0.txt").read_bytes()
    assert edited(root, "labels/train/train0.txt", label.replace(b"\n", b"\r\n")) == before
    assert edited(root, "labels/train/train0.txt", b"\xef\xbb\xbf" + label) == before
