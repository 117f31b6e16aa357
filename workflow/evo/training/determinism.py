"""Epochs as pure functions of (seed, epoch), and the conditions under which two computations give the same bits.

No state of a random generator is ever stored: whatever an epoch draws follows from its number. So an epoch that is
trained again after a kill, in a process that did not train the ones before it, draws the same.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..host.environment import cpu_name
from ..text.facts import Fact, fact

LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "torchvision")
"""Packages that compute pixels or boxes; Ultralytics and torch are in the recipe."""


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the 32-bit seed of an epoch (from 0) of a run: neighbours share nothing, unlike ``seed + epoch``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{epoch}".encode()).digest()[:4], "big")


def begin_epoch(loader: Any, seed: int, epoch: int) -> None:
    """Bring everything random into the state that belongs to the start of an epoch.

    Args:
        loader: Ultralytics' ``InfiniteDataLoader`` over a training dataset; its worker processes are started anew,
            because they carry random state and images from one epoch into the next.
        seed: of the run.
        epoch: from 0.
    """
    import numpy as np
    import torch

    value = epoch_seed(seed, epoch)
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)  # those of the GPUs as well
    loader.reset()
    if not isinstance(loader.batch_sampler, OneEpoch):
        object.__setattr__(loader, "batch_sampler", OneEpoch(loader.batch_sampler.sampler))
    loader.generator.manual_seed(value)  # the order of the images, and the seeds of the workers
    dataset = loader.dataset
    if dataset.augment and dataset.cache != "ram":
        # Mosaic takes its other images from those loaded last. Which these were depends on the epoch before.
        dataset.ims, dataset.im_hw0, dataset.im_hw = ([None] * dataset.ni for _ in range(3))
        dataset.buffer = random.sample(range(dataset.ni), dataset.max_buffer_length)


class OneEpoch:
    """Ends with the epoch. Ultralytics' own sampler repeats for ever, and the worker processes, which run ahead, would
    load images of an epoch that is not theirs.

    Attributes:
        sampler: torch's batch sampler; the loader reads its length here.
    """

    def __init__(self, sampler: Any):
        self.sampler = sampler

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.sampler)


@dataclass(frozen=True)
class Conditions:
    """What the bits of a result depend on besides its recipe.

    Attributes:
        batch: images per batch, which an out-of-memory halves.
        workers: data loader processes: each has random numbers of its own.
        threads: torch's threads, which split sums differently.
        device: name of the GPU, or of the processor with the instruction set that torch uses.
        cache: ``ram`` when images are kept in memory, because mosaic then chooses among all of them.
        libraries: versions of `LIBRARIES`.
        precision: ``fp32``, or ``fp16`` or ``bf16`` mixed with it; what is used, which need not be what `amp` asks for.
        deterministic: whether torch used only operations that give the same bits each time.
    """

    batch: int
    workers: int
    threads: int
    device: str
    cache: str | None
    libraries: str
    precision: str
    deterministic: bool = True

    @classmethod
    def of(cls, loader: Any, batch: int, device: Any, precision: str) -> Conditions:
        """Return the conditions of this process.

        Args:
            loader: of the training images.
            batch: images per batch, as trained with; the loader's own is never larger than the dataset.
            device: a ``torch.device``.
            precision: see `workflow.evo.training.precision.effective`.
        """
        import torch

        name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()
        return cls(
            batch=batch,
            workers=loader.num_workers,
            threads=torch.get_num_threads(),
            device=name if device.type == "cuda" else f"{name}, {torch.backends.cpu.get_cpu_capability()}",
            cache="ram" if loader.dataset.cache == "ram" else None,
            libraries=", ".join(f"{package} {_version(package)}" for package in LIBRARIES),
            precision=precision,
            deterministic=torch.are_deterministic_algorithms_enabled(),
        )

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def differences(self, earlier: Mapping[str, Any]) -> list[Fact]:
        """Return in what these conditions differ from a stored `document`.

        What an earlier version of this workflow did not store is not compared.
        """
        return [
            fact(f"other_{name}", now=value, before=earlier[name])
            for name, value in self.document().items()
            if name in earlier and value != earlier[name]
        ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
