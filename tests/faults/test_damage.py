"""The newest checkpoint is damaged after a kill: the run falls back, says so, and ends as if nothing had been."""

from __future__ import annotations

import shutil
import signal

import pytest

from tests.unit.damage import flip_a_bit, truncate
from tools.faults import SETUPS, VARIANT, Kill, differences, outcome, uninterrupted
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import sentence

FILES = ["state.pt", "last.pt", "best.pt", "results.csv", "manifest.json"]
DAMAGES = {"truncated": truncate, "bit-flipped": flip_a_bit, "deleted": lambda path: path.unlink()}


@pytest.fixture(scope="module")
def killed(bench):
    """A session, what it ends with when nothing happens, and a copy of it killed after its third epoch."""
    session = bench.session(SETUPS[1])
    reference, _ = uninterrupted(bench, session)
    bench.clear(session)
    assert bench.train(session, kill=Kill("rename", 3, 0.0)) == -signal.SIGKILL
    folder = session.layout.variant(VARIANT).folder
    copy = shutil.copytree(folder, bench.folder / "killed", symlinks=True)
    return session, reference, copy


@pytest.fixture
def checkpoints(bench, killed):
    """The checkpoints of the killed session, as the kill left them."""
    session, _, copy = killed
    layout = session.layout.variant(VARIANT)
    bench.clear(session)
    shutil.copytree(copy, layout.folder, symlinks=True)
    assert sorted(path.name for path in layout.checkpoints.glob("epoch*"))[-2:] == ["epoch00002", "epoch00003"]
    return layout.checkpoints


def messages(folder):
    return [sentence(item) for item in Journal(folder).incidents() if item["kind"] == "damaged_checkpoint"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_any_damage_to_any_file_of_the_newest_checkpoint_changes_no_bit(bench, killed, checkpoints, name, damage):
    session, reference, _ = killed
    DAMAGES[damage](checkpoints / "epoch00003" / name)
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []
    (said,) = messages(checkpoints)
    assert said.startswith("checkpoint epoch00003 is unusable (") and said.endswith("the one before it is used")
    assert "manifest" in said if name == "manifest.json" else f"damaged {name}" in said


def test_with_both_checkpoints_damaged_the_run_starts_afresh_and_changes_no_bit(bench, killed, checkpoints):
    session, reference, _ = killed
    truncate(checkpoints / "epoch00003" / "state.pt")
    (checkpoints / "epoch00002" / "best.pt").unlink()
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []
    assert len(messages(checkpoints)) == 2
