"""How much of a host the jobs of a session take, and so how many variants train at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.session import Session
from ..host.devices import host_devices, visible_devices
from ..host.environment import GIB, memory_bytes

MIB_OF_A_TRAINING = 1024
MIB_PER_IMAGE = 240
"""Memory of a training on a CPU: its libraries, and each image of a batch at 640 px. Measured with the networks of the
grid at 640 px: 1.8 GiB at batch 4, 3.9 to 4.5 GiB at batch 16."""
KEPT_FREE_GIB = 2.0
"""For the system, Snakemake, and a check or an export beside the trainings."""
MOST_THREADS = 8
"""Of an evaluation on a CPU; more gain little there."""


@dataclass(frozen=True)
class Capacity:
    """What there is, and what each job takes of it.

    Attributes:
        cores: processors of this host that the jobs share (``--cores``); None on a cluster, where every job gets its
            own.
        tokens: trainings at a time that may use a GPU (``--resources gpu=N``).
        on_cpu: whether trainings run on the CPU.
        cpu_trainings: trainings at a time on the CPU that the memory of this host has room for.
        workers: data loader processes of a training on a GPU.
        variants: how many are to be trained.
        gpus: GPUs that this run may use; None where nobody has looked.
    """

    cores: int | None
    tokens: int
    on_cpu: bool
    cpu_trainings: int
    workers: int
    variants: int
    gpus: int | None = None

    @property
    def gpu(self) -> int:
        """GPU tokens of a job that leases a GPU where there is one: a training, an evaluation."""
        return int(not self.on_cpu)

    @property
    def cpu_training(self) -> int:
        """Tokens of a training, of the `cpu_trainings` there are."""
        return int(self.on_cpu)

    @property
    def training_threads(self) -> int:
        """Processors of one training.

        On a CPU one, on every host: torch computes with as many threads, and sums that are split otherwise round
        otherwise, so that the weights would follow the number of processors. Several variants train side by side
        instead, which on two processors is faster than two threads too (1.9 times one, instead of 1.4 to 1.6).

        On a GPU its data loaders and itself, but no more than its share where several train at a time: loaders that
        share a processor are slower, trainings that wait for one leave a GPU idle. One is left to what else runs.
        """
        if self.on_cpu:
            return 1
        wanted = self.workers + 1
        if self.cores is None:
            return wanted
        return max(min(wanted, (self.cores - 1) // self._on_gpus), 1)

    @property
    def evaluation_threads(self) -> int:
        """Processors of an evaluation on the CPU: half of them, since trainings may run beside it."""
        return MOST_THREADS // 2 if self.cores is None else max(min(self.cores // 2, MOST_THREADS), 1)

    @property
    def trainings_at_a_time(self) -> int:
        """How many variants train side by side on this host."""
        room = self.cpu_trainings if self.on_cpu else self.tokens
        return max(min(room, self.variants, self.cores or room), 1)

    @property
    def _on_gpus(self) -> int:
        return max(min(self.tokens, self.variants), 1)

    def idle_gpus(self) -> str | None:
        """Return a sentence where GPUs would stay idle for lack of a token or a processor; None otherwise."""
        if self.on_cpu or self.gpus is None or self.cores is None:
            return None
        wanted, used = min(self.gpus, self.variants), min(self.trainings_at_a_time, self.gpus)
        if used >= wanted:
            return None
        options = [f"--cores {wanted}"] if self.cores < wanted else []
        options += [f"--resources gpu={wanted}"] if self.tokens < wanted else []
        return (
            f"{used} of {self.gpus} GPUs {'is' if used == 1 else 'are'} used: `{' '.join(options)}` trains {wanted} "
            "variants at a time"
        )


def capacity(session: Session, cores: int | None, tokens: int) -> Capacity:
    """Return the capacity of a session. On this host its GPUs decide where ``train.device`` leaves it open.

    Args:
        session: the session.
        cores: as in `Capacity`.
        tokens: as in `Capacity`.

    Raises:
        UserError: ``CUDA_VISIBLE_DEVICES`` names no GPU of this host.
    """
    device, gpus = session.train.device, None
    if cores is not None and device is None:
        gpus = len(visible_devices(host_devices(), count_only=True))
    on_cpu = str(device) == "cpu" or gpus == 0
    return Capacity(
        cores=cores,
        tokens=tokens,
        on_cpu=on_cpu,
        cpu_trainings=cpu_trainings(session, memory_bytes()) if on_cpu else 0,
        workers=session.train.workers,
        variants=len(session.variants),
        gpus=gpus,
    )


def cpu_trainings(session: Session, memory: int) -> int:
    """Return how many trainings at a time ``memory`` (bytes) has room for on a CPU; at least one.

    With ``cache: ram`` one: each holds the whole dataset.
    """
    if session.train.cache in {True, "ram"}:
        return 1
    images = session.train.batch * (session.train.imgsz / 640) ** 2
    mib = MIB_OF_A_TRAINING + MIB_PER_IMAGE * images
    return max(math.floor((memory / GIB - KEPT_FREE_GIB) * 1024 / mib), 1)
