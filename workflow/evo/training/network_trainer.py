"""Ultralytics' detection trainer for the network of a checked definition.

Import it only after `workflow.evo.host.ultralytics_env.prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unwrap_model

from ..models import activations, build
from ..models.definition import Definition
from ..models.transfer import transfer
from ..text.facts import Fact
from . import precision

LIBRARY_OOM_RETRIES = 3  # the trainer gives up when its counter is here (engine/trainer.py)


class NetworkTrainer(DetectionTrainer):
    """Ultralytics' detection trainer for the network of a checked definition.

    The activation scope is applied, pretrained weights are transferred tensor by tensor, mixed precision is checked
    without a download, and an out-of-memory is always raised, since the caller owns the policy.
    """

    def __init__(self, overrides: dict[str, Any], *, definition: Definition, log: Callable[[str], None]):
        self.definition, self.log = definition, log
        self.transfer: tuple[int, int] | None = None  # (matched, total) tensors of pretrained weights
        self.precision_fault: Fact | None = None  # why mixed precision is off although it was asked for
        super().__init__(overrides=overrides)
        self.add_callback("on_train_epoch_start", NetworkTrainer._raise_out_of_memory)

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> torch.nn.Module:
        """Build the variant from its checked definition (``cfg`` is the same file) and transfer ``weights``."""
        model = build.build(self.definition, self.data["nc"], self.data["channels"])
        self.set_model_names_for_load(model)
        if weights is not None:
            self.transfer = transfer(model, weights)
            self.log(f"pretrained weights: {self.transfer[0]} of {self.transfer[1]} tensors matched")
        activations.verify(model, self.definition, self.data["nc"])
        return model

    def _setup_train(self) -> None:
        with precision.own_check(self._mixed_precision_is_sound):
            super()._setup_train()

    def _mixed_precision_is_sound(self, model: torch.nn.Module) -> bool:
        if self.device.type in precision.CPU:
            return False
        self.precision_fault = precision.fault(unwrap_model(model), self.device, self.data["channels"])
        return self.precision_fault is None

    def final_eval(self) -> None:
        """Leave the weights as they are: the rule `evaluate` measures them, and the caller strips and publishes."""

    @staticmethod
    def _raise_out_of_memory(trainer: NetworkTrainer) -> None:
        trainer._oom_retries = LIBRARY_OOM_RETRIES
