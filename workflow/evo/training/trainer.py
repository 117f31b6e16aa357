"""Ultralytics' detection trainer, with the variant's network, generations of checkpoints and a clean stop.

Import it only after `workflow.evo.ultralytics_env.prepare`.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unwrap_model

from ..errors import Preempted
from ..models import activations, build
from ..models.definition import Definition
from ..models.transfer import transfer
from .checkpoints import CheckpointStore, Generation
from .console import duration
from .process import StopRequest

STATE = "state.pt"
PROGRESS_SECONDS = 30.0
LIBRARY_OOM_RETRIES = 3  # the trainer gives up when its counter is here (engine/trainer.py)


class VariantTrainer(DetectionTrainer):
    """Trains one variant.

    It differs from its base class in five places: the network is built from the checked definition and its activation
    scope applied; a checkpoint is a generation in a `CheckpointStore`; training continues from the newest one without
    Ultralytics' own `resume`, which cannot tell one run from another; a stop request ends it between two batches; and
    an out-of-memory is always raised, since the caller owns the policy.
    """

    def __init__(
        self,
        overrides: dict[str, Any],
        *,
        definition: Definition,
        store: CheckpointStore,
        recipe: str,
        generation: Generation | None,
        stop_request: StopRequest,
        say: Callable[[str], None],
    ):
        self.definition, self.store, self.recipe, self.generation = definition, store, recipe, generation
        self.stop_request, self.say = stop_request, say
        self.transfer: tuple[int, int] | None = None  # (matched, total) tensors of pretrained weights
        self.history: list[dict[str, Any]] = []
        self.peak_gpu_mib: float | None = None
        self._spoke = time.monotonic()
        super().__init__(overrides=overrides)
        for event in ("on_train_batch_end", "on_val_batch_end"):
            self.add_callback(event, lambda _: self._heed_stop())
        self.add_callback("on_train_epoch_start", VariantTrainer._epoch_start)
        self.add_callback("on_train_batch_start", lambda trainer: setattr(trainer, "_batch", trainer._batch + 1))
        self.add_callback("on_train_batch_end", VariantTrainer._tell_batch)
        self.add_callback("on_fit_epoch_end", VariantTrainer._tell_epoch)

    # The network -------------------------------------------------------------------------------------------------

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> torch.nn.Module:
        """Build the variant from its checked definition (``cfg`` is the same file) and transfer ``weights``."""
        model = build.build(self.definition, self.data["nc"], self.data["channels"])
        self.set_model_names_for_load(model)
        if weights is not None:
            self.transfer = transfer(model, weights)
            self.say(f"pretrained weights: {self.transfer[0]} of {self.transfer[1]} tensors matched")
        activations.verify(model, self.definition, self.data["nc"])
        return model

    # Checkpoints -------------------------------------------------------------------------------------------------

    def save_model(self) -> bool:
        """Commit the state after an epoch as a new generation."""
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
            "epoch": self.epoch,
            "best_fitness": _plain(self.best_fitness),
            "stopper": {name: _plain(value) for name, value in vars(self.stopper).items()},
            "elapsed": time.time() - self.train_time_start,
            "history": self.history,
            "transfer": self.transfer,
            "peak_gpu_mib": self.peak_gpu_mib,
        }

    def resume_training(self, ckpt: Any) -> None:
        """Continue from the newest generation, if there is one; called by the base class once everything is built."""
        if self.generation is None:
            return
        folder = self.generation.folder
        state = torch.load(folder / STATE, map_location=self.device, weights_only=True)
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["updates"]
        decays = [group["weight_decay"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, decay in zip(self.optimizer.param_groups, decays, strict=True):
            group["weight_decay"] = decay  # computed for this batch size, which an out-of-memory may have halved
        self.scaler.load_state_dict(state["scaler"])
        self.best_fitness = state["best_fitness"]
        vars(self.stopper).update(state["stopper"])
        self.start_epoch = state["epoch"] + 1
        self.history = list(state["history"])
        self.transfer = tuple(state["transfer"]) if state["transfer"] else None
        self.peak_gpu_mib = state["peak_gpu_mib"]
        for name, target in (("last.pt", self.last), ("best.pt", self.best), ("results.csv", self.csv)):
            shutil.copyfile(folder / name, target)
        elapsed = state["elapsed"]
        self.add_callback("on_train_start", lambda t: setattr(t, "train_time_start", t.train_time_start - elapsed))

    def final_eval(self) -> None:
        """Leave the weights as they are: the rule `evaluate` measures them, and the caller strips and publishes."""

    # Stops, memory, progress -------------------------------------------------------------------------------------

    def _heed_stop(self) -> None:
        if self.stop_request.signal is not None:
            kept = self.epoch if self.epoch > self.start_epoch or self.generation else 0
            raise Preempted(
                f"stopped by {self.stop_request.signal.name} in epoch {self.epoch + 1} of {self.epochs}; "
                f"{kept} finished epochs are kept",
                where=self.definition.path.name,
                hint="run the same command again to continue",
            )

    @staticmethod
    def _epoch_start(trainer: VariantTrainer) -> None:
        trainer._batch = 0
        trainer._oom_retries = LIBRARY_OOM_RETRIES  # raise instead of halving in place: one owner of the policy

    def _eta(self, done: float) -> str:
        """Remaining time by the mean of the last five epochs; ``done`` is the number of finished epochs."""
        recent = [entry["seconds"] for entry in self.history[-5:]]
        return duration((self.epochs - done) * sum(recent) / len(recent)) if recent else "after the first epoch"

    def _memory(self) -> str:
        return f"{self._get_memory():.1f} GiB GPU" if self.device.type == "cuda" else self.device.type.upper()

    @staticmethod
    def _tell_batch(trainer: VariantTrainer) -> None:
        if time.monotonic() - trainer._spoke >= PROGRESS_SECONDS:
            total = len(trainer.train_loader)
            trainer._speak(
                f"epoch {trainer.epoch + 1}/{trainer.epochs} batch {trainer._batch}/{total}",
                trainer.epoch + trainer._batch / total,
            )

    @staticmethod
    def _tell_epoch(trainer: VariantTrainer) -> None:
        trainer._speak(f"epoch {trainer.epoch + 1}/{trainer.epochs}", trainer.epoch + 1, trainer.metrics)

    def _speak(self, where: str, done: float, metrics: dict[str, float] | None = None) -> None:
        self._spoke = time.monotonic()
        parts = [where, *(f"{name.removesuffix('_loss')} {float(value):.3f}" for name, value in self.tloss.items())]
        if metrics:
            parts += [
                f"map50 {metrics['metrics/mAP50(B)']:.3f}",
                f"map50_95 {metrics['metrics/mAP50-95(B)']:.3f}",
                f"{self.history[-1]['seconds']:.1f} s",
            ]
        self.say("  ".join([*parts, self._memory(), f"ETA {self._eta(done)}"]))


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as the Python number it is: the restricted loader knows no NumPy."""
    return value.item() if hasattr(value, "item") else value


def strip(source: Path, target: Path, updates: dict[str, Any] | None = None) -> None:
    """Write the deployable form of a checkpoint: EMA weights in half precision, no optimizer, atomically.

    Args:
        updates: entries of the checkpoint to replace.
    """
    from ultralytics.utils.torch_utils import strip_optimizer

    draft = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(source, draft)
    strip_optimizer(draft, updates=updates)
    with draft.open("rb+") as stream:
        os.fsync(stream.fileno())
    draft.replace(target)
