"""One run of the grid, as its configuration describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError, did_you_mean
from ..layout import SessionLayout
from .variants import Variant

FOLDERS = frozenset({"data", "logs", "benchmarks", "tracking"})
"""Folders of a session other than those of its variants."""


@dataclass(frozen=True)
class TrainSettings:
    """The ``train:`` block: what the workflow itself reads of it, and all of it.

    Attributes:
        epochs: of the whole training.
        imgsz: edge of the square input, pixels.
        batch: images per batch.
        nbs: images per step of the optimizer, over as many batches as that takes.
        workers: data loader processes.
        seed: of everything random.
        pretrained: path of the weights to start from; None for random ones.
        device: as Ultralytics takes it: None for the first GPU, or the CPU without one.
        cache: where images are kept: ``True`` or ``ram``, ``disk``, False.
        single_cls: whether all classes are trained as one.
        arguments: every argument of the block by its Ultralytics name, defaults of this workflow included.
    """

    epochs: int
    imgsz: int
    batch: int
    nbs: int
    workers: int
    seed: int
    pretrained: str | None
    device: str | int | None
    cache: str | bool
    single_cls: bool
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> TrainSettings:
        """Return the settings of a completed ``train:`` block."""
        required = ("epochs", "imgsz", "batch", "nbs", "workers", "seed")
        return cls(
            **{name: arguments[name] for name in required},
            pretrained=arguments["pretrained"] or None,
            device=arguments.get("device"),
            cache=arguments.get("cache", False),
            single_cls=bool(arguments.get("single_cls")),
            arguments=arguments,
        )

    def of_replicate(self, replicate: int) -> TrainSettings:
        """Return the settings of a further replicate, whose seed is that many higher."""
        return TrainSettings.of({**self.arguments, "seed": self.seed + replicate}) if replicate else self


@dataclass(frozen=True)
class NpuSettings:
    """The ``npu:`` block.

    Attributes:
        boards: names of the boards to compile for; the first one decides between variants.
        gate: ``fail`` or ``warn``: what missing a gate does to a variant.
        min_ops_percent: least share of operators on the NPU; None for the target of the variant's level.
        max_latency_ms: most latency by Vela's estimate; None for no limit.
        calibration_images: images that set the ranges of the integers.
        kernels: of the int8 evaluation: ``reference``, those that the compiler is tested against, or ``optimised``.
        measurements: absolute path of a table of figures measured on silicon; None without one.
        time_limit: seconds that one run of the compiler may take.
    """

    boards: tuple[str, ...]
    gate: str
    min_ops_percent: float | None
    max_latency_ms: float | None
    calibration_images: int
    kernels: str
    measurements: Path | None
    time_limit: int


@dataclass(frozen=True)
class Goal:
    """The ``ship:`` block: what the variant that ships has to be.

    Attributes:
        objective: ``accuracy``: the most accurate within the limits; ``latency``: the fastest within them.
        min_map50_95: least int8 map50_95 on val, by the lower end of its interval; None for no limit. The same for:
        max_latency_ms: most latency, milliseconds, measured where it is, or else by Vela's estimate.
        max_sram_kib: most SRAM, KiB.
        max_flash_kib: largest compiled file, KiB.
        board: the board that the first decision is for.
    """

    objective: str
    min_map50_95: float | None
    max_latency_ms: float | None
    max_sram_kib: float | None
    max_flash_kib: float | None
    board: str

    @property
    def stated(self) -> bool:
        """Whether it says more than to ship the most accurate variant."""
        limits = (self.min_map50_95, self.max_latency_ms, self.max_sram_kib, self.max_flash_kib)
        return self.objective != "accuracy" or any(limit is not None for limit in limits)


@dataclass(frozen=True)
class Session:
    """One run of the grid.

    Attributes:
        name: names the results folder.
        root: ``results/{name}``, relative to the working directory.
        data: absolute path of the dataset YAML; None for the embedded digits.
        digits: counts of images, size in pixels and seed of the embedded dataset.
        variants: every variant of the session, in the order of the grid; the replicates of one follow one another.
        replicates: trainings of every network, with seeds one apart.
        train: the ``train:`` block, as it stands for the first replicate of every variant; see `training_of`.
        splits: splits to evaluate, where the dataset has them.
        npu: boards, gates, calibration and kernels.
        goal: what the variant that ships has to be.
        language: code of the language of the reports, ``en`` or ``ko``.
        track: which of TensorBoard and MLflow follow the trainings.
        document: the completed configuration, as written to ``config.json``.
    """

    name: str
    root: Path
    data: Path | None
    digits: Mapping[str, int]
    variants: tuple[Variant, ...]
    train: TrainSettings
    splits: tuple[str, ...]
    npu: NpuSettings
    goal: Goal
    language: str
    document: Mapping[str, Any]
    track: tuple[str, ...] = ()
    replicates: int = 1

    @property
    def layout(self) -> SessionLayout:
        return SessionLayout(self.root)

    def variant(self, name: str) -> Variant:
        """Return the variant of that name.

        Raises:
            UserError: the session has none.
        """
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise UserError(
            f"unknown variant '{name}'", where=f"session {self.name}", hint=did_you_mean(name, self.variant_names)
        )

    def training_of(self, variant: Variant) -> TrainSettings:
        """Return how a variant is trained: as `train` says, with the seed of the replicate."""
        return self.train.of_replicate(variant.replicate)

    @property
    def may_use_gpu(self) -> bool:
        """Whether a training may run on a GPU: not with ``train.device`` ``cpu`` or ``mps``."""
        return str(self.train.device) not in {"cpu", "mps"}

    @property
    def variant_names(self) -> list[str]:
        return [variant.name for variant in self.variants]
