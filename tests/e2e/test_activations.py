"""Which activations a network has and executes: what is promised is verified, and every way to lose one is found."""

from __future__ import annotations

import copy

import pytest

from tests.e2e.networks import COUNTS, findings, plain
from tests.unit.model_files import write
from workflow.evo.config.variants import GRID
from workflow.evo.models.definition import load_definition

pytestmark = pytest.mark.usefixtures("library")

OPERATORS = {"LeakyReLU": "leaky_relu", "ReLU6": "hardtanh"}
"""What torch executes for a class, where that is not called as the grid calls the activation."""


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_a_variant_of_the_grid_has_and_executes_what_its_level_promises(level, activation, network):
    from workflow.evo.models.activations import verify

    definition, model = network(level, activation)
    document = verify(model, definition, 10)
    shown, operator = str(definition.activation), OPERATORS.get(definition.activation.name, activation)
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
