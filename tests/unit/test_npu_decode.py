"""The bundle's decoder against a slow, independent one, and how integers are made of images and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.litert_models import B, Builder
from tests.unit.npu_documents import decoder, metadata, raw_outputs
from workflow.evo.errors import EvoError
from workflow.evo.evaluation.decode import decode, ordered
from workflow.evo.evaluation.interpreter import Int8Model, dequantise, quantise
from workflow.evo.npu.export import feature_maps

DECODE = decoder()


def slow_detections(outputs, document, conf, iou, max_det):
    """Decode cell by cell and suppress class by class, in Python's own numbers. Return (score, class, box) each."""
    found = []
    by_map = {}
    for entry in document["outputs"]:
        by_map.setdefault(entry["feature_map"], {})[entry["kind"]] = entry
    for name in sorted(by_map):
        box, classes = by_map[name]["box"], by_map[name]["class"]
        _, height, width, _ = box["shape"]
        for row in range(height):
            for column in range(width):
                raw = [
                    (int(q) - box["zero_point"]) * box["scale"] for q in outputs[box["index"]][0, row, column].tolist()
                ]
                distances = []
                for side in range(4):
                    bins = raw[side * document["reg_max"] : (side + 1) * document["reg_max"]]
                    weights = [math.exp(value) for value in bins]
                    mean = sum(i * w for i, w in enumerate(weights)) / sum(weights)
                    distances.append(mean if len(bins) > 1 else bins[0])
                left, top, right, bottom = distances
                x, y, stride = column + 0.5, row + 0.5, box["stride"]
                corners = [(x - left) * stride, (y - top) * stride, (x + right) * stride, (y + bottom) * stride]
                for number, q in enumerate(outputs[classes["index"]][0, row, column].tolist()):
                    score = 1 / (1 + math.exp(-(q - classes["zero_point"]) * classes["scale"]))
                    if score > conf:
                        found.append((score, number, corners))
    kept = []
    for score, number, box in sorted(found, key=lambda item: -item[0]):
        if all(other != number or overlap(box, rival) <= iou for _, other, rival in kept):
            kept.append((score, number, box))
    return kept[:max_det]


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    first, second = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (first + second - shared)


@pytest.mark.parametrize("reg_max", [1, 16])
@pytest.mark.parametrize(("conf", "iou", "max_det"), [(0.5, 0.45, 300), (0.98, 0.7, 300), (0.6, 0.6, 7)])
def test_detections_are_those_of_a_decoder_written_cell_by_cell(reg_max, conf, iou, max_det):
    document = metadata(reg_max=reg_max, zero_point=-100 if reg_max == 1 else 3)
    outputs = raw_outputs(document, seed=reg_max, low=-90 if reg_max == 1 else -128)
    boxes, scores, classes = DECODE.detect(outputs, document, conf=conf, iou=iou, max_det=max_det)
    expected = slow_detections(outputs, document, conf, iou, max_det)
    assert 0 < len(expected) == len(boxes) == len(scores) == len(classes)
    key = lambda item: (-round(item[0], 5), item[1], [round(v, 2) for v in item[2]])  # noqa: E731
    expected.sort(key=key)
    ours = sorted(zip(scores.tolist(), classes.tolist(), boxes.tolist(), strict=True), key=key)
    assert [item[1] for item in ours] == [item[1] for item in expected]
    np.testing.assert_allclose([item[0] for item in ours], [item[0] for item in expected], atol=1e-5)
    np.testing.assert_allclose([item[2] for item in ours], [item[2] for item in expected], atol=1e-3)


def test_boxes_of_different_classes_do_not_suppress_each_other_and_those_of_one_class_do():
    document = metadata(imgsz=16, zero_point=-28)
    outputs = raw_outputs(document, seed=0, low=-128, high=-127)
    box, classes = (ordered(document["outputs"], kind)[0] for kind in ("box", "class"))
    outputs[box["index"]][:] = box["zero_point"] + 100  # large boxes around every cell
    outputs[classes["index"]][0, 0, 0] = [127, 100, -128]
    outputs[classes["index"]][0, 0, 1] = [90, -128, -128]
    boxes, scores, found = DECODE.detect(outputs, document, conf=0.9, iou=0.5)
    assert found.tolist() == [0, 1]
    assert scores[0] > scores[1]
    np.testing.assert_array_equal(boxes[0], boxes[1])


def test_nothing_above_the_threshold_gives_empty_arrays():
    document = metadata()
    boxes, scores, classes = DECODE.detect(raw_outputs(document, 0), document, conf=1.0)
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))


def test_very_low_logits_are_no_warning():
    document = metadata(scale=2.0)
    assert DECODE.detect(raw_outputs(document, 0, high=-120), document, conf=0.5)[1].size == 0


def test_outputs_are_identified_by_kind_and_feature_map_not_by_their_position():
    outputs = metadata()["outputs"]
    assert [output["index"] for output in ordered(outputs, "box")] == [1, 3]
    assert [output["index"] for output in ordered(outputs, "class")] == [2, 0]


def test_a_feature_map_is_named_by_its_stride_and_two_of_one_stride_differ():
    assert feature_maps([8, 16, 32]) == ["P3", "P4", "P5"]
    assert feature_maps([4, 8, 8, 64, 8]) == ["P2", "P3", "P3-2", "P6", "P3-3"]


def test_of_two_feature_maps_of_one_stride_each_box_map_keeps_its_classes():
    first, second = feature_maps([8, 8])
    entries = (("class", second), ("box", first), ("class", first), ("box", second))
    outputs = [{"kind": kind, "feature_map": name, "stride": 8} for kind, name in entries]
    assert [[output["feature_map"] for output in ordered(outputs, kind)] for kind in ("box", "class")] == [
        [first, second],
        [first, second],
    ]


def test_a_wrong_number_of_outputs_is_refused_before_anything_is_decoded():
    with pytest.raises(EvoError, match=r"3 outputs, metadata\.json describes 4"):
        decode([np.zeros((1, 1, 1, 1), np.float32)] * 3, metadata())


def test_halves_are_rounded_away_from_zero_and_the_rest_is_clipped():
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 200, -200]
    assert quantise(values, 1, 0).tolist() == [1, 2, 3, -1, -2, 0, 127, -128]
    assert quantise([0, 1], 1 / 255, -128).tolist() == [-128, 127]


def test_integers_survive_the_way_there_and_back():
    integers = np.arange(-128, 128).astype(np.int8)
    for scale, zero_point in ((0.0035567046, -128), (0.047, 127), (1.0, 0)):
        np.testing.assert_array_equal(quantise(dequantise(integers, scale, zero_point), scale, zero_point), integers)


@pytest.fixture
def rescaling(tmp_path):
    """A model that halves the steps of its input, and its metadata."""
    builder = Builder().tensor("in", [1, 2, 2, 3], scale=0.5, zero=-3).tensor("out", [1, 2, 2, 3], scale=1.0, zero=5)
    path = builder.operator(B.QUANTIZE, ["in"], ["out"]).save(tmp_path / "model.tflite", ["in"], ["out"])
    port = {"shape": [1, 2, 2, 3], "dtype": "int8"}
    return path, {
        "input": {**port, "scale": 0.5, "zero_point": -3},
        "outputs": [{**port, "index": 0, "scale": 1.0, "zero_point": 5}],
    }


def test_a_batch_comes_back_in_its_order_whichever_interpreter_ran_an_image(rescaling):
    images = np.arange(50 * 12, dtype=np.float32).reshape(50, 2, 2, 3) % 60
    with Int8Model(*rescaling, threads=3) as model:
        raw = model.run(images)
        assert (raw[0].shape, raw[0].dtype) == ((50, 2, 2, 3), np.int8)
        np.testing.assert_array_equal(model.dequantised(raw)[0], images)


@pytest.mark.parametrize(
    ("key", "value"), [("scale", 0.25), ("zero_point", 4), ("shape", [1, 2, 2, 4]), ("dtype", "int16")]
)
def test_metadata_of_another_model_is_refused(rescaling, key, value):
    path, document = rescaling
    document["outputs"][0][key] = value
    with pytest.raises(EvoError, match=r"'out' is \(1, 2, 2, 3\) int8, scale 1.0, zero point 5; metadata\.json says"):
        Int8Model(path, document, threads=1)


def test_metadata_of_more_outputs_is_refused(rescaling):
    path, document = rescaling
    document["outputs"] *= 2
    with pytest.raises(EvoError, match=r"1 outputs, metadata\.json describes 2"):
        Int8Model(path, document, threads=1)


def test_images_of_another_size_are_refused(rescaling):
    with (
        Int8Model(*rescaling, threads=1) as model,
        pytest.raises(EvoError, match=r"images of \[4, 4, 3\], the input of the model is \[2, 2, 3\]"),
    ):
        model.run(np.zeros((1, 4, 4, 3), np.float32))


@pytest.mark.parametrize("length", [0, 40, 200])
def test_a_damaged_model_is_refused_in_one_line(rescaling, length):
    path, document = rescaling
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(EvoError, match="not a LiteRT model that runs here") as caught:
        Int8Model(path, document, threads=1)
    assert "\n" not in str(caught.value)


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(EvoError, match="model not found"):
        Int8Model(tmp_path / "none.tflite", metadata(), threads=1)
