"""Float LEAKY_RELU islands become one integer operator that computes the same."""

import numpy as np
import pytest

from tests.unit.litert_models import island, run
from workflow.evo.npu.flatbuffer import float_islands, read_operators
from workflow.evo.npu.fold import fold_leaky_relu

EVERY_BYTE = np.arange(-128, 128, dtype=np.int8)[None]


def types(path):
    return [operator.type for operator in read_operators(path)]


@pytest.mark.parametrize("alpha", [0.1, 0.01, 0.25])
def test_an_island_becomes_one_operator_that_differs_by_rounding_only(tmp_path, alpha):
    before = island(tmp_path / "before.tflite", alpha=alpha)
    fold = fold_leaky_relu(before, tmp_path / "after.tflite")
    assert (fold.folded, fold.requantised, fold.left) == (1, 0, ())
    assert types(tmp_path / "after.tflite") == ["LEAKY_RELU"]
    assert float_islands(read_operators(tmp_path / "after.tflite")) == []
    (expected,), (found,) = run(before, EVERY_BYTE), run(tmp_path / "after.tflite", EVERY_BYTE)
    assert np.abs(expected.astype(int) - found.astype(int)).max() <= 1


def test_with_several_consumers_the_widest_scale_takes_over_and_the_others_requantise(tmp_path):
    before = island(tmp_path / "before.tflite", scales=(0.01, 0.03, 0.02))
    fold = fold_leaky_relu(before, tmp_path / "after.tflite")
    assert (fold.folded, fold.requantised, fold.left) == (1, 2, ())
    assert sorted(types(tmp_path / "after.tflite")) == ["LEAKY_RELU", "QUANTIZE", "QUANTIZE"]
    for scale, expected, found in zip(
        (0.01, 0.03, 0.02), run(before, EVERY_BYTE), run(tmp_path / "after.tflite", EVERY_BYTE), strict=True
    ):
        assert np.abs(expected.astype(int) - found.astype(int)).max() <= 1 + 0.03 / scale / 2


def test_an_island_whose_floats_are_read_elsewhere_stays_and_is_named(tmp_path):
    before = island(tmp_path / "before.tflite", float_reader=True)
    fold = fold_leaky_relu(before, tmp_path / "after.tflite")
    assert (fold.folded, fold.left) == (0, ("g",))
    assert types(tmp_path / "after.tflite") == types(before)
    assert len(float_islands(read_operators(tmp_path / "after.tflite"))) == 4


def test_folding_twice_changes_nothing_more(tmp_path):
    fold_leaky_relu(island(tmp_path / "a.tflite"), tmp_path / "b.tflite")
    again = fold_leaky_relu(tmp_path / "b.tflite", tmp_path / "c.tflite")
    assert (again.folded, again.left) == (0, ())
    assert types(tmp_path / "c.tflite") == ["LEAKY_RELU"]
