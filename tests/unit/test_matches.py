"""What evaluations keep of each image."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from tests.unit.damage import flip_a_bit, truncate
from tools.coverage import Scenes, detections
from workflow.evo.errors import EvoError
from workflow.evo.evaluation.bootstrap import average_precision
from workflow.evo.evaluation.matches import IOUS, Matches, Recorder, read_matches, write_matches

WEIGHTS = "ab" * 32


def some() -> Matches:
    return detections(Scenes.drawn(30, np.random.default_rng(0)), np.random.default_rng(1))


def equal(one: Matches, other: Matches) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(Matches))


def test_what_is_written_is_read_again_in_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    for path in (first, second):
        write_matches(path, WEIGHTS, {"val": some(), "test": some()})
    assert first.read_bytes() == second.read_bytes()
    found = read_matches(first, WEIGHTS)
    assert sorted(found) == ["test", "val"]
    assert equal(found["val"], some())


def test_evidence_of_other_weights_or_none_is_no_evidence(tmp_path):
    assert read_matches(tmp_path / "none.npz", WEIGHTS) is None
    write_matches(tmp_path / "a.npz", WEIGHTS, {"val": some()})
    assert read_matches(tmp_path / "a.npz", "cd" * 32) is None


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.write_bytes(b"text")])
def test_damage_is_one_line(tmp_path, damage):
    path = tmp_path / "a.npz"
    write_matches(path, WEIGHTS, {"val": some()})
    damage(path)
    with pytest.raises(EvoError, match="damaged or of another version"):
        read_matches(path, WEIGHTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": some().image + 99},
        {"kind": some().kind + 99},
        {"mask": some().mask[:-1]},
        {"confidence": np.full_like(some().confidence, np.nan)},
        {"truths": some().truths.astype(float)},
        {"images": some().images[:-1]},
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, changes):
    write_matches(tmp_path / "a.npz", WEIGHTS, {"val": replace(some(), **changes)})
    with pytest.raises(EvoError, match="damaged or of another version"):
        read_matches(tmp_path / "a.npz", WEIGHTS)


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, version=np.array(1), weights_sha256=np.array(WEIGHTS), **{"val.images": np.array([{}])})
    with pytest.raises(EvoError, match="damaged or of another version"):
        read_matches(path, WEIGHTS)


def test_only_detections_that_no_average_precision_depends_on_are_left_out():
    recorder = Recorder(3)
    tp = np.zeros((4, IOUS), bool)
    tp[1, :3] = True
    stats = {"tp": tp, "conf": [0.9, 0.5, 0.4, 0.8], "pred_cls": [0, 0, 0, 2], "target_cls": [0, 0, 1]}
    recorder.add("a.png", stats)
    recorder.add("b.png", {"tp": np.zeros((0, IOUS)), "conf": [], "pred_cls": [], "target_cls": []})
    found = recorder.matches()
    assert list(found.images) == ["a.png", "b.png"]
    assert found.truths.tolist() == [[2, 1, 0], [0, 0, 0]]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5]), "below the last match, and of a class without object"
    assert found.mask.tolist() == [0, 0b111]
    assert average_precision(found).shape == (2, IOUS)
