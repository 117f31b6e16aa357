"""What the tests of networks share: one with every module, what Ultralytics alone builds, and what is found wrong."""

from __future__ import annotations

import copy

import pytest

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

COUNTS = {"backbone": 27, "neck": 18, "detect": 12}
"""Activations of a network of the grid, by part."""


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
