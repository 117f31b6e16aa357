"""What is done about a training that cannot go on as it is: the one owner of that policy.

Memory that runs out halves the batch, in a new process. So does the sudden death of this process or of a data loader
when the kernel's own counter says that memory was the reason, and not when it does not: a kill by a person must change
no result. Non-finite values are tried once more from the last checkpoint. A missing file and a data loader that hangs
stop the training. Each is an incident.
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
from ..text.facts import Fact, fact
from . import memory
from .failures import first_line, loader_killed, missing_image, out_of_memory
from .nonfinite import NonFiniteError
from .watchdog import STALL_SECONDS, end_process, print_stacks

if TYPE_CHECKING:
    from .trainer import VariantTrainer

SMALLEST_BATCH = 1


class RestartRequired(EvoError):
    """The training goes on in a new process: with fresh memory and half the batch, or from the last checkpoint."""


class Recovery:
    """Handles the failures of one variant's training."""

    def __init__(self, session: Session, variant: str, journal: Journal, console: Console):
        self.session, self.variant, self.journal, self.console = session, variant, journal, console

    def handle(self, trainer: VariantTrainer, error: Exception) -> None:
        """Act on what a training raised; return when nothing is known about it.

        Raises:
            RestartRequired: call the training again in a new process.
            EvoError: it stops, for the reason that the error gives.
        """
        if isinstance(error, NonFiniteError):
            self._try_once_more(trainer, error)
        if isinstance(error, EvoError):
            return
        if what := out_of_memory(error):
            self._halve_batch(trainer, what, fact("quoted", text=first_line(error)), error)
        if loader_killed(error):
            self._assess_kill(trainer, error)
        if image := missing_image(error):
            gone = fact("image_gone", place=trainer.place, image=image)
            self.journal.incident("missing_file", gone, file=image)
            raise EvoError(
                str(gone), hint="put it back, then run the same command again: finished epochs are kept"
            ) from error

    def apply_memory_check(self, path: Path, recipe: str) -> None:
        """Begin at the batch that fits, where `check_memory` found that the configured one does not."""
        if not path.is_file() or not self.session.may_use_gpu:
            return
        found = read_json(path, "memory")
        batch, half = self.journal.run["batch"], found["fitting_batch"]
        if found["recipe"] != recipe or half in {None, batch}:
            return
        if reason := memory.outdated(found, memory.gpu()):
            self.console.log(str(fact("memory_check_outdated", reason=reason, batch=batch)))
            return
        smaller = fact("began_at_smaller_batch", batch=batch, device=found["device"], **self._halved(half))
        self.journal.incident("memory_check", smaller, batch_before=batch, batch_after=half)
        self.console.log(str(smaller))

    def _halved(self, half: int) -> dict[str, int]:
        """Let the next process train with a batch of ``half``, as many images per step of the optimizer as before."""
        self.journal.run["batch"] = half
        self.journal.save()
        nbs = self.session.train.nbs
        return {"half": half, "nbs": nbs, "accumulation": max(round(nbs / half), 1)}

    def _assess_kill(self, trainer: VariantTrainer, error: Exception) -> NoReturn:
        """Ask the kernel's counter why a data loader process was killed.

        Raises:
            RestartRequired: memory ran out; the training goes on at half the batch.
            EvoError: anything else; a retry goes on from the last checkpoint, at the same batch.
        """
        before, now = self.journal.run.get("running", {}).get("oom_kills", {}), oom_kills()
        if evidence := killed_since(before, now):
            self._halve_batch(trainer, fact("loader_killed_by_kernel"), evidence, error)
        counted = before.keys() & now.keys()
        killed = fact("loader_killed_by_another" if counted else "loader_killed_by_whom", place=trainer.place)
        self.journal.incident("loader_killed", killed, error=first_line(error))
        raise EvoError(
            str(killed),
            where=self.variant,
            hint="run the same command again to continue; lower train.workers or train.batch where memory is short",
        ) from error

    def _halve_batch(self, trainer: VariantTrainer, what: Fact, reason: Fact, error: Exception) -> NoReturn:
        """Go on in a new process at half the batch, with the nominal batch size kept."""
        batch = trainer.batch_size
        if batch <= SMALLEST_BATCH:
            stop = fact("memory_exhausted", variant=self.variant, what=what, batch=batch, reason=reason)
            self._stop_for_good("out_of_memory", stop, error)
        raise RestartRequired(str(self._note_half(batch, what, trainer.place, reason))) from error

    def _note_half(self, batch: int, what: Fact, place: Fact, reason: Fact) -> Fact:
        """Let the next process train with half of ``batch``; return what is recorded about it."""
        half = max(batch // 2, SMALLEST_BATCH)
        halved = fact("batch_halved", what=what, place=place, batch=batch, **self._halved(half))
        self.journal.incident("out_of_memory", halved, batch_before=batch, batch_after=half, error=str(reason))
        self.console.log(str(halved))
        return halved

    def assess_last_attempt(self) -> None:
        """Before a training: halve the batch when the kernel killed the attempt before because memory ran out.

        Raises:
            EvoError: it did so at the smallest batch.
        """
        running = self.journal.run.pop("running", None)
        if running is None:
            return
        self.journal.save()  # whatever comes now, this death has been assessed
        evidence = killed_since(running["oom_kills"], oom_kills())
        if evidence is None:
            return
        batch, what, place = running["batch"], fact("training_killed"), fact("in_epoch", epoch=running["epoch"])
        if batch <= SMALLEST_BATCH:
            parts = {"what": what, "place": place, "batch": batch, "reason": evidence}
            self._stop_for_good("out_of_memory", fact("host_memory_exhausted", variant=self.variant, **parts), None)
        self._note_half(batch, what, place, evidence)

    def note_running(self, trainer: VariantTrainer) -> None:
        """Before every epoch: leave what `assess_last_attempt` needs, should the kernel kill this process."""
        self.journal.run["running"] = {
            "epoch": trainer.epoch + 1,
            "batch": trainer.batch_size,
            "oom_kills": oom_kills(),
        }
        self.journal.save()

    def note_end(self) -> None:
        """This process ends in an orderly way: the next one has no death to assess."""
        self.journal.run.pop("running", None)

    def _try_once_more(self, trainer: VariantTrainer, error: NonFiniteError) -> NoReturn:
        """Go back to the last checkpoint once: a fault of the hardware does not repeat, one of the recipe does."""
        epoch = trainer.epoch + 1
        if self.journal.run.get("nonfinite") == epoch:
            again = fact("nonfinite_again", variant=self.variant, epoch=epoch, error=error.found)
            self._stop_for_good("nonfinite", again, error)
        self.journal.run["nonfinite"] = epoch
        self.journal.save()
        source = fact("from_checkpoint", epoch=epoch - 1) if epoch > 1 else fact("from_start")
        retried = fact("nonfinite_retried", epoch=epoch, error=error.found, source=source)
        self.journal.incident("nonfinite", retried, epoch=epoch)
        self.console.log(str(retried))
        raise RestartRequired(str(retried)) from error

    def _stop_for_good(self, kind: str, stop: Fact, error: Exception | None) -> NoReturn:
        """Stop, and let the retries of this job stop at once: each would train for hours to the same end."""
        self.journal.incident(kind, stop)
        self.journal.stop(stop)
        raise EvoError(str(stop)) from error

    def require_same_images(self, trainer: VariantTrainer) -> None:
        """Refuse to go on with a dataset that lost files since the run began: Ultralytics leaves out what is gone."""
        found = {}
        for split, loader in (("train", trainer.train_loader), ("val", trainer.test_loader)):
            objects = sum(len(label["cls"]) for label in loader.dataset.labels)
            found[split] = {"images": loader.dataset.ni, "objects": objects}
        known = self.journal.run.get("images")
        if not known or not all(isinstance(content, dict) for content in known.values()):
            known = self.journal.run["images"] = found  # none, or of version 0.1.0, which noted a sentence
        self.journal.save()
        for split, content in found.items():
            if content != known[split]:
                now, before = (fact("images_and_objects", **counts) for counts in (content, known[split]))
                changed = fact("dataset_changed", split=split, now=now, before=before)
                self.journal.incident("missing_file", changed)
                raise EvoError(
                    str(changed),
                    where=self.session.layout.dataset_yaml,
                    hint="put the missing files back, then run the same command again",
                )

    def end_stalled(self, trainer: VariantTrainer) -> NoReturn:
        """End a training that hangs; called from the thread of the watchdog."""
        print_stacks()
        stalled = fact("loader_stalled", minutes=round(STALL_SECONDS / 60), place=trainer.place)
        stop = EvoError(
            str(stalled),
            where=self.variant,
            hint="the log of this job shows where it hangs; once the dataset can be read, run the same command again",
        )
        self.journal.incident("stalled", stalled)
        self.console.give_back()
        print(f"error: {stop}", file=sys.stderr, flush=True)
        end_process(stop.exit_code)
