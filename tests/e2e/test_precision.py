"""The check of mixed precision: with the network itself, without a file and without the network outside."""

from __future__ import annotations

import builtins
import random
from types import SimpleNamespace

import pytest

from workflow.evo.training import precision


@pytest.fixture
def network():
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, 2)]
    return nn.Sequential(*layers)


@pytest.fixture
def cpu():
    import torch

    return torch.device("cpu")


class Broken:
    """What a defective GPU does to a convolution under autocast."""

    def __init__(self, network, outcome):
        import torch

        self.outcome, self.enabled = outcome, torch.is_autocast_enabled
        network[3].register_forward_hook(self)

    def __call__(self, _module, _inputs, output):
        return self.outcome(output) if self.enabled("cpu") else output


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sound_arithmetic_passes(network, cpu, dtype):
    import torch

    assert 0 < precision.disagreement(network, cpu, 3, getattr(torch, dtype)) < precision.TOLERANCE / 5
    assert precision.fault(network, cpu, 3) is None


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (lambda output: output * float("nan"), "outputs of the network hold NaN or infinity with it"),
        (lambda output: output * 0, "outputs of the network differ by 1.000 of their norm with it"),
    ],
)
def test_defective_arithmetic_is_found(network, cpu, outcome, reason):
    Broken(network, outcome)
    assert str(precision.fault(network, cpu, 3)) == reason


@pytest.mark.parametrize(
    ("name", "trusted"),
    [("NVIDIA GeForce GTX 1660 Ti", False), ("NVIDIA T1000", False), ("NVIDIA H100 80GB HBM3", True)],
)
def test_gpus_that_are_known_to_be_defective_are_not_trusted(network, monkeypatch, name, trusted):
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    monkeypatch.setattr(precision, "disagreement", lambda *_: 0.01)
    reason = precision.fault(network, SimpleNamespace(type="cuda"), 3)
    assert (reason is None) is trusted
    assert trusted or str(reason) == f"{name} is known to compute NaN with it"


def test_the_check_changes_nothing_draws_nothing_and_opens_no_file(network, cpu, monkeypatch):
    import torch

    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    states = torch.get_rng_state(), random.getstate()
    monkeypatch.setattr(builtins, "open", lambda *_, **__: pytest.fail("a file is opened"))
    precision.fault(network.eval(), cpu, 3)
    monkeypatch.undo()
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    assert not network.training


@pytest.mark.parametrize(
    ("requested", "amp", "used"),
    [(True, True, "fp16"), (True, False, "fp32"), ("bf16", True, "bf16"), (False, False, "fp32")],
)
def test_the_arithmetic_that_is_used_is_named(requested, amp, used):
    assert precision.effective(requested, amp) == used
