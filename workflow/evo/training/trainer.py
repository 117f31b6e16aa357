"""The trainer of a variant: checkpoints, exact continuation, finite values and a clean stop.

Import it only after `workflow.evo.host.ultralytics_env.prepare`.
"""

from __future__ import annotations

import io
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ultralytics.utils.torch_utils import unwrap_model

from ..errors import Preempted
from ..host.process import StopRequest
from ..models.checkpoint_loader import load_plain
from ..models.definition import Definition
from ..text.facts import Fact, fact
from . import precision
from .accumulation import Accumulation, pending_gradients, rescaling, restore_gradients
from .checkpoints import STATE, Checkpoint, CheckpointStore
from .determinism import Conditions, begin_epoch
from .network_trainer import NetworkTrainer
from .nonfinite import LOWEST_SCALE, NonFiniteError, bad_losses, bad_tensors, no_step_succeeded


class VariantTrainer(NetworkTrainer):
    """Trains one variant.

    It differs from its base class in five places: checkpoints go to a `CheckpointStore`; training continues from the
    newest one without Ultralytics' own `resume`, which cannot tell one run from another; every epoch starts from a
    state that follows from the run's seed and its number, and gradients that wait for a step are kept, so that what is
    continued ends as if it had never been interrupted; a stop request ends it between two batches; non-finite values
    are raised, which Ultralytics rolls back silently.

    Args:
        batch: the configured images per batch, of which ``overrides`` may hold a fraction after an out-of-memory.
        log: gets lines for a terminal.
        note: gets the kind of an incident and what happened.
    """

    last: Path
    best: Path
    wdir: Path
    accumulate: int

    def __init__(
        self,
        overrides: dict[str, Any],
        *,
        definition: Definition,
        store: CheckpointStore,
        recipe: str,
        checkpoint: Checkpoint | None,
        batch: int,
        stop_request: StopRequest,
        log: Callable[[str], None],
        note: Callable[[str, Fact], None],
    ):
        self.store, self.recipe, self.checkpoint = store, recipe, checkpoint
        self.configured_batch = batch
        self.stop_request, self.note = stop_request, note
        self.history: list[dict[str, Any]] = []
        self.peak_gpu_mib: float | None = None
        self.accumulation: Accumulation
        self.batch_index = -1  # within the epoch
        self.validating = False
        self._restored_gradients: dict[str, torch.Tensor] = {}
        self._gradient_factor = 1.0
        self._steps, self._scale = 0, 1.0  # of the optimizer in this epoch; of the loss before it
        super().__init__(overrides, definition=definition, log=log)
        for event in ("on_train_batch_end", "on_val_batch_end"):
            self.add_callback(event, lambda _: self._stop_if_requested())
        self.add_callback("on_train_epoch_start", VariantTrainer._epoch_start)
        self.add_callback(
            "on_train_batch_start", lambda trainer: setattr(trainer, "batch_index", trainer.batch_index + 1)
        )
        self.add_callback("on_train_epoch_end", VariantTrainer._epoch_trained)

    @property
    def place(self) -> Fact:
        """Where the training is."""
        done = self.checkpoint.epoch if self.checkpoint else 0
        epoch = getattr(self, "epoch", done) + 1
        return fact("in_validation" if self.validating else "in_epoch", epoch=epoch)

    # Checkpoints -------------------------------------------------------------------------------------------------

    def save_model(self) -> bool:
        """Commit the state after an epoch as a new checkpoint."""
        self.history.append(
            {
                "epoch": self.epoch + 1,
                "seconds": round(time.time() - self.epoch_time_start, 3),
                "batch": self.batch_size,
            }
        )
        with self.store.writing(self.recipe, self.epoch + 1, finished=bool(self.stop), batch=self.batch_size) as draft:
            last, best, wdir = self.last, self.best, self.wdir
            self.last, self.best, self.wdir = draft / "last.pt", draft / "best.pt", draft
            try:
                super().save_model()
            finally:
                self.last, self.best, self.wdir = last, best, wdir
            if (draft / "best.pt").exists():
                shutil.copyfile(draft / "best.pt", self.best)
            else:
                shutil.copyfile(self.best, draft / "best.pt")
            shutil.copyfile(self.csv, draft / "results.csv")
            # torch.save to a path answers a full disk with a RuntimeError of its archive writer, without the cause
            buffer = io.BytesIO()
            torch.save(self._state(), buffer)
            (draft / STATE).write_bytes(buffer.getbuffer())
        shutil.copyfile(self.store.folder / f"epoch{self.epoch + 1:05d}" / "last.pt", self.last)
        return True

    def _state(self) -> dict[str, Any]:
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) / 2**20
            self.peak_gpu_mib = max(self.peak_gpu_mib or 0.0, peak)
        return {
            "model": unwrap_model(self.model).state_dict(),
            "ema": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "gradients": pending_gradients(unwrap_model(self.model)),
            "last_step": self.accumulation.last_step,
            "batches": len(self.train_loader),
            "conditions": self._conditions().document(),
            "epoch": self.epoch,
            "best_fitness": _plain(self.best_fitness),
            "fitness": _plain(self.fitness),
            "metrics": {name: _plain(value) for name, value in self.metrics.items()},
            "stopper": {name: _plain(value) for name, value in vars(self.stopper).items()},
            "elapsed": time.time() - self.train_time_start,
            "history": self.history,
            "transfer": self.transfer,
            "peak_gpu_mib": self.peak_gpu_mib,
        }

    def resume_training(self, ckpt: Any) -> None:
        """Continue from the newest checkpoint, if there is one; called by the base class once everything is built."""
        if self.precision_fault:
            off = fact("precision_off", reason=self.precision_fault)
            self.log(str(off))
            if self.checkpoint is None:  # later attempts tell of what is different from the checkpoint
                self.note("precision", off)
        if self.checkpoint is None:
            return
        folder = self.checkpoint.folder
        # On the CPU: a GPU that had just enough memory for the training has none for a second copy of everything.
        state = load_plain(folder / STATE)
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        # Of this process, not of the checkpoint: the weight decay goes with the batch size, which an out-of-memory may
        # have halved, and whether Adam is fused with the device.
        kept = ("weight_decay", "fused")
        own = [{key: group[key] for key in kept if key in group} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, values in zip(self.optimizer.param_groups, own, strict=True):
            group.update(values)
        if state["scaler"]:  # empty when it was off, as on a CPU
            self.scaler.load_state_dict(state["scaler"])
        self.best_fitness, self.fitness, self.metrics = state["best_fitness"], state["fitness"], state["metrics"]
        self.stopper.__dict__.update(state["stopper"])
        self.start_epoch = state["epoch"] + 1
        self._resume_accumulation(state)
        self._resume_loss_schedule()
        if differences := self._conditions().differences(state["conditions"]):
            inexact = fact("conditions_differ", epoch=self.start_epoch, differences=differences)
            self.log(str(inexact))
            self.note("inexact", inexact)
        self.history = list(state["history"])
        self.transfer = tuple(state["transfer"]) if state["transfer"] else None
        self.peak_gpu_mib = state["peak_gpu_mib"]
        for name, target in (("last.pt", self.last), ("best.pt", self.best), ("results.csv", self.csv)):
            shutil.copyfile(folder / name, target)
        elapsed = state["elapsed"]
        self.add_callback("on_train_start", lambda t: setattr(t, "train_time_start", t.train_time_start - elapsed))

    def _resume_accumulation(self, state: dict[str, Any]) -> None:
        batches = len(self.train_loader)
        if state["batches"] == batches:
            self.accumulation.last_step = state["last_step"]
            self._restored_gradients = {name: grad.to(self.device) for name, grad in state["gradients"].items()}
            self._gradient_factor = rescaling(state["scaler"], self.scaler.get_scale())
        else:  # another batch size: batches are numbered anew, and waiting gradients belong to another step
            self.accumulation.last_step = self.start_epoch * batches - 1

    def _resume_loss_schedule(self) -> None:
        """Set the weights of an end-to-end loss, which shift with every epoch, as the base class does on its resume."""
        model = unwrap_model(self.model)
        if getattr(model.model[-1], "one2one_cv2", None) is not None:
            model.criterion = model.init_criterion()
            model.criterion.updates = self.start_epoch - 1
            model.criterion.update()

    def _conditions(self) -> Conditions:
        arithmetic = precision.effective(self.args.amp, self.amp)
        return Conditions.of(self.train_loader, self.batch_size, self.device, arithmetic)

    # Exactness ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _epoch_start(trainer: VariantTrainer) -> None:
        begin_epoch(trainer.train_loader, trainer.args.seed, trainer.epoch)
        trainer.batch_index, trainer.validating = -1, False
        if trainer._restored_gradients:  # not before: the training loop clears all gradients when it starts
            restore_gradients(unwrap_model(trainer.model), trainer._restored_gradients, trainer._gradient_factor)
            trainer._restored_gradients = {}
        trainer._steps, trainer._scale = 0, trainer.scaler.get_scale()

    def _build_train_pipeline(self) -> None:
        super()._build_train_pipeline()
        self.accumulation = Accumulation(self.accumulate, self._get_warmup_iterations(len(self.train_loader)))
        self.accumulate = 1  # so that the training loop calls optimizer_step after every batch

    def optimizer_step(self) -> None:
        """Step when enough batches have come together."""
        if self.accumulation.step_due(self.batch_index + len(self.train_loader) * self.epoch):
            super().optimizer_step()
            self._steps += 1

    def build_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Let ``optimizer: auto`` choose by the configured batch size, so that a halved one changes no optimizer."""
        steps = math.ceil(len(self.train_loader.dataset) / max(self.configured_batch, self.args.nbs))
        return super().build_optimizer(*args, **{**kwargs, "iterations": steps * self.epochs})

    # Finite values ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _epoch_trained(trainer: VariantTrainer) -> None:
        """Check the losses and weights of an epoch, before its validation.

        Raises:
            NonFiniteError: weights are lost, or will be with the next step.
        """
        networks = (("network_nonfinite", unwrap_model(trainer.model)), ("average_nonfinite", trainer.ema.ema))
        for code, model in networks:
            if names := bad_tensors(model):
                raise NonFiniteError(fact(code, number=len(names), first=names[0]))
        if losses := bad_losses(trainer.tloss):
            loss = fact("loss_nonfinite", losses=losses, place=trainer.place)
            if not trainer.scaler.is_enabled():
                raise NonFiniteError(loss)
            if trainer._every_step_skipped():
                raise NonFiniteError(fact("every_step_skipped", loss=loss))
            trainer.note("bad_batch", fact("step_skipped", loss=loss))
        if (scale := trainer.scaler.get_scale()) < LOWEST_SCALE:
            raise NonFiniteError(fact("loss_scale_collapsed", value=scale, place=trainer.place))
        trainer.validating = True

    def _every_step_skipped(self) -> bool:
        now, backoff = self.scaler.get_scale(), self.scaler.get_backoff_factor()
        return no_step_succeeded(self._scale, now, backoff, self._steps)

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Raise where the base class would roll back."""
        if self.fitness is not None and not math.isfinite(self.fitness):
            raise NonFiniteError(fact("fitness_nonfinite", value=f"{self.fitness:g}"))
        return False

    # Stops -------------------------------------------------------------------------------------------------------

    def _stop_if_requested(self) -> None:
        if self.stop_request.signal is not None:
            kept = self.epoch if self.epoch > self.start_epoch or self.checkpoint else 0
            raise Preempted(
                f"stopped by {self.stop_request.signal.name} in epoch {self.epoch + 1} of {self.epochs}; "
                f"{kept} finished epochs are kept",
                where=self.definition.path.name,
                hint="run the same command again to continue",
            )


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python number it is: the restricted loader knows no NumPy."""
    return value.item() if hasattr(value, "item") else value
