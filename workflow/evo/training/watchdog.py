"""Notices a data loader that has stopped delivering, as on a file server that is gone, and shows where it stands."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from .trainer import VariantTrainer

STALL_SECONDS = 600.0
"""How long a training waits for one batch. Computing on a batch may take as long as it likes."""
TICK_SECONDS = 1.0
STACK_SECONDS = 1.0  # for the data loader processes to write theirs


class Watchdog:
    """Counts the time in which the trainer waits for a batch, and acts when it has been too long.

    It counts its own ticks and reads no clock: a process that a scheduler suspends for an hour has waited for nothing.

    Args:
        on_stall: called once, from a thread of its own, while the training hangs.
        seconds: how long a batch may take.
        tick: seconds between two looks.
    """

    def __init__(self, on_stall: Callable[[], None], seconds: float = STALL_SECONDS, tick: float = TICK_SECONDS):
        self.on_stall, self.seconds, self.tick = on_stall, seconds, tick
        self._waiting = False
        self._waited = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def attach(self, trainer: VariantTrainer) -> None:
        """Follow a trainer by its callbacks."""
        for event in ("on_train_epoch_start", "on_train_batch_end", "on_val_start"):
            trainer.add_callback(event, lambda _: self.wait())
        for event in ("on_train_batch_start", "on_train_epoch_end", "on_val_batch_start", "on_val_end"):
            trainer.add_callback(event, lambda _: self.rest())
        trainer.add_callback("on_val_batch_end", self._validated)

    def _validated(self, validator: Any) -> None:
        if validator.batch_i + 1 < len(validator.dataloader):  # after the last one it computes its metrics
            self.wait()

    def wait(self) -> None:
        """A batch has been asked for."""
        self._waited, self._waiting = 0.0, True

    def rest(self) -> None:
        """The batch is there."""
        self._waiting = False

    def _watch(self) -> None:
        while not self._over.wait(self.tick):
            if self._waiting:
                self._waited += self.tick
                if self._waited >= self.seconds:
                    self.on_stall()
                    return


def prepare_stacks() -> None:
    """Let this process, and the data loader processes that it will fork, print their stacks to stdout on SIGUSR2."""
    faulthandler.register(signal.SIGUSR2, file=sys.stdout.fileno(), all_threads=True)


def print_stacks() -> None:
    """Print to stdout where every thread of this process and of its children stands, after `prepare_stacks`."""
    import psutil

    print("where this training hangs:", flush=True)
    faulthandler.dump_traceback(file=sys.stdout.fileno(), all_threads=True)
    for child in psutil.Process().children(recursive=True):
        print(f"process {child.pid} ({child.status()}):", flush=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGUSR2)
            time.sleep(STACK_SECONDS)


def end_process(code: int) -> NoReturn:
    """End this process and its children at once: a thread that hangs in the kernel listens to nothing else."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    sys.stdout.flush()
    os._exit(code)
