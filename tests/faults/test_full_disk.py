"""The results lie on a small disk of their own: it fills up, or becomes read-only, and nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import error_lines
from tools.faults import SETUPS, VARIANT, Bench, differences, outcome, train_log, uninterrupted
from workflow.evo.training import disk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
KIB = 1024


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def reference(bench):
    return uninterrupted(bench, bench.session(SETUPS[1]))[0]


@pytest.fixture
def small(bench: Bench) -> Iterator:
    """The session with its variant's folder on a disk of its own, and what changes that disk's size."""
    session = bench.session(SETUPS[1])
    bench.clear(session)
    folder = session.layout.variant(VARIANT).folder.resolve()
    folder.mkdir(parents=True)
    try:
        mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this sandbox mounts nothing")
    try:
        yield session, folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        bench.clear(session)


def errors(session) -> list[str]:
    return error_lines(train_log(session).read_text(errors="replace"))


def without_prediction() -> None:
    """Let the writes themselves fail."""
    disk.require = lambda need, folder: None


def test_a_disk_without_room_is_refused_before_training_with_what_is_missing(bench, small, reference):
    session, folder = small
    mount("-o", "remount,size=4m", folder)
    assert bench.train(session) == 1
    (error,) = errors(session)
    assert "MiB are missing" in error
    assert not list(folder.glob("train/.checkpoints/epoch*"))
    mount("-o", "remount,size=64m", folder)
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


@pytest.mark.long
@pytest.mark.parametrize("size", [200, 440, 680, 900, 1300, 1800, 2300, 2700, 3200])
def test_a_disk_that_fills_up_anywhere_loses_nothing(bench, small, reference, size):
    session, folder = small
    mount("-o", f"remount,size={size}k", folder)
    code = bench.train(session, without_prediction)
    if code:
        said = errors(session)
        print(size, "kB:", said)
        assert code == 1
        assert len(said) == 1 and "no space left while" in said[0] and "MiB are missing" in said[0]
    mount("-o", "remount,size=64m", folder)
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


def test_weights_that_find_no_room_are_published_by_the_next_run_without_training(bench, small, reference):
    session, folder = small
    filler = folder / "filler"

    def full_before_publishing() -> None:
        from workflow.evo.training import run

        original = run._Training._publish

        def publish(training, checkpoint):
            filler.write_bytes(bytes(shutil.disk_usage(folder).free - 64 * KIB))
            return original(training, checkpoint)

        run._Training._publish = publish

    assert bench.train(session, full_before_publishing) == 1
    (error,) = errors(session)
    assert "no space left while publishing the weights (" in error and "MiB are missing" in error
    assert not list(folder.glob("train/*.pt"))
    filler.unlink()
    assert bench.train(session) == 0
    assert "publishing the weights" in train_log(session).read_text()
    assert differences(reference, outcome(session)) == []


def test_a_disk_that_becomes_read_only_stops_in_one_line_and_continues(bench, small, reference):
    session, folder = small

    def read_only_in_epoch_3() -> None:
        from workflow.evo.training.trainer import VariantTrainer

        original = VariantTrainer.save_model

        def save(trainer):
            if trainer.epoch == 2:
                subprocess.run(["mount", "-o", "remount,ro,force", str(folder)], check=False)
                if os.access(folder, os.W_OK):  # the open lock of the training keeps this disk writable
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
            return original(trainer)

        VariantTrainer.save_model = save

    assert bench.train(session, read_only_in_epoch_3) == 2
    said = errors(session)
    mount("-o", "remount,rw", folder)
    assert len(said) == 1 and "not allowed to write while" in said[0]
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []
