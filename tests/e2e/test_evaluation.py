"""Evaluation of a real, tiny checkpoint: the figures are those of ``yolo val``, and bad weights are refused."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.e2e.squares import CPU, MODEL, NAMES, SIZE, draw
from tests.quick_python import quick_python
from workflow.evo.errors import EvoError
from workflow.evo.evaluation.bootstrap import average_precision
from workflow.evo.evaluation.detector import check_unchanged, load_detector
from workflow.evo.evaluation.validation import evaluate
from workflow.evo.files import dump_json, sha256_file
from workflow.evo.host import ultralytics_env


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return (best.pt, dataset.yaml) of a network trained for two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    ultralytics_env.prepare(folder / "settings")
    from ultralytics import YOLO

    dataset = draw(folder / "data", {"train": 24, "val": 16, "test": 16})
    (folder / "tinyn.yaml").write_text(MODEL)
    model = YOLO(str(folder / "tinyn.yaml"))
    model.train(
        data=str(dataset), epochs=2, imgsz=SIZE, batch=4, nbs=4, save_dir=str(folder / "run"),
        optimizer="AdamW", lr0=0.01, warmup_epochs=0, plots=False, val=False, **CPU,
    )  # fmt: skip
    return folder / "run" / "weights" / "best.pt", dataset


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    return evaluate(*trained, ("val", "test"), CPU, folder), folder


def test_what_can_be_drawn_fits_the_figures(evaluated):
    (metrics, drawn, _), _ = evaluated
    dump_json("curves", drawn)
    assert drawn["weights_sha256"] == metrics["evaluation"]["weights_sha256"]
    for split, images in (("val", 16), ("test", 16)):
        found, figures = drawn[split], metrics[split]
        assert found["classes"] == list(figures["per_class"])
        assert set(found["precision"]) == {n for n, entry in figures["per_class"].items() if entry["instances"]}
        assert all(len(curve) == len(found["recall"]) for curve in found["precision"].values())
        assert [sample["image"].split("/")[:2] for sample in found["samples"]] == [["images", split]] * min(6, images)
        assert all((sample["width"], sample["height"]) == (SIZE, SIZE) for sample in found["samples"])
        background = len(found["classes"])
        objects = sum(cell["count"] for cell in found["confusion"] if cell["true"] != background)
        assert objects == figures["instances"], "every object stands once in the confusion matrix"


def valid(document):
    return json.loads(dump_json("metrics", document))


def test_the_evidence_of_each_image_gives_the_same_figures(evaluated):
    (document, _, matches), _ = evaluated
    for split in ("val", "test"):
        precision = average_precision(matches[split])
        figures = document[split]
        assert precision.mean() == pytest.approx(figures["map50_95"], abs=1e-6)
        assert precision[:, 0].mean() == pytest.approx(figures["map50"], abs=1e-6)
        assert len(matches[split].images) == figures["images"]
        assert matches[split].truths.sum() == figures["instances"]


def test_figures_are_those_of_yolo_val(trained, evaluated, tmp_path):
    best, dataset = trained
    (document, *_), _ = evaluated
    code = (
        "import sys, json; from ultralytics import YOLO;"
        f"found = [YOLO({str(best)!r}).val(data={str(dataset)!r}, split=split, device='cpu', plots=False,"
        f" save_dir={str(tmp_path / 'yolo')!r}).results_dict for split in ('val', 'test')]; print(json.dumps(found))"
    )
    result = subprocess.run([quick_python(), "-c", code], capture_output=True, text=True, check=True)
    for split, expected in zip(("val", "test"), json.loads(result.stdout.splitlines()[-1]), strict=True):
        ours = valid(document)[split]
        for key, theirs in {
            "map50": "mAP50",
            "map50_95": "mAP50-95",
            "precision": "precision",
            "recall": "recall",
        }.items():
            assert ours[key] == pytest.approx(expected[f"metrics/{theirs}(B)"], abs=1e-3), (split, key)
        assert ours["map50"] > 0, "a network that finds nothing proves nothing"


def test_document_names_file_size_device_and_counts(trained, evaluated):
    (document, *_), _ = evaluated
    assert document["evaluation"]["weights_sha256"] == sha256_file(trained[0])
    assert (document["evaluation"]["imgsz"], document["evaluation"]["batch"]) == (SIZE, 16)
    assert "thread" in document["evaluation"]["device"]
    assert document["val"]["images"] == 16
    assert document["val"]["instances"] == sum(c["instances"] for c in document["val"]["per_class"].values())
    assert document["val"]["speed_ms"]["inference"] > 0


def test_equal_class_names_stay_apart_and_a_class_without_objects_is_null(evaluated):
    per_class = evaluated[0][0]["val"]["per_class"]
    assert list(per_class) == ["disc (class 0)", NAMES[1], "disc (class 2)", NAMES[3]]
    assert per_class[NAMES[3]] == dict.fromkeys(("map50", "map50_95", "precision", "recall")) | {
        "images": 0,
        "instances": 0,
    }
    with_objects = [c["map50"] for c in per_class.values() if c["map50"] is not None]
    assert math.isclose(np.mean(with_objects), evaluated[0][0]["val"]["map50"])


def test_plots_of_both_splits_are_complete_images(evaluated):
    import cv2

    for split in ("val", "test"):
        folder = evaluated[1] / "plots" / split
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "BoxF1_curve.png", "BoxPR_curve.png", "BoxP_curve.png", "BoxR_curve.png",
            "confusion_matrix.png", "confusion_matrix_normalized.png",
            "val_batch0_labels.jpg", "val_batch0_pred.jpg",
        }  # fmt: skip
        assert all(cv2.imread(str(folder / name)) is not None for name in names)
    assert {path.name for path in evaluated[1].iterdir()} == {"plots"}


def test_a_network_that_detects_nothing_scores_zero(trained, tmp_path):
    import torch

    checkpoint = torch.load(trained[0], weights_only=False)
    for key in ("model", "ema"):
        if checkpoint.get(key) is not None:
            for layer in checkpoint[key].model[-1].cv3:
                layer[-1].bias.data.fill_(-100)  # every score is 0
    torch.save(checkpoint, tmp_path / "best.pt")
    metrics = valid(evaluate(tmp_path / "best.pt", trained[1], ["val"], CPU, tmp_path)[0])["val"]
    assert (metrics["map50"], metrics["map50_95"], metrics["recall"]) == (0, 0, 0)


def test_a_split_without_objects_has_null_metrics(trained, tmp_path):
    dataset = draw(tmp_path / "data", {"train": 4, "val": 4})
    for path in (tmp_path / "data" / "labels" / "val").iterdir():
        path.write_text("")
    document = valid(evaluate(trained[0], dataset, ["val", "test"], CPU, tmp_path)[0])
    assert "test" not in document
    assert document["val"]["map50"] is None
    assert document["val"]["instances"] == 0


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "hostile"])
def test_weights_that_are_no_checkpoint_are_refused_in_one_line(trained, tmp_path, damage):
    path, canary = tmp_path / "best.pt", tmp_path / "canary"
    if damage == "empty":
        path.touch()
    elif damage == "truncated":
        path.write_bytes(trained[0].read_bytes()[:5000])
    elif damage == "text":
        path.write_text("not a checkpoint")
    else:
        import torch

        class Hostile:
            def __reduce__(self):
                return Path.touch, (canary,)

        torch.save({"model": Hostile()}, path)
    with pytest.raises(EvoError) as caught:
        load_detector(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "not a checkpoint that the restricted loader accepts" in str(caught.value)
    assert not canary.exists()


def test_a_model_of_another_task_is_refused(tmp_path):
    ultralytics_env.prepare(tmp_path / "settings")
    from ultralytics import YOLO

    (tmp_path / "tinyn-cls.yaml").write_text(
        "nc: 2\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\nhead:\n  - [-1, 1, Classify, [nc]]\n"
    )
    YOLO(str(tmp_path / "tinyn-cls.yaml"), task="classify").save(tmp_path / "best.pt")
    with pytest.raises(EvoError, match="not a detector, but a ClassificationModel"):
        load_detector(tmp_path / "best.pt")


def test_missing_weights_and_changed_weights_are_told_apart(trained, tmp_path):
    with pytest.raises(EvoError, match="trained weights not found"):
        load_detector(tmp_path / "best.pt")
    with pytest.raises(EvoError, match="not found"):
        check_unchanged(tmp_path / "best.pt", "0" * 64)
    shutil.copy(trained[0], tmp_path / "best.pt")
    assert check_unchanged(tmp_path / "best.pt", sha256_file(trained[0])) == sha256_file(trained[0])
    with (tmp_path / "best.pt").open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(EvoError, match="changed after training"):
        check_unchanged(tmp_path / "best.pt", sha256_file(trained[0]))


def test_a_class_that_was_renamed_since_the_training_has_its_new_name_and_the_same_figures(
    trained, evaluated, tmp_path
):
    best, dataset = trained
    document = yaml.safe_load(dataset.read_text())
    document["names"][1] = "ring"
    renamed = dataset.with_name("renamed.yaml")
    renamed.write_text(yaml.safe_dump(document))
    metrics, drawn, _ = evaluate(best, renamed, ("val",), CPU, tmp_path)
    before = evaluated[0][0]["val"]["per_class"]
    assert list(metrics["val"]["per_class"]) == ["disc (class 0)", "ring", "disc (class 2)", NAMES[3]]
    assert list(metrics["val"]["per_class"].values()) == list(before.values())
    assert drawn["val"]["classes"] == list(metrics["val"]["per_class"])


def test_a_dataset_of_other_classes_is_refused(trained, tmp_path):
    data = yaml.safe_load(trained[1].read_text())
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump({**data, "names": {0: "a", 1: "b"}}))
    with pytest.raises(EvoError, match="trained for 4 classes, the dataset has 2"):
        evaluate(trained[0], tmp_path / "dataset.yaml", ["val"], CPU, tmp_path)
