"""The activations that a network has and executes, checked against its definition.

``named_modules()`` leaves duplicates out, and Ultralytics shares one activation among all layers: a plain count reports
1 ReLU for 57 call sites (ultralytics issue #7296). So sites are counted with duplicates kept, and one forward pass is
watched below the modules, where a functional ``F.silu`` shows as well.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.variants import PARTS
from .build import build_reference, instance, of_module
from .checkpoint_loader import load_network
from .definition import Definition
from .expressions import SILU, Activation
from .problems import ActivationError, display

if TYPE_CHECKING:
    from torch import nn
    from ultralytics.nn.tasks import DetectionModel

IMAGE = 64
"""Side of the square image of the watched forward pass, in pixels."""

OPERATORS = frozenset({
    "relu", "leaky_relu", "hardtanh", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "hardsigmoid",
    "prelu", "_prelu_kernel", "rrelu", "softplus", "log_sigmoid_forward", "threshold", "sigmoid", "tanh",
})  # fmt: skip
"""ATen operators that are counted as activations; sigmoid for SiLU written by hand and for the decoding of scores."""


@dataclass(frozen=True)
class Site:
    """One call site: a module with an activation; ``name`` as in ``named_modules``, ``model.0.act``."""

    name: str
    part: str
    found: Activation | str


@dataclass(frozen=True)
class Inspection:
    """What a network has.

    Attributes:
        sites: every call site, shared modules once per place.
        executed: calls per part and ATen operator in one forward pass, in-place ones under the plain name.
    """

    sites: tuple[Site, ...]
    executed: dict[str, Counter[str]]

    @property
    def by_class(self) -> dict[str, Counter[str]]:
        """Call sites per part and activation."""
        counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
        for site in self.sites:
            counts[site.part][str(site.found)] += 1
        return counts


def inspect(model: DetectionModel, definition: Definition, imgsz: int = IMAGE) -> Inspection:
    """Count call sites and executed calls of a network; the network itself is not touched.

    Args:
        model: an Ultralytics detection model whose layers are those of ``definition``.
        definition: says which layer belongs to which part.
        imgsz: side of the image for the forward pass, in pixels.
    """
    sites = []
    for name, part, module in _modules(model, definition):
        if (found := of_module(module)) is not None:
            sites.append(Site(name, part, found))
    return Inspection(tuple(sites), executed_calls(model, definition, imgsz))


def _modules(model: DetectionModel, definition: Definition) -> Iterator[tuple[str, str, nn.Module]]:
    for index, layer in enumerate(model.model):
        for name, module in layer.named_modules(prefix=f"model.{index}", remove_duplicate=False):
            yield name, definition.part_of(index), module


def executed_calls(model: DetectionModel, definition: Definition, imgsz: int = IMAGE) -> dict[str, Counter[str]]:
    """Run one image through a copy of the network and count the activation operators of every part."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    calls: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    current: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func.overloadpacket.__name__
            name = name if name in OPERATORS else name.removesuffix("_")
            if current and name in OPERATORS:
                calls[current[-1]][name] += 1
            return func(*args, **(kwargs or {}))

    watched = copy.deepcopy(model).eval()  # the pass would leave anchors and hooks behind
    for index, layer in enumerate(watched.model):
        part = definition.part_of(index)
        layer.register_forward_pre_hook(lambda *_, part=part: current.append(part))
        layer.register_forward_hook(lambda *_: current.pop() and None)
    weight = next(watched.parameters())
    channels = watched.yaml.get("channels", 3)
    image = torch.zeros(1, channels, imgsz, imgsz, device=weight.device, dtype=weight.dtype)
    with torch.no_grad(), Watch():
        watched(image)
    return calls


def operator(activation: Activation) -> str:
    """Return the ATen operator that one call of an activation executes."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    module, image = instance(activation), torch.zeros(1)
    with torch.no_grad(), Watch():
        module(image)
    return seen[0].removesuffix("_")


def verify(model: DetectionModel, definition: Definition, nc: int) -> dict[str, Any]:
    """Check a network against its definition: built, in training, or loaded from a checkpoint.

    Every call site of the stock network (the same file, SiLU) must have the activation of the definition
    inside the scope and SiLU outside of it, there must be no other sites, and a forward pass must execute exactly
    those.

    Args:
        model: the network.
        definition: what it should be.
        nc: number of classes.

    Returns:
        The document of ``activations.json`` without its ``schema_version``.

    Raises:
        ActivationError: an `EvoError` with one line per finding.
    """
    import torch

    findings = _default_findings()
    if len(model.model) != len(definition.layers):
        message = f"the network has {len(model.model)} layers, its definition {len(definition.layers)}"
        raise ActivationError([*findings, message])
    with torch.random.fork_rng(devices=[]):  # a check during training must not advance its random numbers
        reference = build_reference(definition, nc, model.yaml.get("channels", 3))
    stock, found = inspect(reference, definition), inspect(model, definition)
    modules = {name: module for name, _, module in _modules(model, definition)}
    sites = [Site(site.name, site.part, _found(modules.get(site.name))) for site in stock.sites]
    further = [site for site in found.sites if site.name not in {known.name for known in stock.sites}]
    findings += _site_findings(sites, definition) + _further_findings(further)
    expected = {part: _expected_calls(stock.executed[part], definition.activations[part]) for part in PARTS}
    findings += _call_findings(expected, found.executed)
    if findings:
        raise ActivationError(findings)
    return {
        "expected": {part: str(activation) for part, activation in definition.activations.items()},
        "found": {part: dict(sorted(counts.items())) for part, counts in found.by_class.items()},
        "executed": {part: dict(sorted(counts.items())) for part, counts in found.executed.items()},
        "conv_default": str(SILU),
        "verified": True,
    }


def verify_checkpoint(path: Path, definition: Definition, nc: int) -> dict[str, Any]:
    """Run `verify` on a trained checkpoint, without running code of it.

    Raises:
        UserError: the file is missing, damaged, or has more than a network and plain data.
        ActivationError: the network in it is not that of its definition.
    """
    network = load_network(path)
    try:
        return verify(network, definition, nc)
    except ActivationError as error:
        raise ActivationError(f"{display(path)}: {finding}" for finding in error.findings) from error
    except Exception as error:  # valid tensors in layers that do not fit together: torch raises all kinds of errors
        reason = " ".join(str(error).split())[:200]
        finding = f"{display(path)}: the network in it does not run ({type(error).__name__}: {reason})"
        raise ActivationError([finding]) from error


def _found(module: nn.Module | None) -> Activation | str:
    return "missing" if module is None else of_module(module) or type(module).__name__


def _default_findings() -> list[str]:
    """Return a finding for every class whose process-wide default activation is no longer SiLU."""
    from ultralytics.nn.modules.conv import Conv, ConvTranspose, RepConv

    findings = []
    for kind in (Conv, ConvTranspose, RepConv):
        found = of_module(kind.default_act)
        if found is None or found.function != SILU.function:
            name = found or type(kind.default_act).__name__
            findings.append(f"{kind.__name__}.default_act is {name}: an earlier build leaked its activation")
    return findings


def _site_findings(sites: list[Site], definition: Definition) -> list[str]:
    wrong: dict[tuple[str, str], list[str]] = {}
    for site in sites:
        promised = definition.activations[site.part]
        if not isinstance(site.found, Activation) or site.found.function != promised.function:
            wrong.setdefault((site.part, _why(site.found, promised)), []).append(site.name)
    totals = Counter(site.part for site in sites)
    return [
        f"{part}: {len(names)} of {totals[part]} call sites {why} ({_some(names)})"
        for (part, why), names in wrong.items()
    ]


def _why(found: Activation | str, promised: Activation) -> str:
    if found == "missing":
        return f"are missing, {promised} is promised"
    if found == "Identity":
        return f"have no activation (Identity), {promised} is promised"
    if isinstance(found, Activation) and found.name == promised.name:
        return f"are {found} with other arguments than the promised {promised}"
    if found == SILU:
        return f"are still SiLU, {promised} is promised"
    return f"are {found}, {promised} is promised"


def _further_findings(sites: list[Site]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for site in sites:
        groups.setdefault((site.part, str(site.found)), []).append(site.name)
    return [
        f"{part}: {len(names)} {found} where the definition has no activation ({_some(names)})"
        for (part, found), names in groups.items()
    ]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _expected_calls(stock: Counter[str], promised: Activation) -> Counter[str]:
    expected = Counter(stock)
    calls = expected.pop(operator(SILU), 0)
    expected[operator(promised)] += calls
    return expected


def _call_findings(expected: dict[str, Counter[str]], found: dict[str, Counter[str]]) -> list[str]:
    return [
        f"{part}: a forward pass executes {found[part][name]} {name}, {expected[part][name]} are promised"
        for part in PARTS
        for name in sorted({*expected[part], *found[part]})
        if found[part][name] != expected[part][name]
    ]
