from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.data import file_hashes, folders, hashes, listing
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.hashes import DatasetHashes, dataset_hashes, hash_entries, image_hashes
from workflow.evo.errors import UserError

LONG_AGO = 1_600_000_000


def content_hash(dataset, cache) -> str:
    return dataset_hashes(dataset, cache).everything


def age(root: Path) -> None:
    """Make all files old, as far as a test can: the time of the last change of an inode cannot be set."""
    for path in root.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def tick(folder: Path) -> None:
    """Let the clock of the file system go on by one step: what changes now gets other times than what did before."""
    probe = folder / "tick"
    probe.touch()
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        probe.touch()
    probe.unlink()


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now count as at rest."""
    for module in (hashes, file_hashes):
        monkeypatch.setattr(module, "SETTLED_NS", -1_000_000_000)


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files whose content is read."""
    seen: list[str] = []
    original = file_hashes.hash_file
    monkeypatch.setattr(file_hashes, "hash_file", lambda path: (seen.append(Path(path).name), original(path))[1])
    return seen


@pytest.fixture
def looked_at(monkeypatch) -> list[str]:
    """The folders whose files are compared one by one."""
    seen: list[str] = []
    original = file_hashes.Files.__init__

    def opened(self, path, *arguments):
        seen.append(Path(path).relative_to(Path(path).parents[1]).as_posix())
        original(self, path, *arguments)

    monkeypatch.setattr(file_hashes.Files, "__init__", opened)
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


def test_an_untouched_dataset_is_told_by_its_folders_without_a_look_at_files(tmp_path, settled, reads, looked_at):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    first = content_hash(load_dataset(path), cache)
    assert len(reads) == 8 and len(looked_at) == 4
    reads.clear()
    looked_at.clear()
    assert content_hash(load_dataset(path), cache) == first == content_hash(load_dataset(path), None)
    assert reads[:-8] == [] and looked_at[:-4] == []


def touch(root: Path) -> str:
    (root / "labels/val/val1.txt").touch()
    return "same"


def replace(root: Path) -> str:
    (root / "labels/val/val1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    return "other"


def rename_over(root: Path) -> str:
    label = root / "labels/val/val1.txt"
    (root / "draft").write_text(label.read_text().replace("0.25", "0.35"))
    os.utime(root / "draft", ns=(label.stat().st_atime_ns, label.stat().st_mtime_ns))
    (root / "draft").rename(label)
    return "other"


def edit_in_place_with_old_times(root: Path) -> str:
    label = root / "labels/val/val1.txt"
    times = (label.stat().st_atime_ns, label.stat().st_mtime_ns)
    with label.open("r+") as stream:
        stream.write("1")
    os.utime(label, ns=times)
    return "other"


def edit_through_a_hard_link(root: Path) -> str:
    os.link(root / "labels/val/val1.txt", root / "elsewhere")
    with (root / "elsewhere").open("r+") as stream:
        stream.write("1")
    return "other"


def link_elsewhere(root: Path) -> str:
    label = root / "labels/val/val1.txt"
    label.rename(root / "labels/kept")
    label.symlink_to(root / "labels/kept")
    return "same"


def swap_folders(root: Path) -> str:
    shutil.copytree(root / "labels/val", root / "labels/new")
    (root / "labels/new/val1.txt").write_text("")
    (root / "labels/val").rename(root / "labels/old")
    (root / "labels/new").rename(root / "labels/val")
    return "other"


EDITS = [
    touch,
    replace,
    rename_over,
    edit_in_place_with_old_times,
    edit_through_a_hard_link,
    link_elsewhere,
    swap_folders,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_every_change_of_a_file_is_noticed_and_only_its_folder_looked_at(tmp_path, settled, reads, looked_at, edit):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    first = content_hash(load_dataset(path), cache)
    tick(tmp_path)
    reads.clear()
    looked_at.clear()
    outcome = edit(tmp_path / "data")
    after = content_hash(load_dataset(path), cache)
    assert set(looked_at) == {"images/val", "labels/val"}
    assert "val1.txt" in reads and set(reads) <= {"val0.txt", "val1.txt"}
    assert (after == first) == (outcome == "same")
    assert after == content_hash(load_dataset(path), None)


def test_an_edit_within_a_step_of_the_clock_is_noticed(tmp_path, monkeypatch):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    label = tmp_path / "data/labels/val/val1.txt"
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 3_600_000_000_000)  # however slow this machine is
    original, now = folders.scan, time.time_ns()
    monkeypatch.setattr(file_hashes, "scan", lambda path, keep=False: stamped(original(path, keep), now))
    first = content_hash(load_dataset(path), cache)
    with label.open("r+") as stream:
        stream.write("1")
    assert content_hash(load_dataset(path), cache) != first


def stamped(found: folders.Scan, now: int) -> folders.Scan:
    """Return a scan as a file system whose clock stands still would give it."""
    for place in range(len(found.names)):
        for number in (3, 4):
            found.stamps[folders.WIDTH * place + number] = now
    return folders.Scan("the same", found.folders, found.names, found.stamps)


def test_a_change_of_one_split_leaves_the_record_of_the_others(tmp_path, settled, reads, looked_at):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    content_hash(load_dataset(path), cache)
    for split in ("val", "train"):
        tick(tmp_path)
        reads.clear()
        looked_at.clear()
        replace_label = tmp_path / f"data/labels/{split}/{split}0.txt"
        replace_label.write_text("0 0.5 0.5 0.1 0.1\n")
        content_hash(load_dataset(path), cache)
        assert reads == [f"{split}0.txt"] and len(looked_at) == 2


def test_entries_file_by_file_give_the_same_hashes(tmp_path):
    path = save_dataset(tmp_path, train=["images/train", "more.txt"])
    save_image(tmp_path / "images/train/deep/er/a.png")
    save_image(tmp_path / "images/extra/b.png")
    (tmp_path / "more.txt").write_text("images/extra/b.png\nimages/train/train0.png\n")
    dataset = load_dataset(path)
    entries = image_hashes(dataset, None)
    assert [name for name, *_ in entries["train"]] == [
        "0/deep/er/a.png",
        "0/train0.png",
        "0/train1.png",
        "1/extra/b.png",
    ]
    assert hash_entries(dataset, entries) == dataset_hashes(dataset, None)


def test_a_list_is_read_again_only_when_it_has_changed(tmp_path, settled, monkeypatch):
    path, cache = save_dataset(tmp_path / "data", train="train.txt"), tmp_path / "cache.json"
    listed = tmp_path / "data/train.txt"
    listed.write_text("./images/train/train0.png\n")
    read: list[str] = []
    original = listing.read_list
    for module in (listing, hashes):
        monkeypatch.setattr(
            module, "read_list", lambda source, dataset: (read.append(source.name), original(source, dataset))[1]
        )
    first = content_hash(load_dataset(path), cache)
    read.clear()
    assert content_hash(load_dataset(path), cache) == first
    assert read == []
    tick(tmp_path)
    listed.write_text("./images/train/train1.png\n")
    assert content_hash(load_dataset(path), cache) != first
    assert read


def test_what_a_list_could_mean_instead_is_watched_too(tmp_path, settled):
    path, cache = save_dataset(tmp_path / "data", train="lists/train.txt"), tmp_path / "cache.json"
    save_image(tmp_path / "data/lists/images/train/more.png")
    (tmp_path / "data/lists/train.txt").write_text("images/train/more.png\n")
    first = content_hash(load_dataset(path), cache)
    tick(tmp_path)
    save_image(tmp_path / "data/images/train/more.png")  # from the root, which comes first
    assert content_hash(load_dataset(path), cache) != first


@pytest.mark.parametrize("place", ["images/train/odd.png", "labels/train/train0.txt"])
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero"])
def test_what_is_not_a_regular_file_is_refused_and_never_waited_for(tmp_path, place, kind):
    path = save_dataset(tmp_path)
    odd = tmp_path / place
    odd.unlink(missing_ok=True)
    os.mkfifo(odd) if kind == "fifo" else odd.symlink_to(kind)
    with pytest.raises(UserError, match=rf"{place}: is not a regular file — take it out of the dataset"):
        content_hash(load_dataset(path), None)


def test_a_fifo_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "image.png")
    with pytest.raises(UserError, match="is not a regular file"):
        file_hashes.hash_file(str(tmp_path / "image.png"))


@pytest.mark.parametrize(
    "content", [b"", b"\r", b"\r\n", b"a\r\r\n\nb", b"\xef\xbb", b"\xef\xbb\xbf\r\n0 1\r\n", b"0 1"]
)
@pytest.mark.parametrize("block", [1, 2, 1 << 20])
def test_line_ends_are_told_whatever_falls_into_one_block(tmp_path, monkeypatch, content, block):
    monkeypatch.setattr(file_hashes, "BLOCK", block)
    (tmp_path / "label.txt").write_bytes(content)
    plain = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    assert file_hashes.hash_file(str(tmp_path / "label.txt")) == hashlib.sha256(plain).digest()


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
    cache.write_text(damage)
    assert content_hash(load_dataset(path), cache) == content_hash(load_dataset(path), None)
    assert json.loads(cache.read_text())["entries"].keys() == {"train", "val"}
    assert content_hash(load_dataset(path), cache) == content_hash(load_dataset(path), None)


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    dataset = load_dataset(save_dataset(tmp_path / "data"))
    assert content_hash(dataset, tmp_path / "file" / "cache.json") == content_hash(dataset, None)


def test_removed_files_leave_the_cache(tmp_path, settled):
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
    content_hash(load_dataset(path), cache)
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 4
    shutil.rmtree(tmp_path / "data/labels/val")
    shutil.move(tmp_path / "data/images/val", tmp_path / "data/images/validation")
    path.write_text(path.read_text().replace("images/val", "images/validation"))
    content_hash(load_dataset(path), cache)
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 3
    assert str(tmp_path / "data/images/val") not in cache.read_text()


def test_a_large_dataset_is_announced_once(tmp_path, settled, monkeypatch, capsys):
    monkeypatch.setattr(file_hashes, "ANNOUNCE_BYTES", 10)
    path, cache = save_dataset(tmp_path / "data"), tmp_path / "cache.json"
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
