"""One variant's summary, by name: what the reports read of it. A figure that is not known is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..npu.gates import missed_on
from ..text.wording import DASH

MEMORIES = ("sram", "flash", "dram")
"""Kinds of memory that a compiled network uses."""


@dataclass(frozen=True)
class Accuracy:
    """Of one split, fractions 0 to 1; ``inference_ms`` is wall time per image on the host."""

    map50: float | None = None
    map50_95: float | None = None
    precision: float | None = None
    recall: float | None = None
    confidence: float | None = None
    inference_ms: float | None = None
    per_class: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curves: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, results: Mapping[str, Any] | None, split: str) -> Accuracy:
        """Return the accuracy on a split of ``metrics.json`` or ``metrics_int8.json``."""
        found = (results or {}).get(split)
        if found is None:
            return cls()
        figures = {key: found[key] for key in ("map50", "map50_95", "precision", "recall", "confidence", "per_class")}
        return cls(**figures, inference_ms=found["speed_ms"]["inference"], curves=found.get("curves"))


@dataclass(frozen=True)
class Compiled:
    """What the compiler made of a network for one board, from ``compatibility.json``; KiB, milliseconds, percent.

    Attributes:
        document: the whole of it; None where the network is not compiled.
        latency_ms: Vela's estimate, without the operators left to the CPU.
        whole_latency_ms: the same; None where operators are left to the CPU, whose time Vela does not estimate.
            Otherwise a variant would win by leaving its work to the CPU.
        bound_by: cycles by what an operator waits for the longest, ``npu``, ``sram``, ``dram`` or ``flash``.
        assumptions: what the estimate rests on besides the model.
    """

    document: Mapping[str, Any] | None = None
    board: str | None = None
    ops_percent: float | None = None
    macs_percent: float | None = None
    npu_blobs: int | None = None
    cpu_operators: int | None = None
    cycles: int | None = None
    bound_by: Mapping[str, int] | None = None
    latency_ms: float | None = None
    whole_latency_ms: float | None = None
    memory: Mapping[str, Mapping[str, Any] | None] = field(default_factory=lambda: dict.fromkeys(MEMORIES))
    assumptions: tuple[Any, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Compiled:
        if document is None:
            return cls()
        estimate = document["estimate"]
        return cls(
            document=document,
            board=document["board"],
            ops_percent=document["ops_percent"],
            macs_percent=document["macs_percent"],
            npu_blobs=document["npu_blobs"],
            cpu_operators=document["operators"]["cpu"],
            cycles=estimate["cycles"],
            bound_by=estimate["bound_by"],
            latency_ms=estimate["latency_ms"],
            whole_latency_ms=estimate["latency_ms"] if estimate["covers_all_operators"] else None,
            memory=document["memory"],
            assumptions=tuple(estimate[key] for key in ("by", "clock_mhz", "system_config", "memory_mode")),
        )

    def used_kib(self, kind: str) -> float | None:
        """Return how much of a kind of memory, one of `MEMORIES`, is used."""
        memory = self.memory[kind]
        return memory["used_kib"] if memory else None


@dataclass(frozen=True)
class Latency:
    """Of one inference on a board, milliseconds: measured on the device where somebody did, or else Vela's estimate.

    Attributes:
        ms: None where it is not known, also where the estimate leaves operators on the CPU out.
        measured: whether it is measured.
    """

    ms: float | None
    measured: bool


@dataclass(frozen=True)
class Training:
    """A finished training, from ``training.json``; wall times in seconds, ``seconds`` with interruptions."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    best_epoch: int | None = None
    seconds: float | None = None
    epochs_seconds: float | None = None
    attempts: int | None = None
    started: str | None = None
    finished: str | None = None
    device: str | None = None
    data_hash: str | None = None
    model_fingerprint: str | None = None
    recipe: str | None = None
    best_sha256: str | None = None
    activations: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> Training:
        if document is None:
            return cls()
        as_they_are = ("arguments", "best_epoch", "seconds", "epochs_seconds", "attempts", "started", "finished")
        hashes = ("data_hash", "model_fingerprint", "recipe")
        return cls(
            **{key: document[key] for key in (*as_they_are, *hashes, "activations")},
            epochs=len(document["epochs"]),
            device=document["environment"].get("device"),
            best_sha256=document["weights"]["best"],
        )


@dataclass(frozen=True)
class VariantSummary:
    """A document of ``summary.schema.json``.

    Attributes:
        document: the whole of it.
    """

    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.document["variant"]

    @property
    def first(self) -> str:
        """Name of the first replicate, its own where it is that."""
        return self.document["first"]

    @property
    def replicate(self) -> int:
        """Which of the trainings with different seeds it is, from 0."""
        return self.document["replicate"]

    @property
    def done(self) -> bool:
        """Whether its figures may be compared."""
        return self.document["status"] == "done"

    @property
    def activation(self) -> str | None:
        """Name in the grid, or what the model file of a further model has."""
        return self.document["activation"] or (self.document["model"] or {}).get("activation")

    @property
    def group(self) -> str:
        """The activation, as charts of many variants group by it."""
        return str(self.activation or DASH)

    @property
    def parameters(self) -> int | None:
        return (self.document["model"] or {}).get("parameters")

    @cached_property
    def training(self) -> Training:
        return Training.of(self.document["training"])

    @cached_property
    def val(self) -> Accuracy:
        """Of the float weights, as ``yolo val`` measures it."""
        return Accuracy.of(self.document["metrics"], "val")

    @cached_property
    def test(self) -> Accuracy:
        return Accuracy.of(self.document["metrics"], "test")

    @cached_property
    def int8_val(self) -> Accuracy:
        return Accuracy.of(self.document["int8"], "val")

    @cached_property
    def int8_test(self) -> Accuracy:
        return Accuracy.of(self.document["int8"], "test")

    @cached_property
    def float_val(self) -> Accuracy:
        """Of the float weights, on the same square input as int8.

        Where there is no int8 yet it is that of ``yolo val``, which pads each image to its own shape.
        """
        return Accuracy.of(self.document["int8"]["float"], "val") if self.document["int8"] else self.val

    @property
    def int8_difference(self) -> float | None:
        """map50_95 on val in int8 minus float, on the same input."""
        return self.document["int8"]["difference"]["val"]["map50_95"] if self.document["int8"] else None

    @property
    def int8_change(self) -> float | None:
        """Size of `int8_difference`; None where float detects nothing, so that nothing can be lost."""
        difference = self.int8_difference
        return abs(difference) if difference is not None and self.float_val.map50_95 else None

    @property
    def host(self) -> str | None:
        """The processor that the evaluation ran on."""
        return self._evaluation.get("device")

    @property
    def imgsz(self) -> int | None:
        return self._evaluation.get("imgsz")

    @property
    def evaluated_weights(self) -> str | None:
        """SHA-256 of the weights that were evaluated."""
        return self._evaluation.get("weights_sha256")

    @property
    def _evaluation(self) -> Mapping[str, Any]:
        return self.document["metrics"]["evaluation"] if self.document["metrics"] else {}

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        return self.document["export"]["calibration"] if self.document["export"] else None

    @property
    def kernels(self) -> str | None:
        """Kernels that the int8 accuracy was measured with."""
        return self.document["int8"]["evaluation"]["kernels"] if self.document["int8"] else None

    @property
    def int8_sha256(self) -> str | None:
        return self.document["export"]["sha256"] if self.document["export"] else None

    def trained(self, board: str) -> Compiled:
        return Compiled.of((self.document["npu"] or {}).get(board))

    def latency(self, board: str) -> Latency:
        """Return the latency that decides."""
        measured = self.measured(board)
        if measured is not None and measured["ms"] is not None:
            return Latency(measured["ms"], True)
        return Latency(self.trained(board).whole_latency_ms, False)

    def measured(self, board: str) -> Mapping[str, Any] | None:
        """Return what somebody measured of its file on a board; None where nobody did."""
        return self.document["measured"].get(board)

    def untrained(self, board: str) -> Compiled:
        """What the compiler made of the network before it was trained."""
        return Compiled.of(self.document["preflight"]["boards"].get(board) if self.document["preflight"] else None)

    def missed(self, board: str) -> list[dict[str, Any]] | None:
        """Gates that a board misses; None where they are not checked yet."""
        return missed_on(self.document["preflight"], board)

    @property
    def latency_limit_ms(self) -> float | None:
        """The latency that the gates allow."""
        return self.document["preflight"]["gate"]["limits"]["max_latency_ms"] if self.document["preflight"] else None

    @property
    def passes_gates(self) -> bool | None:
        """Whether all configured boards pass."""
        return self.document["preflight"]["gate"]["passed"] if self.document["preflight"] else None
