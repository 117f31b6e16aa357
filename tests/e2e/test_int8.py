"""A real network in float and in int8: same predictions from raw maps, honest figures, and a bundle that agrees."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import yaml

from tests.conftest import error_lines, run_script
from tests.e2e.squares import CPU, MODEL, NAMES, SIZE, draw
from tests.unit.npu_documents import decoder
from tests.unit.synthetic import make_session, split_metrics, write_metrics, write_shared, write_training
from workflow.evo.config.variants import Variant, model_file
from workflow.evo.errors import EvoError
from workflow.evo.evaluation.decode import decode
from workflow.evo.evaluation.int8 import as_module, evaluate_int8, evaluate_square
from workflow.evo.evaluation.interpreter import Int8Model
from workflow.evo.files import read_json, sha256_file, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.models.definition import load_definition
from workflow.evo.npu.export import feature_maps

BOARD = "preset-u55-256"


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory):
    ultralytics_env.prepare(tmp_path_factory.mktemp("ultralytics"))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("dataset"), {"train": 32, "val": 16, "test": 16})


@pytest.fixture(scope="module", params=[1, 16], ids=["reg_max 1", "reg_max 16"])
def trained(request, dataset, tmp_path_factory):
    """Return the folder of a network trained for a few epochs: best.pt, model_int8.tflite and metadata.json."""
    from ultralytics import YOLO

    folder = tmp_path_factory.mktemp("trained")
    (folder / "tinyn.yaml").write_text(MODEL + f"\nreg_max: {request.param}\n")
    YOLO(str(folder / "tinyn.yaml")).train(
        data=str(dataset), epochs=8, imgsz=SIZE, batch=4, nbs=4, save_dir=str(folder / "run"), seed=0,
        optimizer="AdamW", lr0=0.01, warmup_epochs=0, plots=False, val=False, **CPU,
    )  # fmt: skip
    shutil.copy(folder / "run" / "weights" / "best.pt", folder / "best.pt")
    export(folder, dataset)
    return folder


def export(folder, dataset, change=lambda network: None):
    """Write model_int8.tflite and metadata.json of best.pt into its folder; ``change`` may damage the network first."""
    from ai_edge_quantizer.utils import tfl_interpreter_utils

    from workflow.evo.evaluation.detector import load_detector
    from workflow.evo.npu.calibration import CalibrationImages
    from workflow.evo.npu.export import export_int8
    from workflow.evo.npu.metadata import describe

    network = load_detector(folder / "best.pt").model
    change(network)
    images = CalibrationImages(dataset, SIZE, 16, 0)
    make = tfl_interpreter_utils.create_tfl_interpreter
    with mock.patch.object(tfl_interpreter_utils, "create_tfl_interpreter", wraps=make) as made:
        exported = export_int8(network, SIZE, images, folder / "model_int8.tflite", threads=2)
    threads = [call.kwargs["num_threads"] for call in made.call_args_list if "num_threads" in call.kwargs]
    assert threads == [2], "not the 16 of the library, beside other jobs"
    document = describe(
        folder / "model_int8.tflite",
        exported,
        variant="tiny",
        names=NAMES,
        imgsz=SIZE,
        reg_max=int(network.model[-1].reg_max),
        calibration={"images": len(images), "seed": 0, "split": "train"},
        activations={"expected": {}, "found": {}},
    )
    write_json(folder / "metadata.json", "npu_metadata", document)


def metadata_of(folder):
    return read_json(folder / "metadata.json", "npu_metadata")


def float_metadata(detect, shapes, names):
    """Return the part of metadata.json that decoding reads, for the maps that `raw_maps` returns."""
    strides = [int(stride) for stride in detect.stride]
    maps = zip(feature_maps(strides), strides, strict=True)
    outputs = [
        {"index": index, "kind": kind, "feature_map": name, "stride": stride, "shape": shapes[index]}
        for index, (name, stride, kind) in enumerate((*one, kind) for one in maps for kind in ("box", "class"))
    ]
    return {"outputs": outputs, "reg_max": detect.reg_max, "names": names, "strides": strides}


def raw_maps(network, images):
    """Run a network in evaluation mode. Return what `Detect` predicts, and the maps of its last convolutions, NHWC."""
    import torch

    detect, maps = network.model[-1], {}
    layers = [layer for level in range(detect.nl) for layer in (detect.cv2[level][-1], detect.cv3[level][-1])]
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out, index=index: maps.__setitem__(index, out))
        for index, layer in enumerate(layers)
    ]
    with torch.no_grad():
        predicted = network(images)
    for hook in hooks:
        hook.remove()
    predicted = predicted[0] if isinstance(predicted, tuple) else predicted
    return predicted, [maps[index].permute(0, 2, 3, 1).contiguous().numpy() for index in range(len(layers))]


@pytest.mark.parametrize(("level", "reg_max"), [(1, 16), (4, 1)])
def test_decoding_raw_maps_is_what_detect_predicts(level, reg_max):
    import torch

    from workflow.evo.models.build import build

    torch.manual_seed(0)
    network = build(load_definition(model_file(level, "silu" if level == 1 else "relu")), 7).eval()
    for head in (network.model[-1].cv2, network.model[-1].cv3):
        for parameter in head.parameters():  # untrained heads predict nearly the same everywhere
            parameter.data += 0.3 * torch.randn_like(parameter)
    images = torch.rand(2, 3, 64, 96)  # not square: rows and columns cannot be mistaken for each other
    predicted, maps = raw_maps(network, images)
    metadata = float_metadata(network.model[-1], [list(values.shape) for values in maps], list("abcdefg"))
    assert metadata["reg_max"] == reg_max
    decoded = decode(maps, metadata)
    assert decoded.shape == predicted.shape == (2, 4 + 7, 8 * 12 + 4 * 6 + 2 * 3)
    assert torch.equal(decoded, predicted)
    assert predicted.std(2).min() > 0, "equal constants would prove nothing"


def test_weights_rounded_by_their_effect_stay_on_the_grid_and_change_the_outputs_less():
    import torch

    from workflow.evo.npu.rounding import round_rows

    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(8, 36, generator=generator)
    inputs = torch.randn(500, 6, generator=generator) @ torch.randn(6, 36, generator=generator)  # they depend
    inputs = torch.relu(inputs + 0.1 * torch.randn(500, 36, generator=generator))
    inputs[:, 5] = 0  # a dead channel
    scale = weights.abs().amax(1, keepdim=True) / 127
    nearest = torch.round(weights / scale) * scale
    rounded = round_rows(weights, inputs.T @ inputs / len(inputs))
    steps = rounded / scale
    assert torch.allclose(steps, steps.round(), atol=1e-3) and steps.abs().max() < 127.01
    assert torch.allclose(rounded.abs().amax(1), weights.abs().amax(1)), "the quantiser would find another scale"

    def error(changed):
        return float(((changed - weights) @ inputs.T).square().mean())

    assert error(rounded) < 0.5 * error(nearest)


def test_a_map_of_another_shape_is_refused(trained):
    metadata = metadata_of(trained)
    raw = [np.zeros(output["shape"], np.float32) for output in metadata["outputs"]]
    raw[0] = raw[0][:, :1]
    with pytest.raises(EvoError, match="map of P3 has the shape"):
        decode(raw, metadata)


def test_the_stand_in_without_quantisation_scores_exactly_as_the_float_network(trained, dataset, tmp_path):
    import torch

    from workflow.evo.evaluation.detector import load_detector

    network = load_detector(trained / "best.pt").model.float().eval().fuse(verbose=False)
    _, maps = raw_maps(network, torch.zeros(1, 3, SIZE, SIZE))
    metadata = float_metadata(network.model[-1], [list(values.shape) for values in maps], NAMES)

    def run(images):
        return raw_maps(network, torch.from_numpy(images).permute(0, 3, 1, 2))[1]

    floats = SimpleNamespace(run=run, dequantised=lambda raw: raw)
    stand_in = load_detector(trained / "best.pt")
    stand_in.model = as_module(floats, metadata)
    arguments = (dataset, "val", SIZE, tmp_path, "test")
    ours, theirs = (
        evaluate_square(detector, *arguments)[0] for detector in (stand_in, load_detector(trained / "best.pt"))
    )
    for document in (ours, theirs):
        document.pop("speed_ms")
    assert theirs["map50"] > 0.05, "a network that finds nothing proves nothing"
    assert json.dumps(ours) == json.dumps(theirs)


@pytest.fixture(scope="module")
def evaluated(trained, dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate_int8")
    arguments = (trained / "model_int8.tflite", metadata_of(trained), trained / "best.pt", dataset, ("val", "test"))
    return evaluate_int8(*arguments, folder)[0]


def test_the_metadata_says_how_the_weights_were_rounded(trained):
    calibration = metadata_of(trained)["calibration"]
    assert calibration == {"images": 16, "seed": 0, "split": "train", "rounding_images": 16}


def test_int8_figures_are_near_those_of_the_float_network(trained, evaluated, tmp_path):
    write_json(tmp_path / "metrics_int8.json", "metrics_int8", evaluated)
    assert evaluated["evaluation"]["weights_sha256"] == sha256_file(trained / "model_int8.tflite")
    assert evaluated["float"]["evaluation"]["weights_sha256"] == sha256_file(trained / "best.pt")
    for split in ("val", "test"):
        assert evaluated["float"][split]["map50"] > 0.05, "a network that finds nothing proves nothing"
        assert evaluated[split]["map50"] == pytest.approx(evaluated["float"][split]["map50"], abs=0.1)
        assert evaluated[split]["images"] == 16
        assert list(evaluated[split]["per_class"]) == list(evaluated["difference"][split]["per_class"])
    assert evaluated["difference"]["val"]["per_class"][NAMES[3]]["difference"] is None


@pytest.fixture(scope="module")
def raw(trained, dataset):
    """Return the raw int8 outputs for the images of val, and the predictions that evaluation makes of them."""
    import cv2

    files = sorted((dataset.parent / "images" / "val").iterdir())
    images = np.stack([cv2.imread(str(path))[..., ::-1] for path in files]).astype(np.float32) / 255
    metadata = metadata_of(trained)
    with Int8Model(trained / "model_int8.tflite", metadata, threads=2) as model:
        outputs = model.run(images)
        return outputs, decode(model.dequantised(outputs), metadata)


@pytest.mark.parametrize(("conf", "iou", "max_det"), [(0.001, 0.7, 300), (0.05, 0.45, 300), (0.001, 0.6, 9)])
def test_the_bundled_decoder_gives_the_detections_of_the_evaluation(trained, raw, conf, iou, max_det):
    from ultralytics.utils.nms import non_max_suppression

    outputs, predictions = raw
    expected = non_max_suppression(predictions.clone(), conf, iou, multi_label=True, max_det=max_det)
    assert sum(len(found) for found in expected) > len(expected)
    for index, found in enumerate(expected):
        one = [values[index : index + 1] for values in outputs]
        same_detections(decoder().detect(one, metadata_of(trained), conf=conf, iou=iou, max_det=max_det), found.numpy())


def same_detections(ours, theirs):
    """Pair every detection with one of the same class, score and place. Equal scores may come in any order."""
    boxes, scores, classes = ours
    assert len(boxes) == len(theirs)
    np.testing.assert_allclose(scores, theirs[:, 4], rtol=0, atol=1e-5)
    left = list(range(len(theirs)))
    for box, score, number in zip(boxes, scores, classes, strict=True):
        twin = next(
            index
            for index in left
            if theirs[index, 5] == number
            and abs(theirs[index, 4] - score) < 1e-5
            and np.abs(theirs[index, :4] - box).max() < 1e-3
        )
        left.remove(twin)


@pytest.fixture
def place(trained, dataset, tmp_path):
    """Lay the results of a session out below a working directory; return (layout, command line)."""
    session = make_session(tmp_path, [Variant("tiny", trained / "tinyn.yaml")], name="demo")
    layout = session.layout.variant("tiny")
    digest = sha256_file(trained / "best.pt")
    write_training(session, "tiny", weights={"best": digest, "last": digest})
    write_metrics(session, "tiny", split_metrics(0.4, ["a"]), None, digest)
    shutil.copy(trained / "best.pt", layout.best)
    layout.npu.mkdir(parents=True)
    for name in ("model_int8.tflite", "metadata.json"):
        shutil.copy(trained / name, layout.npu / name)
    write_shared(session, yaml.safe_load(dataset.read_text())["names"].values())
    shutil.copy(dataset, session.layout.dataset_yaml)
    config = {
        "session": "demo",
        "data": str(dataset),
        "grid": {"levels": []},
        "models": {"tiny": {"yaml": str(trained / "tinyn.yaml")}},
    }
    (tmp_path / "session.yaml").write_text(yaml.safe_dump(config))

    def script(name, *arguments):
        options = ["--config", "session.yaml", "--variant", "tiny", *arguments]
        return run_script(name, *options, folder=tmp_path, OMP_NUM_THREADS="1")

    return layout, script


@pytest.mark.parametrize("trained", [16], indirect=True, ids=["reg_max 16"])
def test_from_the_int8_model_to_a_bundle_by_the_scripts(place, trained, raw, tmp_path):
    layout, script = place
    done = script("evaluate_int8")
    assert done.returncode == 0, done.stderr
    assert "evaluate_int8: val, int8: map50 " in done.stderr
    assert "evaluate_int8: val, float … 100 %" in done.stderr
    read_json(layout.metrics_int8, "metrics_int8")
    done = script("bundle_deploy", "--board", BOARD)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "compatibility.json: file not found" in done.stderr
    done = script("compile_npu", "--board", BOARD)
    assert done.returncode == 0, done.stderr
    done = script("bundle_deploy", "--board", BOARD)
    assert done.returncode == 0, done.stderr
    deploy = layout.board(BOARD).deploy
    assert len(list(deploy.iterdir())) == 6
    assert "$\\frac{".replace("$", "\\$").replace("\\f", "\\\\f") in (deploy / "MODEL_CARD.md").read_text()
    np.savez(tmp_path / "raw.npz", *[values[:1] for values in raw[0]])
    code = (
        "import json, sys; import numpy as np; from decode import detect;"
        "raw = np.load(sys.argv[1]); boxes, scores, classes = detect([raw[k] for k in raw.files],"
        " json.load(open('metadata.json')), conf=0.01); print(len(boxes)); sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "raw.npz")]
    done = subprocess.run(command, cwd=deploy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.parametrize("trained", [1], indirect=True, ids=["reg_max 1"])
def test_a_lost_class_fails_the_job_with_its_figures_and_keeps_the_document(place, trained, dataset, evaluated):
    layout, script = place
    found = evaluated["float"]["val"]["per_class"]
    best = max((name for name in found if found[name]["map50_95"]), key=lambda name: found[name]["map50_95"])
    assert found[best]["map50_95"] >= 0.05

    def silence(network):
        for head in network.model[-1].cv3:
            head[-1].bias.data[list(found).index(best)] = -20

    shutil.copy(trained / "best.pt", layout.npu / "best.pt")
    export(layout.npu, dataset, silence)
    done = script("evaluate_int8")
    assert done.returncode == 1
    (error,) = error_lines(done.stderr)
    assert f"'{best}' {found[best]['map50_95']:.3f} to 0.000 (val)" in error
    assert read_json(layout.metrics_int8, "metrics_int8")["difference"]["val"]["per_class"][best]["collapsed"]


def test_a_model_changed_after_export_is_refused_in_one_line(place):
    layout, script = place
    with layout.model_int8.open("ab") as stream:
        stream.write(b" ")
    done = script("evaluate_int8")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "not the model of its metadata.json" in done.stderr


def test_weights_of_other_classes_are_refused(trained, dataset, tmp_path):
    metadata = {**metadata_of(trained), "names": ["a", "b", "c", "d"]}
    with pytest.raises(EvoError, match="the int8 model has other classes than the dataset"):
        evaluate_int8(trained / "model_int8.tflite", metadata, trained / "best.pt", dataset, ("val",), tmp_path)


def test_the_decoder_of_the_repository_is_the_one_that_was_tested():
    spec = importlib.util.find_spec("workflow.evo.deploy.bundle")
    assert Path(spec.origin).parent / "templates" / "decode.py" == Path(decoder().__file__)
