import contextlib
import errno
import json
import shutil
from pathlib import Path

import pytest

from tests.unit.damage import flip_a_bit, truncate
from workflow.evo.errors import EvoError, UserError
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import fact, sentence
from workflow.evo.training.checkpoints import MANIFEST, CheckpointStore

RECIPE = "a" * 64


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / ".checkpoints")


def write(store, epoch, recipe=RECIPE, finished=False):
    with store.writing(recipe, epoch, finished=finished, batch=4) as draft:
        (draft / "state.pt").write_bytes(f"state of epoch {epoch}".encode() * 100)
        (draft / "results.csv").write_text(f"epoch\n{epoch}\n")


def epochs(store):
    return sorted(int(path.name.removeprefix("epoch")) for path in store.folder.glob("epoch*"))


def newest(store, recipe=RECIPE):
    """Return the epoch of the newest usable checkpoint and what was said of the damaged ones."""
    told = []
    checkpoint = store.newest(recipe, lambda folder, reason: told.append(f"{folder.name}: {reason}"))
    return checkpoint and checkpoint.epoch, told


def test_an_empty_store_has_no_generation(store):
    assert newest(store) == (None, [])
    assert store.set_aside(RECIPE) is None


def test_a_generation_appears_only_when_it_is_complete(store):
    with store.writing(RECIPE, 1, finished=True, batch=16) as draft:
        (draft / "state.pt").write_bytes(b"state")
        assert newest(store) == (None, [])
    checkpoint = store.newest(RECIPE, pytest.fail)
    assert (checkpoint.epoch, checkpoint.finished, checkpoint.batch) == (1, True, 16)
    assert checkpoint.folder == store.folder / "epoch00001"
    assert not draft.exists()
    assert set(json.loads((checkpoint.folder / MANIFEST).read_text())["sha256"]) == {"state.pt"}


def test_the_two_newest_generations_are_kept(store):
    for epoch in (8, 9, 10, 11):
        write(store, epoch)
    assert epochs(store) == [10, 11]
    assert newest(store) == (11, [])


def test_the_same_epoch_written_again_replaces_the_first(store):
    write(store, 3)
    write(store, 3, finished=True)
    assert store.newest(RECIPE, pytest.fail).finished


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.unlink()], ids=["cut", "flipped", "gone"])
@pytest.mark.parametrize("name", ["state.pt", "results.csv"])
def test_a_damaged_file_falls_back_to_the_generation_before(store, damage, name):
    write(store, 1)
    write(store, 2)
    damage(store.folder / "epoch00002" / name)
    assert newest(store) == (1, [f"epoch00002: damaged {name}"])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"sha256": []}', b'{"sha256": {}, "recipe": "x"}'],
    ids=["empty", "cut", "binary", "list", "null", "bare", "wrong type", "keys missing"],
)
def test_a_damaged_manifest_falls_back_to_the_generation_before(store, content):
    write(store, 1)
    write(store, 2)
    (store.folder / "epoch00002" / MANIFEST).write_bytes(content)
    epoch, told = newest(store)
    assert epoch == 1
    assert len(told) == 1 and told[0].startswith("epoch00002: unreadable manifest (")


def test_a_missing_manifest_falls_back_to_the_generation_before(store):
    write(store, 1)
    write(store, 2)
    (store.folder / "epoch00002" / MANIFEST).unlink()
    assert newest(store) == (1, ["epoch00002: unreadable manifest (FileNotFoundError)"])


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_in_a_manifest_passes_for_another_epoch_or_recipe(store, bit):
    write(store, 1)
    write(store, 2)
    manifest = store.folder / "epoch00002" / MANIFEST
    whole = manifest.read_bytes()
    for position in range(len(whole)):
        manifest.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :])
        if json.loads(whole) != _read(manifest):
            epoch, told = newest(store)
            assert epoch == 1 and len(told) == 1
            assert store.set_aside(RECIPE) is None, "a damaged one is not of another recipe"


def _read(path):
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def test_with_both_generations_damaged_the_run_starts_afresh_and_its_checkpoints_are_kept(store):
    write(store, 99)
    write(store, 100)
    truncate(store.folder / "epoch00099" / "state.pt")
    (store.folder / "epoch00100" / MANIFEST).unlink()
    epoch, told = newest(store)
    assert epoch is None and len(told) == 2
    write(store, 1)
    write(store, 2)
    assert epochs(store) == [1, 2]
    assert newest(store) == (2, [])


@pytest.mark.parametrize("error", [RuntimeError("CUDA error"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_while_writing_leaves_the_earlier_generations(store, error):
    write(store, 1)
    write(store, 2)
    with pytest.raises(type(error)), store.writing(RECIPE, 3, finished=False, batch=4) as draft:
        (draft / "state.pt").write_bytes(b"half")
        raise error
    assert epochs(store) == [1, 2]
    assert newest(store) == (2, [])
    assert not (store.folder / ".draft").exists()


def test_a_draft_left_by_a_kill_is_no_generation_and_is_overwritten(store):
    write(store, 1)
    (store.folder / ".draft").mkdir()
    (store.folder / ".draft" / "stale.pt").write_bytes(b"half")
    assert newest(store) == (1, [])
    write(store, 2)
    assert not (store.folder / "epoch00002" / "stale.pt").exists()


def test_a_full_disk_is_one_line_and_leaves_the_earlier_generations(store):
    write(store, 1)
    with pytest.raises(EvoError) as full, store.writing(RECIPE, 2, finished=False, batch=4):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not isinstance(full.value, UserError)
    assert str(full.value) == (
        f"{store.folder}: no space left while writing the checkpoint of epoch 2"
        " — free disk space, then run the same command again"
    )
    assert newest(store) == (1, [])


def test_a_disk_that_fills_up_at_the_flush_leaves_the_earlier_generations(store, monkeypatch):
    write(store, 1)

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workflow.evo.training.checkpoints.os.fsync", full)
    with pytest.raises(EvoError, match="no space left while writing"):
        write(store, 2)
    assert newest(store) == (1, [])


def test_generations_of_another_recipe_are_set_aside_whole(store):
    write(store, 4)
    write(store, 5)
    assert newest(store, "another") == (None, [])
    aside = store.set_aside("another")
    assert epochs(store) == []
    assert aside == store.folder / "superseded" / RECIPE
    assert sorted(path.name for path in aside.iterdir()) == ["epoch00004", "epoch00005"]
    assert (aside / "epoch00005" / "state.pt").is_file()
    assert store.recipes() == {RECIPE}


def test_each_recipe_is_set_aside_for_itself_and_none_is_removed(store):
    write(store, 5)
    store.set_aside("b" * 64)
    write(store, 1, recipe="b" * 64)
    aside = store.set_aside("c" * 64)
    assert aside.name == "b" * 64
    assert [path.name for path in aside.iterdir()] == ["epoch00001"]
    assert [path.name for path in (aside.parent / RECIPE).iterdir()] == ["epoch00005"]
    assert store.recipes() == {RECIPE, "b" * 64}


def test_what_was_set_aside_comes_back_with_its_recipe_its_journal_too(store):
    write(store, 5)
    Journal(store.folder).start_attempt(RECIPE, 8)
    Journal(store.folder).incident("resume", fact("quoted", text="of the first"))
    store.set_aside("b" * 64, RECIPE)
    assert Journal(store.folder).run == {} and Journal(store.folder).incidents() == []
    Journal(store.folder).start_attempt("b" * 64, 4)  # and ends before its first epoch
    assert store.set_aside(RECIPE, "b" * 64) is None
    assert store.take_back(RECIPE) == store.folder / "superseded" / RECIPE
    assert newest(store) == (5, [])
    journal = Journal(store.folder)
    assert (journal.run["recipe"], journal.run["batch"]) == (RECIPE, 8)
    assert [sentence(entry) for entry in journal.incidents()] == ["of the first"]
    assert [path.name for path in (store.folder / "superseded").iterdir()] == ["b" * 64]
    assert store.take_back(RECIPE) is None


@pytest.mark.parametrize("moves", range(5))
def test_a_kill_between_two_moves_loses_nothing(store, monkeypatch, moves):
    """Two checkpoints and two files of the journal: wherever it is cut short, the next start finishes it."""
    write(store, 4)
    write(store, 5)
    Journal(store.folder).start_attempt(RECIPE, 8)
    Journal(store.folder).incident("resume", fact("quoted", text="of the first"))
    original, done = Path.rename, []

    def killed(path, target):
        if len(done) == moves:
            raise KeyboardInterrupt
        done.append(path.name)
        return original(path, target)

    for step in (
        lambda: store.set_aside("b" * 64, Journal(store.folder).run.get("recipe")),
        lambda: store.take_back(RECIPE),
    ):
        done.clear()
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Path, "rename", killed)
            step()
        step()
    assert epochs(store) == [4, 5]
    assert newest(store) == (5, [])
    assert Journal(store.folder).run["recipe"] == RECIPE
    assert [sentence(entry) for entry in Journal(store.folder).incidents()] == ["of the first"]


def test_what_version_0_1_0_set_aside_gets_a_folder_of_its_recipe(store):
    write(store, 5)
    loose = store.folder / "superseded"
    loose.mkdir()
    (store.folder / "epoch00005").rename(loose / "epoch00005")
    assert store.recipes() == {RECIPE}
    store.set_aside(RECIPE)
    store.take_back(RECIPE)
    assert newest(store) == (5, [])


def test_the_own_recipe_is_never_set_aside(store):
    write(store, 5)
    assert store.set_aside(RECIPE) is None
    assert newest(store) == (5, [])


def test_only_the_newest_is_kept_after_delivery(store):
    write(store, 1)
    write(store, 2)
    store.keep_newest()
    assert epochs(store) == [2]


# Removal


@pytest.mark.parametrize(
    "act", [lambda store: write(store, 3), lambda store: store.keep_newest()], ids=["write", "keep"]
)
def test_a_removal_that_is_cut_short_leaves_no_damaged_generation(store, monkeypatch, act):
    write(store, 1)
    write(store, 2)

    def killed(folder, **_):
        for path in Path(folder).rglob("results.csv"):
            path.unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        act(store)
    assert newest(store) == (max(epochs(store)), [])
    assert len(epochs(store)) == (2 if max(epochs(store)) == 3 else 1)
    assert list(store.folder.glob(".removed-*"))
    store.sweep()
    assert not list(store.folder.glob(".removed-*"))


def test_a_kill_while_an_epoch_is_written_anew_leaves_the_one_before_or_the_new_one(store, monkeypatch):
    write(store, 1)
    write(store, 2)
    (store.folder / "epoch00002" / "state.pt").write_bytes(b"damaged")
    original = shutil.rmtree

    def killed(folder, **options):
        if ".removed-" in str(folder):
            raise KeyboardInterrupt
        original(folder, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        write(store, 2)
    assert newest(store) == (2, [])
    write(store, 3)
    assert not list(store.folder.glob(".removed-*")), "the next checkpoint finishes the removal"
