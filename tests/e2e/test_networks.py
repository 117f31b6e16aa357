"""Model files against the real library: what is built, which activations it has, and what the guards are there for."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.model_files import FILES, GRID, line_of, write
from tests.unit.test_malicious_models import FILES as MALICIOUS
from workflow.evo.config.train_arguments import ultralytics_folder
from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.errors import UserError
from workflow.evo.files import read_json
from workflow.evo.host import ultralytics_env
from workflow.evo.models import cost, graph
from workflow.evo.models.definition import load_definition
from workflow.evo.models.expressions import CLASSES
from workflow.evo.models.modules import MODULES, REQUIRED
from workflow.evo.models.problems import ActivationError

MIXED = """
nc: 5
activation: torch.nn.ReLU()
npu: {activation_scope: [backbone, neck, detect]}
backbone:
  - [-1, 1, Conv, [16, 6, 2, 2]]
  - [-1, 1, GhostConv, [32, 3, 2]]
  - [-1, 2, C3, [32]]
  - [-1, 1, DWConv, [48, 3, 2]]
  - [-1, 2, RepC3, [48, 0.5]]
  - [-1, 1, nn.MaxPool2d, [2]]
  - [-1, 3, Bottleneck, [48, False, 2, [1, 3], 1.0]]
  - [-1, 1, SPP, [64, [3, 5]]]
  - [-1, 1, nn.Identity, []]
  - [-1, 2, C2, [64, True, 2]]
head:
  - [-1, 1, ConvTranspose, [48]]
  - [[-1, 4], 1, Concat, []]
  - [-1, 1, C3Ghost, [32]]
  - [-1, 1, Conv, [32, 3, 2, null, 4, 1, False]]
  - [[-1, 9], 1, Concat, [1]]
  - [-1, 2, C3k2, [64, True, 0.5, True]]
  - [-1, 1, C2PSA, [64]]
  - [-1, 1, SPPF, [64, 5, 2, True]]
  - [[12, 17], 1, Detect, [nc]]
"""
"""Every module of the allow-list that the grid does not use, with odd arguments."""

STOCK = ["v3/yolov3", "v5/yolov5", "v8/yolov8", "v8/yolov8-p2", "v8/yolov8-p6", "v8/yolov8-ghost", "11/yolo11"]
STOCK += ["26/yolo26", "26/yolo26-p2", "26/yolo26-p6"]
"""Ultralytics' own detection networks that the allow-list covers."""


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory):
    """Put Ultralytics into safe mode before its first import, with settings of its own."""
    ultralytics_env.prepare(tmp_path_factory.mktemp("ultralytics"))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small to share, above all beside other tests
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def networks(library):
    """Every network of the grid, built once for 10 classes: {file: (definition, model)}."""
    from workflow.evo.models.build import build

    definitions = {path: load_definition(path) for path in FILES}
    return {path: (definition, build(definition, 10)) for path, definition in definitions.items()}


@pytest.fixture
def network(networks):
    """Return a function that gives a definition and a fresh copy of its network."""

    def copied(level: int, activation: str):
        definition, model = networks[model_file(level, activation)]
        return definition, copy.deepcopy(model)

    return copied


@pytest.fixture
def mixed(tmp_path):
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    return load_definition(path)


def plain(definition, nc=None, **changes):
    """Build what Ultralytics alone makes of a definition's document; ``changes`` replace keys."""
    from ultralytics.nn.tasks import DetectionModel

    document = copy.deepcopy({**definition.document, "scale": definition.scale, **changes})
    return DetectionModel(document, nc=nc, verbose=False)


def findings(model, definition, nc=10) -> tuple[str, ...]:
    from workflow.evo.models.activations import verify

    with pytest.raises(ActivationError) as refused:
        verify(model, definition, nc)
    assert refused.value.exit_code == 1
    assert str(refused.value).splitlines() == list(refused.value.findings)
    return refused.value.findings


# The allow-lists against the installed classes ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in MODULES if name != "Detect"])
def test_an_allowed_module_has_the_arguments_of_the_real_class(name):
    from torch import nn
    from ultralytics.nn import modules

    real = getattr(nn, name[3:]) if name.startswith("nn.") else getattr(modules, name)
    parameters = dict(inspect.signature(real.__init__).parameters)
    inserted = {"self", "c1", "args", "kwargs"} | ({"n"} if MODULES[name].repeats == "inside" else set())
    real_ones = [p for key, p in parameters.items() if key not in inserted]
    allowed = MODULES[name].parameters
    assert [p.name for p in allowed] == [p.name for p in real_ones][: len(allowed)]
    for ours, theirs in zip(allowed, real_ones, strict=False):
        if ours.default is REQUIRED:
            assert theirs.default is inspect.Parameter.empty or (name, ours.name) == ("nn.Upsample", "scale_factor")
        else:
            assert ours.default == theirs.default


def test_how_repeats_are_meant_is_what_parse_model_does():
    source = (ultralytics_folder() / "nn" / "tasks.py").read_text()
    inside = source.partition("repeat_modules = frozenset(")[2].partition("\n    )")[0]
    base = source.partition("base_modules = frozenset(")[2].partition("\n    )")[0]
    for name, module in MODULES.items():
        assert (f" {name}," in inside) == (module.repeats == "inside"), name
        assert (f" {name}," in base) == module.scaled, name


@pytest.mark.parametrize("name", CLASSES)
def test_an_allowed_activation_has_the_arguments_of_the_real_class(name):
    from torch import nn

    real = list(inspect.signature(getattr(nn, name).__init__).parameters.values())[1:]
    allowed = CLASSES[name]
    assert list(allowed) == [p.name for p in real][: len(allowed)]
    assert [p.default for p in allowed.values()] == [p.default for p in real][: len(allowed)]


@pytest.mark.parametrize("stem", ["yolov8n", "yolov8", "my_yolo11s_relu", "yoloe-26l", "npu_level2_relu", "mine"])
def test_the_scale_is_read_from_the_file_name_as_the_library_reads_it(stem):
    from ultralytics.nn.tasks import guess_model_scale

    from workflow.evo.models.definition import _SCALE_IN_NAME

    found = _SCALE_IN_NAME.search(stem)
    assert (found[2] if found else "") == guess_model_scale(f"{stem}.yaml")


# What is inferred against what is built ----------------------------------------------------------------------------


def assert_inferred_as_built(definition, model, nc):
    """Compare modules, channels and sizes of every layer, and the strides, with a forward pass of the real network."""
    import torch

    resolved = graph.resolve(definition, nc)
    built, shapes = copy.deepcopy(model).eval(), []
    for layer in built.model:
        layer.register_forward_hook(lambda _, __, output: shapes.append(getattr(output, "shape", None)))
    with torch.no_grad():
        built(torch.zeros(1, 3, graph.IMAGE, graph.IMAGE))
    assert len(resolved.layers) == len(built.model) == len(shapes)
    for layer, module, shape in zip(resolved.layers[:-1], built.model, shapes, strict=False):
        assert tuple(shape) == (1, layer.channels, layer.size, layer.size), layer
        assert layer.module.removeprefix("nn.") in module.type or layer.repeats > 1
    assert resolved.strides == tuple(model.stride.int().tolist())
    detect = model.model[-1]
    assert (detect.nc, detect.reg_max, detect.nl) == (nc, resolved.reg_max, len(resolved.layers[-1].sources))
    assert detect.legacy == resolved.layers[-1].arguments["legacy"]
    assert cost.total(resolved).weights == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_the_inferred_network_of_the_grid_is_the_one_that_is_built(level, activation, network):
    definition, model = network(level, activation)
    assert_inferred_as_built(definition, model, 10)


def test_the_inferred_network_of_every_other_module_is_the_one_that_is_built(mixed):
    from workflow.evo.models.build import build

    used = {layer.module for layer in mixed.layers} | {layer.module for layer in load_definition(FILES[0]).layers}
    assert used == set(MODULES)
    assert_inferred_as_built(mixed, build(mixed, 5), 5)


@pytest.mark.parametrize("name", STOCK)
def test_a_network_of_the_library_is_accepted_and_inferred_as_it_is_built(name):
    from workflow.evo.models.build import build

    definition = load_definition(ultralytics_folder() / "cfg" / "models" / f"{name}.yaml")
    if not definition.scale:
        definition = dataclasses.replace(definition, width=0.125, depth=0.33)
        definition = dataclasses.replace(
            definition, document={**definition.document, "width_multiple": 0.125, "depth_multiple": 0.33}
        )
    assert_inferred_as_built(definition, build(definition, 7), 7)


@pytest.mark.parametrize("scale", ["n", "m"])
def test_a_scale_in_the_file_name_builds_that_scale(scale, tmp_path):
    from workflow.evo.models.build import build

    path = tmp_path / f"yolo11{scale}.yaml"
    text = (ultralytics_folder() / "cfg" / "models" / "11" / "yolo11.yaml").read_text()
    path.write_text(text.replace("m: [0.50, 1.00, 512]", "m: [0.50, 0.25, 512]"))
    definition = load_definition(path)
    model = build(definition, 3)
    assert_inferred_as_built(definition, model, 3)
    c3k = "C3k(" in str(model.model[2])
    assert graph.resolve(definition, 3).layers[2].arguments["c3k"] is c3k is (scale == "m")


@pytest.mark.parametrize(
    ("level", "classes_80", "classes_10"),
    [(1, 3_157_200, 3_012_798), (2, 1_997_904, 1_871_934), (3, 1_743_116, 1_617_146), (4, 1_743_116, 1_617_146)],
)
def test_a_level_has_the_parameters_of_its_table(level, classes_80, classes_10, network):
    from workflow.evo.models.build import build

    definition, model = network(level, "silu" if level == 1 else "relu")
    assert sum(p.numel() for p in model.parameters()) == classes_10
    assert sum(p.numel() for p in build(definition, 80).parameters()) == classes_80


# What is built -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_the_weights_are_those_that_the_library_draws_for_the_file(level, activation):
    import torch
    from ultralytics.nn.tasks import DetectionModel

    from workflow.evo.models.build import build

    path = model_file(level, activation)
    torch.manual_seed(0)
    ours = build(load_definition(path), 10).state_dict()
    torch.manual_seed(0)
    theirs = DetectionModel(str(path), nc=10, verbose=False).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_plain_ultralytics_opens_every_file(level, activation):
    from ultralytics import YOLO

    model = YOLO(model_file(level, activation), task="detect")
    assert model.model.yaml["npu"]["level"] == level
    assert model.model.model[-1].nc == 80


def test_no_two_variants_build_the_same_network(networks):
    from workflow.evo.models.activations import inspect as inspect_network

    signatures = set()
    for definition, model in networks.values():
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in model.state_dict().items())
        sites = tuple((site.name, str(site.found)) for site in inspect_network(model, definition).sites)
        signatures.add((shapes, sites))
    assert len(signatures) == len(networks) == 7


@pytest.mark.parametrize("level", [2, 3, 4])
def test_the_pair_of_a_level_differs_only_in_its_activation(level, network):
    from workflow.evo.models.activations import inspect as inspect_network

    sites, shapes = [], []
    for name in ("relu", "leaky"):
        definition, model = network(level, name)
        shapes.append([(key, tuple(tensor.shape)) for key, tensor in model.state_dict().items()])
        sites.append([(site.name, site.part, str(site.found)) for site in inspect_network(model, definition).sites])
    assert shapes[0] == shapes[1]
    as_relu = [(name, part, found.replace("LeakyReLU(0.1)", "ReLU")) for name, part, found in sites[1]]
    assert sites[0] != sites[1]
    assert sites[0] == as_relu


def test_every_call_site_has_a_module_of_its_own(network):
    from workflow.evo.models.build import activation_sites

    _, model = network(4, "leaky")
    modules = [module for layer in model.model for _, _, module in activation_sites(layer)]
    assert len(modules) == len({id(module) for module in modules}) == 57


def test_a_build_leaves_the_default_of_the_process_alone(network):
    from torch import nn
    from ultralytics.nn.modules.conv import Conv

    from workflow.evo.models.build import build

    before = Conv.default_act
    definition, _ = network(4, "relu")
    build(definition, 3)
    assert Conv.default_act is before
    assert type(Conv.default_act) is nn.SiLU


def test_a_build_that_fails_leaves_the_default_of_the_process_alone(network):
    from torch import nn
    from ultralytics.nn.modules.conv import Conv

    from workflow.evo.models.build import build

    definition, _ = network(4, "relu")
    broken = copy.deepcopy(dict(definition.document))
    broken["backbone"][3][3] = [-1, 3, 2]
    with pytest.raises((RuntimeError, ValueError)):
        build(dataclasses.replace(definition, document=broken), 3)
    assert type(Conv.default_act) is nn.SiLU


def test_a_build_does_not_write_into_the_definition(network):
    from workflow.evo.models.build import build

    definition, _ = network(3, "leaky")
    before = copy.deepcopy(definition.document)
    build(definition, 3)
    assert definition.document == before


# What verify promises ----------------------------------------------------------------------------------------------

COUNTS = {"backbone": 27, "neck": 18, "detect": 12}


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_a_variant_of_the_grid_has_and_executes_what_its_level_promises(level, activation, network):
    from workflow.evo.models.activations import verify

    definition, model = network(level, activation)
    document = verify(model, definition, 10)
    shown = {"relu": "ReLU", "leaky": "LeakyReLU(0.1)", "silu": "SiLU"}[activation]
    operator = {"relu": "relu", "leaky": "leaky_relu", "silu": "silu"}[activation]
    inside = {part: part in definition.scope for part in COUNTS}
    assert document["expected"] == {part: shown if inside[part] else "SiLU" for part in COUNTS}
    assert document["found"] == {part: {document["expected"][part]: count} for part, count in COUNTS.items()}
    calls = {part: {operator if inside[part] else "silu": count} for part, count in COUNTS.items()}
    calls["detect"]["sigmoid"] = 1
    assert document["executed"] == calls
    assert document["verified"] is True


def test_modules_with_a_default_of_their_own_get_the_activation_too(mixed):
    from workflow.evo.models.activations import verify
    from workflow.evo.models.build import build

    document = verify(build(mixed, 5), mixed, 5)
    assert all(set(counts) == {"ReLU"} for counts in document["found"].values())


def test_plain_ultralytics_leaves_silu_in_modules_with_a_default_of_their_own(mixed):
    lines = findings(plain(mixed, nc=5), mixed, nc=5)
    assert any(
        line.startswith("backbone: 2 of") and "still SiLU, ReLU is promised (model.4.m.0.act" in line for line in lines
    )
    assert any(
        line.startswith("neck: 1 of") and "still SiLU, ReLU is promised (model.10.act)" in line for line in lines
    )


def test_a_verification_changes_neither_the_network_nor_the_random_numbers(network):
    import torch

    from workflow.evo.models.activations import verify

    definition, model = network(2, "relu")
    model.train()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(7)
    state = torch.get_rng_state()
    verify(model, definition, 10)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and model.model[-1].shape is None
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.model)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


def test_plain_ultralytics_uses_the_activation_outside_the_scope_too(network):
    definition, _ = network(2, "relu")
    lines = findings(plain(definition, nc=10), definition)
    assert "neck: 18 of 18 call sites are ReLU, SiLU is promised (model.12.cv1.act, model.12.cv2.act, " in lines[0]
    assert "detect: a forward pass executes 12 relu, 0 are promised" in lines


def test_one_leftover_silu_among_many_is_found(network):
    from torch import nn

    definition, model = network(4, "relu")
    model.model[4].m[1].cv2.act = nn.SiLU()
    assert findings(model, definition) == (
        "backbone: 1 of 27 call sites are still SiLU, ReLU is promised (model.4.m.1.cv2.act)",
        "backbone: a forward pass executes 26 relu, 27 are promised",
        "backbone: a forward pass executes 1 silu, 0 are promised",
    )


def test_a_leftover_silu_is_found_where_a_plain_count_sees_one_module(network):
    """56 SiLU sites that share one module look like the 1 of a network with 1: duplicates have to be counted."""
    from torch import nn

    definition, _ = network(4, "relu")
    model = plain(definition, nc=10, activation="torch.nn.SiLU()")
    model.model[0].act = nn.ReLU()
    shared = [module for module in model.modules() if isinstance(module, nn.SiLU)]
    assert len(shared) == 1
    assert findings(model, definition)[0].startswith("backbone: 26 of 27 call sites are still SiLU")


def test_an_activation_lost_to_a_string_argument_is_found(network):
    definition, _ = network(4, "relu")
    backbone = copy.deepcopy(definition.document["backbone"])
    backbone[1][3] = [128, 3, 2, "None", 1, 1, "nn.ReLU()"]
    model = plain(definition, nc=10, backbone=backbone)
    assert findings(model, definition) == (
        "backbone: 1 of 27 call sites have no activation (Identity), ReLU is promised (model.1.act)",
        "backbone: a forward pass executes 26 relu, 27 are promised",
    )


def test_a_wrong_slope_is_found(network):
    from torch import nn

    definition, model = network(3, "leaky")
    model.model[0].act = nn.LeakyReLU(0.01)
    assert findings(model, definition) == (
        "backbone: 1 of 27 call sites are LeakyReLU(0.01) with other arguments than the promised LeakyReLU(0.1) "
        "(model.0.act)",
    )


def test_a_functional_activation_is_found(network, monkeypatch):
    import torch.nn.functional as F  # noqa: N812
    from ultralytics.nn.modules.block import SPPF

    definition, model = network(4, "relu")
    forward = SPPF.forward
    monkeypatch.setattr(model.model[9], "forward", lambda x: F.silu(forward(model.model[9], x)))
    assert findings(model, definition) == ("backbone: a forward pass executes 1 silu, 0 are promised",)


def test_silu_written_by_hand_is_found(network, monkeypatch):
    from ultralytics.nn.modules.block import SPPF

    definition, model = network(4, "relu")
    forward = SPPF.forward
    monkeypatch.setattr(model.model[9], "forward", lambda x: (y := forward(model.model[9], x)) * y.sigmoid())
    assert findings(model, definition) == ("backbone: a forward pass executes 1 sigmoid, 0 are promised",)


def test_an_activation_that_is_there_but_not_executed_is_found(network, monkeypatch):
    definition, model = network(4, "relu")
    conv = model.model[0]
    monkeypatch.setattr(conv, "forward", lambda x: conv.bn(conv.conv(x)))
    assert findings(model, definition) == ("backbone: a forward pass executes 26 relu, 27 are promised",)


def test_an_activation_where_there_should_be_none_is_found(tmp_path):
    from torch import nn

    from workflow.evo.models.build import build

    definition = load_definition(write(tmp_path, ("Conv, [128, 3, 2]", "Conv, [128, 3, 2, None, 1, 1, False]")))
    model = build(definition, 10)
    model.model[1].act = nn.ReLU()
    assert findings(model, definition)[0] == "backbone: 1 ReLU where the definition has no activation (model.1.act)"


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose", "RepConv"])
def test_a_default_that_leaked_from_another_build_is_found(kind, network, monkeypatch):
    from torch import nn
    from ultralytics.nn.modules import conv

    definition, model = network(1, "silu")
    monkeypatch.setattr(getattr(conv, kind), "default_act", nn.ReLU())
    lines = findings(model, definition)
    assert lines[0] == f"{kind}.default_act is ReLU: an earlier build leaked its activation"


def test_a_leaked_default_does_not_reach_the_next_build(network, monkeypatch):
    from torch import nn
    from ultralytics.nn.modules import conv

    from workflow.evo.models.activations import inspect as inspect_network
    from workflow.evo.models.build import build, build_reference

    definition, _ = network(2, "leaky")
    for kind in (conv.Conv, conv.ConvTranspose, conv.RepConv):
        monkeypatch.setattr(kind, "default_act", nn.Hardswish())
    found = inspect_network(build(definition, 10), definition).by_class
    assert found == {"backbone": {"LeakyReLU(0.1)": 27}, "neck": {"SiLU": 18}, "detect": {"SiLU": 12}}
    stock = inspect_network(build_reference(definition, 10), definition).by_class
    assert stock == {part: {"SiLU": count} for part, count in COUNTS.items()}


def test_another_network_is_refused_by_its_number_of_layers(network, mixed):
    from workflow.evo.models.build import build

    definition, _ = network(4, "relu")
    assert findings(build(mixed, 5), definition) == ("the network has 19 layers, its definition 23",)


# Checkpoints -------------------------------------------------------------------------------------------------------


def save(model, path: Path) -> Path:
    """Save a checkpoint as Ultralytics does: the moving average in half precision."""
    import torch

    torch.save({"epoch": -1, "model": None, "ema": copy.deepcopy(model).half(), "train_args": {}}, path)
    return path


@pytest.mark.parametrize(("level", "activation"), [(1, "silu"), (2, "relu"), (3, "leaky"), (4, "leaky")])
def test_the_activations_of_a_checkpoint_are_verified(level, activation, network, tmp_path):
    from workflow.evo.models.activations import verify, verify_checkpoint

    definition, model = network(level, activation)
    path = save(model, tmp_path / "best.pt")
    assert verify_checkpoint(path, definition, 10) == verify(model, definition, 10)


def test_an_activation_lost_by_starting_from_a_checkpoint_of_silu_is_found(network, tmp_path):
    """``model=silu.pt`` makes Ultralytics take the network from the checkpoint, not from the variant's file."""
    from workflow.evo.models.activations import verify_checkpoint

    _, stock = network(1, "silu")
    definition, _ = network(4, "relu")
    path = save(stock, tmp_path / "silu.pt")
    with pytest.raises(ActivationError) as refused:
        verify_checkpoint(path, definition, 10)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{path}: backbone: 27 of 27 call sites are still SiLU, ReLU is promised")
    assert len(lines) == 3 + 6


def test_transferred_weights_never_change_the_network(network):
    """``BaseModel.load`` gives the class branch the checkpoint's width and activation; `transfer` does not."""
    from workflow.evo.models.activations import verify
    from workflow.evo.models.build import build, build_reference
    from workflow.evo.models.transfer import transfer

    definition, _ = network(4, "relu")
    source = build_reference(definition, 80)
    model = build(definition, 10)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    matched, total = transfer(model, source)
    own, given = model.state_dict(), source.state_dict()
    assert {name: tuple(value.shape) for name, value in own.items()} == shapes
    same = [name for name in own if given[name].shape == own[name].shape]
    assert (matched, total) == (len(same), len(own))
    assert 0 < matched < total
    assert all((own[name] == given[name]).all() for name in same)
    assert verify(model, definition, 10)["found"]["detect"] == {"ReLU": 12}


def test_ultralytics_own_loading_would_put_silu_into_the_head(network):
    from workflow.evo.models.build import build, build_reference

    definition, _ = network(4, "relu")
    model = build(definition, 10)
    model.load(build_reference(definition, 80), verbose=False)
    assert findings(model, definition)[0].startswith("detect: 6 of 12 call sites are still SiLU, ReLU is promised")


class Payload:
    """A pickle that runs a command when a plain loader reads it."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_checkpoint_with_code_in_it_is_refused_and_does_not_run(network, tmp_path):
    import torch

    from workflow.evo.models.activations import verify_checkpoint

    definition, _ = network(4, "relu")
    canary = tmp_path / "canary"
    path = tmp_path / "evil.pt"
    torch.save({"model": Payload(f"touch {canary}")}, path)
    with pytest.raises(UserError, match="not a checkpoint that the restricted loader accepts"):
        verify_checkpoint(path, definition, 10)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "checkpoint not found"),
        (b"", "not a checkpoint"),
        (b"not a checkpoint at all", "not a checkpoint"),
        (pickle.dumps({"a": 1}), "not a checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(content, message, network, tmp_path):
    from workflow.evo.models.activations import verify_checkpoint

    definition, _ = network(4, "relu")
    path = tmp_path / "best.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        verify_checkpoint(path, definition, 10)


def test_a_truncated_checkpoint_and_one_without_a_network_are_refused(network, tmp_path):
    import torch

    from workflow.evo.models.activations import verify_checkpoint

    definition, model = network(4, "relu")
    whole = save(model, tmp_path / "whole.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "weights.pt")
    for name in ("half.pt", "weights.pt"):
        with pytest.raises(UserError, match="checkpoint"):
            verify_checkpoint(tmp_path / name, definition, 10)


# Why the guards exist ----------------------------------------------------------------------------------------------

OPEN = "import sys; from ultralytics.nn.tasks import DetectionModel; DetectionModel(sys.argv[1], verbose=False)"


def test_plain_ultralytics_runs_what_a_model_file_says_and_safe_mode_does_not(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(MALICIOUS["activation: import and system"])
    environment = {**os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    for safe, canary in (("0", True), ("1", False)):
        (tmp_path / "canary").unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-c", OPEN, "mine.yaml"],
            cwd=tmp_path,
            env={**environment, "ULTRALYTICS_SAFE_LOAD": safe},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (tmp_path / "canary").exists() is canary


def test_a_build_outside_of_safe_mode_is_refused(network, monkeypatch):
    from ultralytics import utils

    from workflow.evo.models.build import build

    definition, _ = network(4, "relu")
    monkeypatch.setattr(utils, "SAFE_LOAD", False)
    with pytest.raises(RuntimeError, match="without ULTRALYTICS_SAFE_LOAD"):
        build(definition, 3)


# The scripts -------------------------------------------------------------------------------------------------------


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("YOLO_", "ULTRALYTICS_"))}
    return subprocess.run(
        [sys.executable, "-m", f"workflow.scripts.{name}", *map(str, arguments)],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_checks_of_a_variant_write_the_same_documents_every_time(tmp_path):
    (tmp_path / "session.yaml").write_text("session: tiny\ngrid: {levels: [2], activations: [relu]}\n")
    folder = tmp_path / "results" / "tiny" / "level2_relu" / "check"
    contents = []
    for _ in range(2):
        for name in ("validate_model", "verify_activations"):
            done = script(name, "--config", "session.yaml", "--variant", "level2_relu", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        contents.append([(folder / name).read_bytes() for name in ("model.json", "activations.json")])
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in b"".join(contents[0])
    model, activations = (
        read_json(folder / "model.json", "model"),
        read_json(folder / "activations.json", "activations"),
    )
    assert (model["name"], model["level"], model["scope"], model["nc"]) == ("level2_relu", 2, ["backbone"], 10)
    assert (model["parameters"], model["layers"], model["strides"]) == (1_871_934, 23, [8, 16, 32])
    assert sum(part["parameters"] for part in model["parts"].values()) == model["parameters"]
    assert model["fingerprint"] == graph.identity(model_file(2, "relu"), 10)
    assert model["notes"] == [
        "nc 80 in the file, 10 in the dataset: training uses 10",
        "plain Ultralytics would use ReLU in every part of this file: this workflow returns neck and detect to SiLU",
    ]
    assert activations["expected"] == {"backbone": "ReLU", "neck": "SiLU", "detect": "SiLU"}
    assert activations["conv_default"] == "SiLU"


def test_any_file_can_be_checked_by_hand(tmp_path):
    done = script("validate_model", "--file", write(tmp_path), "--nc", 3, cwd=tmp_path)
    assert done.returncode == 0
    assert "mine: 1,6" in done.stderr and "3 classes, ReLU in backbone, neck, detect" in done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_bad_file_is_refused_with_all_its_problems_before_torch_is_imported(tmp_path):
    path = write(tmp_path, ("nc: 80", "nc: many"), ("C2f, [512]", "C2F, [512]"))
    done = script("validate_model", "--file", path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: mine.yaml:4: 'nc' must be a whole number, 1 to 10000, not 'many'",
        f"mine.yaml:{line_of(path.read_text(), 'C2F')}: layer 12: unknown module 'C2F', did you mean 'C2f'?",
    ]
    code = (
        "import os, runpy, sys\nend = os._exit\nos._exit = lambda code: end(40 + code + ('torch' in sys.modules))\n"
        "runpy.run_module('workflow.scripts.validate_model', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, "--file", str(path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--file", "none.yaml"], "model file not found: "),
        (["--file", "mine.yaml", "--nc", "0"], "--nc 0 must be 1 or more"),
        (["--variant", "level4_relu", "--nc", "3"], "--nc goes with --file"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(arguments, message, tmp_path):
    write(tmp_path)
    done = script("validate_model", *arguments, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr


def test_activations_of_an_unknown_variant_are_refused_with_the_nearest(tmp_path):
    (tmp_path / "session.yaml").write_text("session: tiny\n")
    done = script("verify_activations", "--config", "session.yaml", "--variant", "level4_leaked", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown variant 'level4_leaked' — did you mean 'level4_leaky'?" in done.stderr
