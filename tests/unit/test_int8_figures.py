"""What quantisation costs: differences, collapsed classes, and a model that is not the one described."""

from __future__ import annotations

import pytest

from tests.unit.npu_documents import metadata, metrics_int8
from tests.unit.synthetic import split_metrics
from workflow.evo.errors import EvoError
from workflow.evo.evaluation.int8 import check_collapse, check_model, difference
from workflow.evo.files import load_schema, read_json, sha256_file, write_json


def pair(changes):
    """Return int8 and float metrics whose classes have the AP50-95 of ``changes``: {name: (int8, float)}."""
    both = [split_metrics(0.4, changes) for _ in range(2)]
    for name, values in changes.items():
        for split, value in zip(both, values, strict=True):
            split["per_class"][name]["map50_95"] = value
    return both


def test_int8_and_float_metrics_have_the_shape_of_metrics_json():
    ours, theirs = (load_schema(name)["properties"] for name in ("metrics_int8", "metrics"))
    for shape in (ours, ours["float"]["properties"]):
        assert {key: shape[key]["$ref"] for key in ("val", "test", "evaluation")} == {
            key: theirs[key]["$ref"] for key in ("val", "test", "evaluation")
        }


def test_differences_are_int8_minus_float_and_the_document_is_valid(tmp_path):
    document = metrics_int8("a" * 64, "b" * 64, map50_95=(0.4, 0.41))
    write_json(tmp_path / "metrics_int8.json", "metrics_int8", document)
    changes = read_json(tmp_path / "metrics_int8.json", "metrics_int8")["difference"]["val"]
    assert changes["map50_95"] == pytest.approx(-0.01)
    assert changes["map50"] == pytest.approx(-0.016)
    assert changes["per_class"]["platelet"] == {
        "int8": 0.4,
        "float": 0.41,
        "difference": pytest.approx(-0.01),
        "collapsed": False,
    }


def test_a_class_or_split_without_objects_has_no_difference():
    changes = difference(*pair({"seen": (0.3, 0.3), "absent": (None, None)}))
    assert changes["per_class"]["absent"] == {"int8": None, "float": None, "difference": None, "collapsed": False}
    empty = split_metrics(None)
    assert (difference(empty, empty)["map50"], difference(empty, empty)["map50_95"]) == (None, None)


def test_a_class_has_collapsed_when_more_than_half_of_a_found_one_is_gone():
    values = {"half": (0.2, 0.4), "less": (0.199, 0.4), "noise": (0.0, 0.049), "found": (0.0, 0.05), "gain": (0.5, 0.1)}
    collapsed = {name: entry["collapsed"] for name, entry in difference(*pair(values))["per_class"].items()}
    assert collapsed == {"half": False, "less": True, "noise": False, "found": True, "gain": False}


def test_a_collapse_is_one_line_with_classes_and_figures(tmp_path):
    document = {
        "difference": {
            "val": difference(*pair({"a\nb": (0.1, 0.42), "fine": (0.4, 0.4)})),
            "test": difference(*pair({"a\nb": (0.4, 0.42), "fine": (0.0, 0.4)})),
        }
    }
    with pytest.raises(EvoError) as caught:
        check_collapse(document, tmp_path / "model_int8.tflite")
    text = str(caught.value)
    assert "\n" not in text
    assert "AP50-95 of 2 classes: 'a b' 0.420 to 0.100 (val), 'fine' 0.400 to 0.000 (test)" in text
    check_collapse({"difference": {"val": difference(*pair({"fine": (0.4, 0.4)}))}}, tmp_path)


def test_a_model_that_its_metadata_does_not_describe_is_refused(tmp_path):
    path = tmp_path / "model_int8.tflite"
    with pytest.raises(EvoError, match="model not found"):
        check_model(path, metadata())
    path.write_bytes(b"one")
    digest = sha256_file(path)
    assert check_model(path, metadata(sha256=digest)) == digest
    path.write_bytes(b"two")
    with pytest.raises(EvoError, match=r"not the model of its metadata\.json") as caught:
        check_model(path, metadata(sha256=digest))
    assert "\n" not in str(caught.value)
