"""Model files against the real library: the allow-lists, what is inferred of a network, and what is built."""

from __future__ import annotations

import copy
import dataclasses
import inspect

import pytest

from tests.unit.model_files import FILES
from workflow.evo.config.train_arguments import ultralytics_folder
from workflow.evo.config.variants import GRID, model_file
from workflow.evo.models import cost, graph
from workflow.evo.models.definition import load_definition
from workflow.evo.models.expressions import CLASSES
from workflow.evo.models.modules import MODULES, REQUIRED

pytestmark = pytest.mark.usefixtures("library")
STOCK = ["v3/yolov3", "v5/yolov5", "v8/yolov8", "v8/yolov8-p2", "v8/yolov8-p6", "v8/yolov8-ghost", "11/yolo11"]
STOCK += ["26/yolo26", "26/yolo26-p2", "26/yolo26-p6"]
"""Ultralytics' own detection networks that the allow-list covers."""


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

    from workflow.evo.models.header import _SCALE_IN_NAME

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
    assert len(signatures) == len(networks) == len(FILES)


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
