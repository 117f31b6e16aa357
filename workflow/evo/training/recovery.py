"""What is done about a training that cannot go on as it is: the one owner of that policy.

Memory that runs out halves the batch, in a new process; so does the death without a word of this process or of a data
loader when the kernel's own counter says that memory was the reason, and not when it does not: a kill by a person must
change no result. Numbers gone bad are tried once more from the last checkpoint. A vanished file and a data loader that
hangs stop the training. Each is an incident in plain words.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..config.session import Session
from ..errors import EvoError
from ..files import read_json
from ..host.console import Console
from ..host.kernel_kills import killed_since, oom_kills
from ..results.journal import Journal
from . import memory
from .failures import first_line, loader_killed, missing_image, out_of_memory
from .nonfinite import NonFiniteError
from .watchdog import STALL_SECONDS, end_process, print_stacks

if TYPE_CHECKING:
    from .trainer import VariantTrainer

SMALLEST_BATCH = 1


class RestartRequired(EvoError):
    """The training goes on in a new process: with fresh memory and half the batch, or from sound numbers."""


class Recovery:
    """Handles the failures of one variant's training."""

    def __init__(self, session: Session, variant: str, journal: Journal, console: Console):
        self.session, self.variant, self.journal, self.console = session, variant, journal, console

    def handle(self, trainer: VariantTrainer, error: Exception) -> None:
        """Act on what a training raised; return when it is nothing that is known here.

        Raises:
            RestartRequired: call the training again in a new process.
            EvoError: it stops, for the reason that the error gives.
        """
        if isinstance(error, NonFiniteError):
            self._try_once_more(trainer, error)
        if isinstance(error, EvoError):
            return
        if what := out_of_memory(error):
            self._halve_batch(trainer, what, first_line(error), error)
        if loader_killed(error):
            self._judge_kill(trainer, error)
        if image := missing_image(error):
            message = f"an image of the dataset could not be read any more in {trainer.place}: {image}"
            self.journal.incident("missing_file", message, file=image)
            raise EvoError(
                message, hint="put it back, then run the same command again: finished epochs are kept"
            ) from error

    def heed_memory_check(self, path: Path, recipe: str) -> None:
        """Begin at the batch that fits, where `check_memory` found that the configured one does not."""
        if not path.is_file():
            return
        found = read_json(path, "memory")
        if not self.session.may_use_gpu:
            return
        if found["recipe"] != recipe or found["fitting_batch"] in {None, self.journal.run["batch"]}:
            return
        if reason := memory.outdated(found, memory.gpu()):
            self.console.say(f"the memory check is not heeded: {reason}; begins at batch {self.journal.run['batch']}")
            return
        batch, half = self.journal.run["batch"], found["fitting_batch"]
        self.journal.run["batch"] = half
        self.journal.save()
        nbs, device = self.session.train["nbs"], found["device"]
        message = (
            f"batch {batch} does not fit into the memory of {device}: began at batch {half}, "
            f"nominal batch size {nbs} kept (accumulation {self._accumulation(half)})"
        )
        self.journal.incident("memory_check", message, batch_before=batch, batch_after=half)
        self.console.say(message)

    def _accumulation(self, batch: int) -> int:
        """Return how many batches make a step of the optimizer: as many images as before."""
        return max(round(self.session.train["nbs"] / batch), 1)

    def _judge_kill(self, trainer: VariantTrainer, error: Exception) -> NoReturn:
        """Ask the kernel's counter why a data loader process was killed.

        Raises:
            RestartRequired: for want of memory; the training goes on at half the batch.
            EvoError: anything else; a retry goes on from the last checkpoint, at the same batch.
        """
        before, now = self.journal.run.get("running", {}).get("oom_kills", {}), oom_kills()
        if evidence := killed_since(before, now):
            self._halve_batch(trainer, "the kernel killed a data loader process for want of memory", evidence, error)
        message = (
            f"a data loader process was killed in {trainer.place}, and not by the kernel for want of memory"
            if before.keys() & now.keys()
            else f"a data loader process was killed in {trainer.place}, and no counter says whether for want of memory"
        )
        self.journal.incident("loader_killed", message, error=first_line(error))
        raise EvoError(
            message,
            where=self.variant,
            hint="run the same command again to continue; lower train.workers or train.batch where memory is short",
        ) from error

    def _halve_batch(self, trainer: VariantTrainer, what: str, reason: str, error: Exception) -> NoReturn:
        """Go on in a new process at half the batch, with the nominal batch size kept; ``reason`` is quoted."""
        batch = trainer.batch_size
        if batch <= SMALLEST_BATCH:
            stop = EvoError(
                f"{what} even at batch {batch} ({reason})",
                where=self.variant,
                hint="lower train.imgsz, or use a device with more memory",
            )
            self._stop_for_good("out_of_memory", stop, error)
        message = self._note_half(batch, f"{what} in {trainer.place}", reason)
        raise RestartRequired(message) from error

    def _note_half(self, batch: int, what: str, reason: str) -> str:
        """Let the next process train with half of ``batch``; return what is said about it."""
        half, nbs = max(batch // 2, SMALLEST_BATCH), self.session.train["nbs"]
        self.journal.run["batch"] = half
        self.journal.save()
        message = (
            f"{what} at batch {batch}: continued at batch {half}, "
            f"nominal batch size {nbs} kept (accumulation {self._accumulation(half)})"
        )
        self.journal.incident("out_of_memory", message, batch_before=batch, batch_after=half, error=reason)
        self.console.say(message)
        return message

    def look_back(self) -> None:
        """Before a training: halve the batch when the kernel killed the attempt before for want of memory.

        Raises:
            EvoError: it did so at the smallest batch.
        """
        running = self.journal.run.pop("running", None)
        if running is None:
            return
        self.journal.save()  # whatever comes now, this death has been judged
        evidence = killed_since(running["oom_kills"], oom_kills())
        if evidence is None:
            return
        what = f"the kernel killed the training for want of memory in epoch {running['epoch']}"
        batch = running["batch"]
        if batch <= SMALLEST_BATCH:
            stop = EvoError(
                f"{what} even at batch {batch} ({evidence})",
                where=self.variant,
                hint="lower train.imgsz or train.workers, or give the job more memory",
            )
            self._stop_for_good("out_of_memory", stop, None)
        self._note_half(batch, what, evidence)

    def note_running(self, trainer: VariantTrainer) -> None:
        """Before every epoch: leave what `look_back` needs, should the kernel end this process without a word."""
        self.journal.run["running"] = {
            "epoch": trainer.epoch + 1,
            "batch": trainer.batch_size,
            "oom_kills": oom_kills(),
        }
        self.journal.save()

    def note_end(self) -> None:
        """This process ends with a word: nothing is left to find out."""
        self.journal.run.pop("running", None)

    def _try_once_more(self, trainer: VariantTrainer, error: NonFiniteError) -> NoReturn:
        """Go back to the last checkpoint once: a fault of the hardware does not repeat, one of the recipe does."""
        epoch = trainer.epoch + 1
        if self.journal.run.get("bad_numbers") == epoch:
            stop = EvoError(
                f"numbers went bad in epoch {epoch} again: {error}",
                where=self.variant,
                hint="lower train.lr0, lengthen train.warmup_epochs, or set train.amp to false",
            )
            self._stop_for_good("bad_numbers", stop, error)
        self.journal.run["bad_numbers"] = epoch
        self.journal.save()
        source = f"the checkpoint of epoch {epoch - 1}" if epoch > 1 else "the start"
        message = f"numbers went bad in epoch {epoch}: {error}; tried once more from {source}"
        self.journal.incident("bad_numbers", message, epoch=epoch)
        self.console.say(message)
        raise RestartRequired(message) from error

    def _stop_for_good(self, kind: str, stop: EvoError, error: Exception | None) -> NoReturn:
        """Stop, and let the retries of this job stop at once: each would train for hours to the same end."""
        self.journal.incident(kind, str(stop))
        self.journal.stop(str(stop))
        raise stop from error

    def require_same_images(self, trainer: VariantTrainer) -> None:
        """Refuse to go on with a dataset that lost files since the run began: Ultralytics leaves out what is gone."""
        found = {}
        for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
            objects = sum(len(label["cls"]) for label in loader.dataset.labels)
            found[split] = f"{loader.dataset.ni} images with {objects} objects"
        known = self.journal.run.setdefault("images", found)
        self.journal.save()
        for split, content in found.items():
            if content != known[split]:
                message = f"the split {split} has {content} now, and had {known[split]} when this training began"
                self.journal.incident("missing_file", message)
                raise EvoError(
                    message,
                    where=self.session.layout.dataset_yaml,
                    hint="put the missing files back, then run the same command again",
                )

    def end_stalled(self, trainer: VariantTrainer) -> NoReturn:
        """End a training that hangs; called from the thread of the watchdog."""
        print_stacks()
        stop = EvoError(
            f"the data loader gave no batch for {STALL_SECONDS / 60:g} minutes in {trainer.place}: stopped",
            where=self.variant,
            hint="the log of this job shows where it hangs; once the dataset can be read, run the same command again",
        )
        self.journal.incident("stalled", stop.what)
        self.console.give_back()
        print(f"error: {stop}", file=sys.stderr, flush=True)
        end_process(stop.exit_code)
