"""Real checkpoints load, tensor for tensor; what only their values or the real classes betray is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.unit.hostile_pickles import CONV, checkpoint, module, network, save, tensor
from workflow.evo.errors import EvoError, UserError
from workflow.evo.host import ultralytics_env
from workflow.evo.models.checkpoint_loader import (
    _class,
    guard_ultralytics,
    load_checkpoint,
    load_network,
    load_plain,
    load_weights,
)
from workflow.evo.models.checkpoint_parts import _LAYERS, CLASSES


@pytest.fixture(autouse=True)
def safe(tmp_path_factory):
    ultralytics_env.prepare(tmp_path_factory.mktemp("settings"))


def trained(yaml: str, path: Path, **more) -> Path:
    """Save a network as Ultralytics' trainer does (engine/trainer.py, save_model), arguments and optimizer included."""
    import numpy as np
    import torch
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import DEFAULT_CFG_DICT, IterableSimpleNamespace

    model = DetectionModel(yaml, nc=3, verbose=False)
    model.args, model.names = IterableSimpleNamespace(**DEFAULT_CFG_DICT), {0: "a", 1: "b", 2: "c"}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    document = {
        "epoch": 0,
        "best_fitness": np.float64(0.5),
        "model": None,
        "ema": model.half(),
        "updates": 1,
        "optimizer": optimizer.state_dict(),
        "scaler": {},
        "train_args": {**DEFAULT_CFG_DICT, "save_dir": Path("/somewhere")},
        "train_metrics": {"fitness": np.float32(0.5)},
        "train_results": {"epoch": [1]},
        "version": "8.4.0",
        **more,
    }
    torch.save(document, path)
    return path


@pytest.mark.parametrize(
    "yaml", ["yolov8n.yaml", "yolo11n.yaml", "yolo12n.yaml", "yolo26n.yaml", "yolov10n.yaml", "yolov5n.yaml"]
)
def test_a_checkpoint_as_ultralytics_trains_it_is_loaded_tensor_for_tensor(yaml, tmp_path):
    import torch

    path = trained(yaml, tmp_path / "last.pt")
    real = torch.load(path, weights_only=False)["ema"].state_dict()
    weights, model = load_weights(path), load_network(path)
    assert list(weights) and weights.keys() == real.keys() == model.state_dict().keys()
    assert all(torch.equal(real[name], weights[name]) for name in real)
    assert all(torch.equal(real[name].float(), value.float()) for name, value in model.state_dict().items())
    assert next(model.parameters()).dtype == torch.float32


def test_older_files_name_their_classes_otherwise(tmp_path):
    """Up to 8.0.44 modules.py was one file; YOLOv10 and YOLOv9-E brought classes that are gone."""
    path = trained("yolov8n.yaml", tmp_path / "last.pt")
    with load_renamed(path, {b"ultralytics.nn.modules.conv\nConv\n": b"ultralytics.nn.modules\nConv\n"}) as old:
        assert load_network(old).state_dict().keys() == load_weights(old).keys() == load_weights(path).keys()
    with load_renamed(path, {b"tasks\nDetectionModel\n": b"tasks\nYOLOv10DetectionModel\n"}) as old:
        assert load_network(old).names == {0: "a", 1: "b", 2: "c"}


def load_renamed(path: Path, names: dict[bytes, bytes]):
    import contextlib
    import zipfile

    target = path.with_name("old.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as made:
        for entry in source.infolist():
            content = source.read(entry)
            for old, new in names.items() if entry.filename.endswith("data.pkl") else ():
                assert old in content
                content = content.replace(old, new)
            made.writestr(entry.filename, content)
    return contextlib.nullcontext(target)


def test_every_layer_of_the_short_list_is_a_class_that_is_there():
    gone = {"Silence", "E2ELoss", "v10DetectLoss", "YOLOv10DetectionModel"}
    for layer in _LAYERS:
        assert layer in gone or any(
            f"ultralytics.nn.modules.{file}.{layer}" in CLASSES and _class(f"ultralytics.nn.modules.{file}.{layer}")
            for file in ("block", "conv", "head")
            if _exists(file, layer)
        ), layer


def _exists(file: str, layer: str) -> bool:
    import importlib

    return hasattr(importlib.import_module(f"ultralytics.nn.modules.{file}"), layer)


@pytest.mark.parametrize(("bad", "count"), [(float("nan"), 1), (float("inf"), 1), (float("-inf"), 1)])
def test_weights_that_are_not_finite_are_refused_by_name(bad, count, tmp_path):
    path = save(
        tmp_path / "start.pt", checkpoint({"model": network()}, records={"data/0": struct.pack("<4f", 0, bad, 0, 0)})
    )
    for load in (load_weights, load_network):
        with pytest.raises(UserError, match=rf"\({count} of 1 tensors hold NaN or infinity, model\.0\.weight first\)"):
            load(path)


def test_an_attribute_that_hides_a_method_is_refused(tmp_path):
    layer = module(CONV, parameters={"weight": tensor()}, forward=(1, 2))
    with pytest.raises(UserError, match="'forward' of a Conv hides a method"):
        load_checkpoint(save(tmp_path / "start.pt", checkpoint({"model": network(layer)})))


def test_no_constructor_of_a_module_runs_while_a_checkpoint_is_made(tmp_path, monkeypatch):
    """The second defence: also what passed the first one could not build anything."""
    from torch import nn

    from workflow.evo.models import checkpoint_loader

    before = nn.Module.__init__
    path = save(tmp_path / "start.pt", checkpoint({"x": 1}))

    def build(*_, **__):
        nn.Identity()

    monkeypatch.setattr("torch.load", build)
    with pytest.raises(UserError, match="it calls a module"):
        load_plain(path)
    assert nn.Module.__init__ is before
    assert checkpoint_loader.load_plain is load_plain


def test_ultralytics_opens_its_files_by_the_same_loader(tmp_path):
    from ultralytics import YOLO
    from ultralytics.nn.tasks import load_checkpoint as of_ultralytics

    from tests.unit.hostile_pickles import DISTILLATION, call

    guard_ultralytics()
    hostile = save(
        tmp_path / "it's hostile.pt",
        checkpoint({"model": call(DISTILLATION, "http:/127.0.0.1:9/x.py%253F.pt", network())}),
    )
    for load in (YOLO, of_ultralytics):
        with pytest.raises(EvoError, match="no detection network needs"):
            load(str(hostile))
    assert len(YOLO(str(trained("yolov8n.yaml", tmp_path / "it's mine.pt"))).names) == 3


def test_plain_checkpoints_hold_no_classes(tmp_path):
    import torch

    state = {"model": {"w": torch.ones(2)}, "history": [{"epoch": 1, "seconds": 0.5}], "best": float("inf"), "x": None}
    torch.save(state, tmp_path / "state.pt")
    loaded = load_plain(tmp_path / "state.pt")
    assert torch.equal(loaded["model"]["w"], torch.ones(2)) and loaded["history"] == state["history"]
    with pytest.raises(UserError, match="it has no 'epochs'"):
        load_plain(tmp_path / "state.pt", ("history", "epochs"))
    for content in (checkpoint([1]), b"", checkpoint({"x": 1})[:-5], checkpoint({"model": network()})):
        with pytest.raises(UserError):
            load_plain(save(tmp_path / "bad.pt", content))


def test_a_network_of_sound_parts_that_does_not_run_is_refused_in_one_line(tmp_path):
    from tests.unit.model_files import FILES
    from workflow.evo.models.activations import verify_checkpoint
    from workflow.evo.models.definition import load_definition
    from workflow.evo.models.problems import ActivationError

    definition = load_definition(FILES[0])
    layers = {str(number): module(CONV, parameters={"weight": tensor()}) for number in range(len(definition.layers))}
    hostile = network(modules={"model": module("torch.nn.modules.container.Sequential", layers)})
    with pytest.raises(ActivationError, match=r"does not run \(\w+Error: ") as caught:
        verify_checkpoint(save(tmp_path / "best.pt", checkpoint({"model": hostile})), definition, 80)
    assert str(caught.value).count("\n") == 0
