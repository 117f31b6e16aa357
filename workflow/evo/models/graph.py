"""The network of a definition without building it: channels, strides and a fingerprint, in milliseconds.

Channels follow Ultralytics' ``parse_model`` (``nn/tasks.py``, 8.4.190); a test compares them with real builds.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import sha256_file, sha256_json
from . import cost
from .definition import Definition, Layer, read_definition
from .modules import MODULES, bind
from .network import IMAGE, Graph, GraphLayer
from .problems import Problems

_LARGE_SCALES = frozenset("mlx")  # parse_model builds C3k2 with c3k=True at these


def make_divisible(value: float, divisor: int = 8) -> int:
    """Return the smallest multiple of ``divisor`` that is not below ``value`` (``ultralytics.utils.ops``)."""
    return math.ceil(value / divisor) * divisor


def resolve(definition: Definition, nc: int | None = None, channels: int = 3) -> Graph:
    """Infer channels and sizes of every layer.

    Args:
        definition: a checked model file.
        nc: number of classes of the dataset; None takes the file's.
        channels: channels of the image.

    Raises:
        ModelError: maps of different sizes meet, channels do not fit, or a stride is not a whole number. All such
            problems of the file are in it, one line each.
    """
    problems = Problems(definition.path)
    graph = _resolve(definition, nc, channels, problems)
    problems.raise_if_any()
    return graph


def load(path: Path, nc: int | None = None, channels: int = 3) -> tuple[Definition, Graph]:
    """Read a model file and resolve its network: every check that needs no torch, in milliseconds.

    Args:
        path: the model file.
        nc: number of classes of the dataset; None takes the file's.
        channels: channels of the image.

    Raises:
        ModelError: a `UserError` with one ``file:line: message`` for every problem of the file and its network.
        UserError: the file does not exist or cannot be read.
    """
    problems = Problems(Path(path))
    definition = read_definition(path, problems)
    graph = _resolve(definition, nc, channels, problems) if definition is not None else None
    problems.raise_if_any()
    assert definition is not None and graph is not None, "without them there is a problem"
    return definition, graph


def _resolve(definition: Definition, nc: int | None, channels: int, problems: Problems) -> Graph:
    nc = definition.nc if nc is None else nc
    layers: list[GraphLayer] = []
    legacy = not any(layer.module == "C3k2" for layer in definition.layers)  # decides the layers of Detect
    for layer in definition.layers:
        reads = [layers[source] for source in layer.sources if source >= 0]
        channels_in = tuple(read.channels for read in reads) or (channels,)
        size = reads[0].size if reads else IMAGE
        if any(read.size != size for read in reads) and layer.module == "Concat":
            strides = ", ".join(f"layer {read.index} stride {read.stride:g}" for read in reads)
            problems.add(layer.line, f"layer {layer.index}: Concat of maps of different strides ({strides})")
        arguments = dict(bind(layer.module, list(layer.arguments)))
        arguments.pop("c2", None)
        if layer.module == "C3k2" and definition.scale in _LARGE_SCALES:
            arguments["c3k"] = True
        if layer.module == "SPPF":  # rows without `n` keep the activation after the first convolution
            arguments["activated"] = len(layer.arguments) <= 2
        if layer.module == "Detect":
            arguments = {"nc": nc, "reg_max": definition.reg_max, "end2end": bool(definition.end2end), "legacy": legacy}
        repeats = max(round(layer.repeats * definition.depth), 1) if layer.repeats > 1 else 1
        out = _channels_out(definition, layer, channels_in)
        for _ in range(repeats if MODULES[layer.module].repeats == "chained" else 1):
            size = _size_out(layer.module, size, arguments)
        resolved = GraphLayer(
            index=layer.index,
            part=definition.part_of(layer.index),
            module=layer.module,
            sources=layer.sources,
            repeats=repeats,
            channels_in=channels_in,
            channels=out,
            size=max(size, 1),
            arguments=arguments,
            line=layer.line,
        )
        for problem in _layer_problems(resolved, size):
            problems.add(layer.line, f"layer {layer.index}: {problem}")
        layers.append(resolved)
    _head_problems(layers, problems)
    graph = Graph(tuple(layers), nc, channels, definition.reg_max, bool(definition.end2end), definition.activations)
    for line, problem in cost.excess(graph) if not problems else ():
        problems.add(line, problem)
    return graph


def _channels_out(definition: Definition, layer: Layer, channels_in: tuple[int, ...]) -> int:
    if layer.module == "Concat":
        return sum(channels_in)
    if layer.module == "Detect":
        return 0
    if MODULES[layer.module].scaled:
        return make_divisible(min(layer.arguments[0], definition.max_channels) * definition.width)
    return channels_in[0]


def _size_out(module: str, size: int, arguments: Mapping[str, Any]) -> int:
    """Return the output side in pixels; 0 or less when nothing is left."""
    if module in {"Conv", "DWConv", "GhostConv"}:
        extent = arguments.get("d", 1) * (arguments["k"] - 1) + 1
        padding = arguments.get("p")
        padding = extent // 2 if padding is None else padding
        return (size + 2 * padding - extent) // arguments["s"] + 1
    if module == "ConvTranspose":
        return (size - 1) * arguments["s"] - 2 * arguments["p"] + arguments["k"]
    if module == "nn.MaxPool2d":
        stride = arguments["stride"] or arguments["kernel_size"]
        return (size + 2 * arguments["padding"] - arguments["kernel_size"]) // stride + 1
    if module == "nn.Upsample":
        return size * arguments["scale_factor"]
    return size


def _layer_problems(layer: GraphLayer, size: int) -> list[str]:
    """Return what torch would refuse when it builds or runs this layer, one sentence each."""
    arguments, c1, c2, found = layer.arguments, layer.channels_in[0], layer.channels, []
    if not 1 <= size <= 4 * IMAGE:
        found.append(f"{layer.module} leaves maps of {size} pixels from an image of {IMAGE}")
    if layer.repeats > 1 and MODULES[layer.module].repeats == "chained" and c1 != c2:
        found.append(f"{layer.module} in a chain of {layer.repeats} needs as many channels out ({c2}) as in ({c1})")
    if layer.module == "nn.MaxPool2d" and arguments["padding"] > arguments["kernel_size"] // 2:
        found.append("the padding of nn.MaxPool2d may be half its kernel size at most")
    hidden = int(c2 * arguments.get("e", 1))
    if "e" in arguments and hidden < 1:
        found.append(f"{layer.module} with e={arguments['e']} has no hidden channels")
    elif (groups := arguments.get("g", 1)) > 1:
        inner = {
            "Conv": (c1, c2),
            "GhostConv": (c1, c2 // 2),
            "Bottleneck": (hidden, c2),
            "C3k2": (hidden // 2, hidden),
        }
        for count in inner.get(layer.module, (hidden,)):
            if count % groups:
                found.append(f"{layer.module} cannot split {count} channels into {groups} groups")
    if layer.module in {"SPP", "SPPF"} and c1 < 2:
        found.append(f"{layer.module} needs 2 input channels or more")
    if layer.module == "C3Ghost" and hidden % 4:
        found.append(f"C3Ghost needs hidden channels divisible by 4, not {hidden}")
    if layer.module == "C2PSA" and c1 != c2:
        found.append(f"C2PSA needs as many channels out ({c2}) as in ({c1})")
    if layer.module == "C2PSA" or (layer.module == "C3k2" and arguments["attn"]):
        heads = max(hidden // 64, 1)
        if hidden % heads or hidden // heads < 2:
            found.append(f"{layer.module} cannot split {hidden} hidden channels over {heads} attention heads")
    return found


def _head_problems(layers: list[GraphLayer], problems: Problems) -> None:
    detect = layers[-1]
    for source in detect.sources:
        read = layers[source]
        if read.stride != int(read.stride):
            problems.add(detect.line, f"layer {detect.index}: Detect reads layer {source} of stride {read.stride:g}")


def describe(graph: Graph) -> list[dict[str, Any]]:
    """Return the layers as JSON: what the network is, without how the file wrote it."""
    rows = []
    for layer in graph.layers:
        row = asdict(layer)
        del row["line"], row["size"]
        row["stride"] = layer.stride
        row["arguments"] = {k: list(v) if isinstance(v, tuple) else v for k, v in layer.arguments.items()}
        rows.append({**row, "sources": list(layer.sources), "channels_in": list(layer.channels_in)})
    return rows


def fingerprint(graph: Graph) -> str:
    """Return the SHA-256 of the network: layers, arguments, classes and the activation of every part.

    Comments, layout, the order of keys, relative or absolute layer numbers and spelled-out defaults do not change it.
    """
    return sha256_json(
        {
            "layers": describe(graph),
            "nc": graph.nc,
            "channels": graph.channels,
            "reg_max": graph.reg_max,
            "end2end": graph.end2end,
            "activations": {part: [a.name, list(a.arguments)] for part, a in graph.activations.items()},
        }
    )


def identity(path: Path, nc: int) -> str:
    """Return what identifies a model file as an input of training, also when the file is refused.

    Args:
        path: the model file.
        nc: number of classes of the dataset.

    Returns:
        The `fingerprint` of its network; for a refused file ``invalid:`` and the SHA-256 of its bytes, so
        that a fix is noticed; ``missing`` for one that cannot be read. Never raises because of the file's content.
    """
    path = Path(path)
    with contextlib.suppress(UserError):
        return fingerprint(load(path, nc)[1])
    try:
        return f"invalid:{sha256_file(path)}" if path.is_file() else "missing"
    except OSError:
        return "missing"
