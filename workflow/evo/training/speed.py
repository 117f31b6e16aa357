"""How long a session would take here: a few timed training steps, and an estimate that says so."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..models import build
from ..models.definition import Definition

STEPS = 3
SECONDS = 20.0


@dataclass(frozen=True)
class StepTime:
    """Measured time of training steps on this machine.

    Attributes:
        seconds_per_image: forward, loss, backward and optimizer; data loading and validation are not in it.
        batch: images per step.
        imgsz: edge of the square input, pixels.
        steps: steps that were timed, after one that was not.
    """

    seconds_per_image: float
    batch: int
    imgsz: int
    steps: int


def time_steps(definition: Definition, nc: int, imgsz: int, batch: int) -> StepTime:
    """Time training steps of a freshly built network on the CPU with random images and five boxes an image."""
    import torch
    from ultralytics.cfg import get_cfg

    model = build.build(definition, nc).train()
    model.args = get_cfg()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    boxes = 5 * batch
    images = {
        "img": torch.rand(batch, 3, imgsz, imgsz),
        "cls": torch.randint(0, nc, (boxes, 1)).float(),
        "bboxes": torch.cat([torch.rand(boxes, 2) * 0.6 + 0.2, torch.rand(boxes, 2) * 0.2 + 0.05], 1),
        "batch_idx": torch.arange(batch).repeat_interleave(5).float(),
    }

    def step() -> None:
        loss, _ = model(dict(images))
        loss.sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    start, steps = time.perf_counter(), 0
    while steps < STEPS and (steps == 0 or time.perf_counter() - start < SECONDS):
        step()
        steps += 1
    seconds = (time.perf_counter() - start) / (steps * batch)
    return StepTime(seconds, batch, imgsz, steps)
