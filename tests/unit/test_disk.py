import shutil
from collections import namedtuple

import pytest

from workflow.evo.errors import DiskFull, EvoError
from workflow.evo.training import disk
from workflow.evo.training.checkpoints import CheckpointStore

Usage = namedtuple("Usage", "total used free")
MIB = 2**20


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path)


def put(store, epoch, mib):
    with store.writing("recipe", epoch, finished=False, batch=4) as draft:
        (draft / "state.pt").write_bytes(bytes(mib * MIB))


def test_before_the_first_checkpoint_three_are_to_come(store):
    need = disk.predict(MIB, store)
    assert need.checkpoint == 40 * MIB
    assert need.total == 3 * 40 * MIB + 40 * MIB + 8 * MIB


@pytest.mark.parametrize(("present", "to_come"), [(1, 2), (2, 1)])
def test_a_continued_training_needs_what_is_not_there_yet_and_knows_the_size(store, present, to_come):
    for epoch in range(1, present + 1):
        put(store, epoch, 3)
    need = disk.predict(MIB, store)
    assert 3 * MIB <= need.checkpoint < 3.01 * MIB
    assert need.total == (to_come + 1) * need.checkpoint + 8 * MIB


def test_the_refusal_says_how_much_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 60 * MIB))
    disk.require(disk.Need(20 * MIB, 60 * MIB), tmp_path)
    with pytest.raises(EvoError) as refused:
        disk.require(disk.Need(20 * MIB, 100 * MIB), tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: 100 MiB of disk are needed for checkpoints of 20 MiB and the weights, 60 MiB are free: "
        "40 MiB are missing — free disk space, then run the same command again: finished epochs are kept"
    )


def test_a_full_disk_is_told_with_what_is_missing_and_a_limit_without(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 60 * MIB))
    full = DiskFull("no space left while writing", where=tmp_path, hint="free disk space")
    assert str(disk.with_shortage(full, disk.Need(20 * MIB, 100 * MIB), tmp_path)) == (
        f"{tmp_path}: no space left while writing (100 MiB of disk are needed for checkpoints of 20 MiB and the "
        "weights, 60 MiB are free: 40 MiB are missing) — free disk space"
    )
    assert disk.with_shortage(full, disk.Need(20 * MIB, 60 * MIB), tmp_path) is full


def test_a_finished_training_needs_room_for_its_weights_only(store):
    put(store, 1, 3)
    need = disk.predict(MIB, store, finished=True)
    assert need.total == need.checkpoint + 8 * MIB


def test_checkpoints_of_another_recipe_tell_the_size_but_save_nothing(store):
    put(store, 1, 5)
    put(store, 2, 5)
    again, afresh = disk.predict(MIB, store), disk.predict(MIB, store, afresh=True)
    assert afresh.checkpoint == again.checkpoint
    assert afresh.total - again.total == 2 * again.checkpoint


def test_the_refusal_says_what_checkpoints_of_earlier_recipes_take(store, monkeypatch):
    put(store, 1, 3)
    store.set_aside("another")
    assert 3 * MIB <= disk.superseded(store.folder) < 3.01 * MIB
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 60 * MIB))
    missing = disk.shortage(disk.Need(20 * MIB, 100 * MIB), store.folder)
    assert missing.endswith(f"40 MiB are missing, {store.folder}/superseded holds 3 MiB of earlier recipes")
