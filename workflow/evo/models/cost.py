"""Cost of a network, computed without building it: weights, multiply-accumulates, values of its maps, convolutions.

The blocks are those of ``ultralytics/nn/modules`` (8.4.190); a test compares the weights with real builds, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .modules import MODULES

if TYPE_CHECKING:
    from .network import Graph

NOMINAL = 640
"""Side of the image in pixels for which the cost of a network is computed and limited."""

LIMITS = {
    "weights": (500_000_000, "weights"),
    "macs": (1_000_000_000_000, f"multiply-accumulates for an image of {NOMINAL} pixels"),
    "values": (2_000_000_000, f"values in its maps of an image of {NOMINAL} pixels"),
    "convolutions": (2_000, "convolutions"),
}
"""A network is refused above this. The largest of Ultralytics' own that a model file can define: 104 million weights
(YOLOv3), 158 billion multiply-accumulates (YOLOv8x-P2), 0.3 billion values and 256 convolutions (YOLO26x-P2, -P6)."""

_BOXES = 4


@dataclass(frozen=True)
class Cost:
    """The cost of a layer or of a network.

    Attributes:
        weights: trained values, normalisations included.
        macs: multiply-accumulates of one image.
        values: elements of all feature maps of one image, products of attention included.
        convolutions: how many convolutions, shared ones not counted twice.
    """

    weights: int = 0
    macs: int = 0
    values: int = 0
    convolutions: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.weights + other.weights,
            self.macs + other.macs,
            self.values + other.values,
            self.convolutions + other.convolutions,
        )

    def __mul__(self, times: int) -> Cost:
        return Cost(self.weights * times, self.macs * times, self.values * times, self.convolutions * times)


def _conv(c1: int, c2: int, k: int, area: int, g: int = 1, norm: bool = True) -> Cost:
    """A convolution with its normalisation or its bias; ``area`` of its output in pixels."""
    kernels = c1 * c2 * k * k // g
    return Cost(kernels + c2 * (2 if norm else 1), kernels * area, c2 * area, 1)


def _depthwise(c1: int, c2: int, k: int, area: int) -> Cost:
    return _conv(c1, c2, k, area, math.gcd(c1, c2))


def _ghost(c1: int, c2: int, k: int, area: int, g: int = 1) -> Cost:
    half = c2 // 2
    return _conv(c1, half, k, area, g) + _conv(half, half, 5, area, half)


def _bottleneck(c1: int, c2: int, area: int, g: int = 1, k: tuple[int, ...] = (3, 3), e: float = 0.5) -> Cost:
    hidden = int(c2 * e)
    return _conv(c1, hidden, k[0], area) + _conv(hidden, c2, k[1], area, g)


def _attention(c: int, area: int) -> Cost:
    """Self-attention with its feed-forward part (``PSABlock``): every position attends to every other."""
    heads = max(c // 64, 1)
    keys = int(c // heads * 0.5) * heads
    products = Cost(0, area * area * (keys + c), 2 * heads * area * area)
    projections = _conv(c, c + 2 * keys, 1, area) + _conv(c, c, 1, area) + _conv(c, c, 3, area, c)
    return products + projections + _conv(c, 2 * c, 1, area) + _conv(2 * c, c, 1, area)


def _c3(c1: int, c2: int, area: int, e: float, inner: Callable[[int], Cost]) -> Cost:
    hidden = int(c2 * e)
    return _conv(c1, hidden, 1, area) * 2 + _conv(2 * hidden, c2, 1, area) + inner(hidden)


def _c2f(c1: int, c2: int, area: int, e: float, n: int, inner: Callable[[int], Cost]) -> Cost:
    hidden = int(c2 * e)
    return _conv(c1, 2 * hidden, 1, area) + _conv((2 + n) * hidden, c2, 1, area) + inner(hidden) * n


def _c3k2(c: int, area: int, a: Mapping[str, Any]) -> Cost:
    g = a["g"]
    if a["attn"]:
        return _bottleneck(c, c, area, g) + _attention(c, area)
    if a["c3k"]:
        return _c3(c, c, area, 0.5, lambda hidden: _bottleneck(hidden, hidden, area, g, (3, 3), 1.0) * 2)
    return _bottleneck(c, c, area, g)


def block(module: str, c1: int, c2: int, area: int, n: int, a: Mapping[str, Any]) -> Cost:
    """Return the cost of one block.

    Args:
        module: a key of `modules.MODULES`, but for ``Concat`` and ``Detect``.
        c1: channels in.
        c2: channels out.
        area: pixels of its output.
        n: repeats inside the block.
        a: its arguments by name.
    """
    match module:
        case "Conv":
            return _conv(c1, c2, a["k"], area, a["g"])
        case "DWConv":
            return _depthwise(c1, c2, a["k"], area)
        case "ConvTranspose":
            return _conv(c1, c2, a["k"], max(area // a["s"] ** 2, 1), norm=a["bn"]) + Cost(values=c2 * area)
        case "GhostConv":
            return _ghost(c1, c2, a["k"], area, a["g"])
        case "Bottleneck":
            return _bottleneck(c1, c2, area, a["g"], a["k"], a["e"])
        case "C2":
            hidden = int(c2 * a["e"])
            inner = _bottleneck(hidden, hidden, area, a["g"], (3, 3), 1.0) * n
            return _conv(c1, 2 * hidden, 1, area) + _conv(2 * hidden, c2, 1, area) + inner
        case "C2f":
            return _c2f(c1, c2, area, a["e"], n, lambda c: _bottleneck(c, c, area, a["g"], (3, 3), 1.0))
        case "C3k2":
            return _c2f(c1, c2, area, a["e"], n, lambda c: _c3k2(c, area, a))
        case "C3":
            return _c3(c1, c2, area, a["e"], lambda c: _bottleneck(c, c, area, a["g"], (1, 3), 1.0) * n)
        case "C3Ghost":
            return _c3(c1, c2, area, a["e"], lambda c: (_ghost(c, c // 2, 1, area) + _ghost(c // 2, c, 1, area)) * n)
        case "RepC3":
            hidden = int(c2 * a["e"])
            last = _conv(hidden, c2, 1, area) if hidden != c2 else Cost()
            inner = _conv(hidden, hidden, 3, area) + _conv(hidden, hidden, 1, area)
            return _conv(c1, hidden, 1, area) * 2 + inner * n + last
        case "C2PSA":
            hidden = int(c1 * a["e"])
            return _conv(c1, 2 * hidden, 1, area) + _conv(2 * hidden, c1, 1, area) + _attention(hidden, area) * n
        case "SPP" | "SPPF":
            pools = len(a["k"]) if module == "SPP" else a["n"]
            half = c1 // 2
            pooled = Cost(values=half * area * pools)
            return _conv(c1, half, 1, area) + _conv(half * (pools + 1), c2, 1, area) + pooled
    return Cost(values=c2 * area)


def head(channels: tuple[int, ...], areas: tuple[int, ...], nc: int, reg_max: int, legacy: bool, twice: bool) -> Cost:
    """Return the cost of ``Detect``.

    Args:
        channels: of every map it reads.
        areas: pixels of every map.
        nc: number of classes.
        reg_max: bins of the box distribution.
        legacy: whether its class branch has full convolutions, as in networks without ``C3k2``.
        twice: whether a second, one-to-one head is built.
    """
    boxes, classes = max(16, channels[0] // 4, reg_max * _BOXES), max(channels[0], min(nc, 100))
    total = Cost()
    for c, area in zip(channels, areas, strict=True):
        total += _conv(c, boxes, 3, area) + _conv(boxes, boxes, 3, area)
        total += _conv(boxes, _BOXES * reg_max, 1, area, norm=False) + _conv(classes, nc, 1, area, norm=False)
        if legacy:
            total += _conv(c, classes, 3, area) + _conv(classes, classes, 3, area)
        else:
            total += _depthwise(c, c, 3, area) + _conv(c, classes, 1, area)
            total += _depthwise(classes, classes, 3, area) + _conv(classes, classes, 1, area)
    return total * (2 if twice else 1) + Cost(weights=reg_max if reg_max > 1 else 0)


def costs(graph: Graph, imgsz: int = NOMINAL) -> list[Cost]:
    """Return the cost of every layer for a square image of ``imgsz`` pixels."""
    found = []
    for layer in graph.layers:
        if layer.module == "Detect":
            areas = tuple(_area(imgsz, graph.layers[source].stride) for source in layer.sources)
            found.append(
                head(layer.channels_in, areas, graph.nc, graph.reg_max, layer.arguments["legacy"], graph.end2end)
            )
            continue
        times = layer.repeats if MODULES[layer.module].repeats == "chained" else 1
        inside = layer.repeats if MODULES[layer.module].repeats == "inside" else 1
        # Each of a chain has its own stride, so that the first leaves larger maps than the layer does.
        step = (
            (layer.arguments.get("s") or layer.arguments.get("stride") or 1) if layer.module != "ConvTranspose" else 1
        )
        areas = tuple(_area(imgsz, max(layer.stride / step**back, 1 / 4)) for back in range(times))
        c1, c2 = layer.channels_in[0], layer.channels
        found.append(sum((block(layer.module, c1, c2, area, inside, layer.arguments) for area in areas), Cost()))
    return found


def total(graph: Graph, imgsz: int = NOMINAL) -> Cost:
    """Return the cost of a network for a square image of ``imgsz`` pixels; its weights are exact."""
    return sum(costs(graph, imgsz), Cost())


def excess(graph: Graph) -> list[tuple[int, str]]:
    """Return a line of the file and a message for every limit that a network exceeds.

    The line is that of the layer with the largest share.
    """
    layers, problems = costs(graph), []
    for key, (limit, words) in LIMITS.items():
        parts = [getattr(layer, key) for layer in layers]
        if (found := sum(parts)) > limit:
            most = max(parts)
            index = parts.index(most)
            layer = graph.layers[index]
            message = (
                f"layer {index}: {layer.module} has {most:,} of {found:,} {words}, too many (limit {limit:,}): "
                "use fewer channels, repeats or layers"
            )
            problems.append((layer.line, message))
    return problems


def _area(imgsz: int, stride: float) -> int:
    return math.ceil(imgsz / stride) ** 2
