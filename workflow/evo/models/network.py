"""A resolved network: layers with their channels and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .expressions import Activation

IMAGE = 256
"""Side of the image in pixels on which sizes are followed, the one Ultralytics measures strides with."""


@dataclass(frozen=True)
class GraphLayer:
    """One layer of the resolved network.

    Attributes:
        index: from 0.
        part: ``backbone``, ``neck`` or ``detect``.
        module: a key of `modules.MODULES`.
        sources: absolute indices; -1 is the image.
        repeats: after the depth gain.
        channels_in: channels of every source.
        channels: output channels; 0 for the detection head.
        size: output side in pixels for a square image of `IMAGE` pixels.
        arguments: by name, defaults included, without channels.
        line: in the file.
    """

    index: int
    part: str
    module: str
    sources: tuple[int, ...]
    repeats: int
    channels_in: tuple[int, ...]
    channels: int
    size: int
    arguments: Mapping[str, Any]
    line: int

    @property
    def stride(self) -> float:
        """Pixels of the image per pixel of the output."""
        return IMAGE / self.size


@dataclass(frozen=True)
class Graph:
    """A resolved network: what training will build for ``nc`` classes and ``channels`` image channels."""

    layers: tuple[GraphLayer, ...]
    nc: int
    channels: int
    reg_max: int
    end2end: bool
    activations: Mapping[str, Activation]

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the detection head reads."""
        return tuple(int(self.layers[source].stride) for source in self.layers[-1].sources)
