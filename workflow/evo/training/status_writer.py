"""Tells other terminals, also of other hosts, how far a training is: ``status.json`` beside the checkpoints.

A thread of its own writes it, so that a slow disk slows no training. It draws no random numbers, touches no tensor, and
the trainer's callbacks only leave figures behind for it.
"""

from __future__ import annotations

import math
import platform
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import EvoError, Preempted
from ..files import write_json
from ..host.nvml import GpuMeter, gpu_uuid
from ..results.history import MAP50, MAP50_95
from ..results.journal import now
from .progress import seconds_per_epoch
from .recovery import RestartRequired

if TYPE_CHECKING:
    from .trainer import VariantTrainer

SECONDS = 2.0
"""Between two writings, and between two looks at the losses, which on a GPU wait for its work to be done."""
MIB = 2**20


class StatusWriter:
    """Writes the state of one training until the block ends, and then how it ended.

    Args:
        path: the file.
        variant: name of the variant.
        log: gets one line when the file cannot be written; the training goes on.
        seconds: between two writings.
    """

    def __init__(self, path: Path, variant: str, log: Callable[[str], None], seconds: float = SECONDS):
        import psutil

        self.path, self.log, self.seconds = path, log, seconds
        self._process = psutil.Process()
        self._identity = {
            "variant": variant,
            "started": now(),
            "host": platform.node(),
            "machine": machine(),
            "pid": self._process.pid,
            "process_started": self._process.create_time(),
        }
        self._facts: dict[str, Any] = {"phase": "waiting", "message": None, "attempt": None, **_NOTHING}
        self._meter: GpuMeter | None = None
        self._beat = 0
        self._warned = False
        self._looked = self._epoch_began = -math.inf
        self._over = threading.Event()
        self._writing = threading.Lock()  # the last one to write has read the newest facts
        self._thread = threading.Thread(target=self._write_on, name="heartbeat", daemon=True)

    def __enter__(self) -> StatusWriter:
        self._process.cpu_percent()  # the first call only starts the count
        self._thread.start()
        return self

    def __exit__(self, _kind: type | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self.note(_outcome(error), message=None if error is None else _reason(error))
        self._write()

    def note(self, phase: str, **facts: Any) -> None:
        """Note what the process does now, ``phase`` of ``status.schema.json``, and further facts of it."""
        self._facts = {**self._facts, "message": None, "phase": phase, **facts}  # one assignment: the thread reads it

    def waiting(self, log: Callable[[str], None]) -> Callable[[str], None]:
        """Return a ``log`` that also notes what the process waits for."""

        def noted(text: str) -> None:
            self.note("waiting", message=text)
            log(text)

        return noted

    def attach(self, trainer: VariantTrainer) -> None:
        """Follow a trainer by its callbacks."""
        trainer.add_callback("on_train_start", self._train_start)
        trainer.add_callback("on_train_epoch_start", self._epoch_start)
        trainer.add_callback("on_train_batch_end", self._batch_end)
        trainer.add_callback("on_train_epoch_end", lambda trainer: self._look(trainer, "validating", 0))
        trainer.add_callback("on_val_batch_end", self._val_batch_end)
        trainer.add_callback("on_fit_epoch_end", self._epoch_end)

    # What the trainer leaves behind ------------------------------------------------------------------------------

    def _train_start(self, trainer: Any) -> None:
        if (uuid := gpu_uuid(trainer.device)) is not None:
            self._meter = GpuMeter(uuid)
        self.note(
            "training",
            epoch=min(trainer.start_epoch + 1, trainer.epochs),
            epochs=trainer.epochs,
            batch=0,
            batches=len(trainer.train_loader),
            images_per_batch=trainer.batch_size,
            **_times(trainer, 0),
        )

    def _epoch_start(self, trainer: Any) -> None:
        self._epoch_began = time.monotonic()
        batches = len(trainer.train_loader)
        self.note("training", epoch=trainer.epoch + 1, batch=0, batches=batches, **_times(trainer, 0))

    def _batch_end(self, trainer: Any) -> None:
        if time.monotonic() - self._looked >= self.seconds:
            self._look(trainer, "training", trainer.batch_index + 1)

    def _look(self, trainer: Any, phase: str, batch: int) -> None:
        self._looked = time.monotonic()
        batches, done = len(trainer.train_loader), trainer.batch_index + 1
        images = min(done * trainer.batch_size, len(trainer.train_loader.dataset))
        losses = {name.removesuffix("_loss"): _finite(value) for name, value in trainer.tloss.items()}
        self.note(
            phase,
            epoch=trainer.epoch + 1,
            batch=batch,
            batches=batches if phase == "training" else None,
            losses=losses,
            images_per_s=round(images / max(self._looked - self._epoch_began, 1e-9), 2),
            **_times(trainer, done / batches),
        )

    def _val_batch_end(self, validator: Any) -> None:
        self.note("validating", batch=validator.batch_i + 1, batches=len(validator.dataloader))

    def _epoch_end(self, trainer: Any) -> None:
        metrics = {
            "epoch": trainer.epoch + 1,
            "map50": _finite(trainer.metrics.get(MAP50)),
            "map50_95": _finite(trainer.metrics.get(MAP50_95)),
        }
        self.note("training", metrics=metrics, **_times(trainer, 1))

    # The thread --------------------------------------------------------------------------------------------------

    def _write_on(self) -> None:
        while True:
            self._write()
            if self._over.wait(self.seconds):
                return

    def _write(self) -> None:
        with self._writing:
            self._write_alone()

    def _write_alone(self) -> None:
        try:
            self._beat += 1
            document = {
                **self._identity,
                "beat": self._beat,
                "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
                "cpu_percent": self._process.cpu_percent(),
                "memory_mib": round(self._process.memory_info().rss / MIB, 1),
                "gpu": self._meter.read() if self._meter else None,
                **self._facts,
            }
            write_json(self.path, "status", document, durable=False)
        except Exception as error:  # whatever it is, it must not end a training, and the next writing may succeed
            if not self._warned:
                self._warned = True
                self.log(f"the live view is not kept up to date, the training goes on: {_reason(error)}")


_NOTHING = dict.fromkeys(
    (
        "epoch",
        "epochs",
        "batch",
        "batches",
        "images_per_batch",
        "losses",
        "metrics",
        "seconds_trained",
        "seconds_per_epoch",
        "images_per_s",
        "seconds_left",
    )
)


def _times(trainer: Any, share: float) -> dict[str, float | None]:
    """Return what has been trained and what is left, ``share`` of the current epoch being done."""
    pace, epoch = seconds_per_epoch(trainer.history), getattr(trainer, "epoch", trainer.start_epoch)
    return {
        "seconds_trained": round(sum(entry["seconds"] for entry in trainer.history), 3),
        "seconds_per_epoch": None if pace is None else round(pace, 3),
        "seconds_left": None if pace is None else round((trainer.epochs - epoch - share) * pace, 1),
    }


def machine() -> str:
    """Return a name of this boot of this host and its space of process numbers: a container has its own."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux
        return platform.node()


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "finished"
    if isinstance(error, RestartRequired):
        return "restarting"
    return "stopped" if isinstance(error, (Preempted, KeyboardInterrupt, SystemExit)) else "failed"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, EvoError) else f"{type(error).__name__}: {text}"


def _finite(value: Any) -> float | None:
    number = math.nan if value is None else float(value)
    return round(number, 5) if math.isfinite(number) else None
