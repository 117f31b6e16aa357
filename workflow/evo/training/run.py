"""One training from start to published weights, across any number of interruptions."""

from __future__ import annotations

import resource
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.session import Session
from ..config.train_arguments import with_defaults
from ..config.variants import Variant
from ..data.source import checked_hashes
from ..errors import DiskFull, EvoError, UserError
from ..files import explain_os_errors, read_json, sha256_file, write_atomically, write_json
from ..host import environment, ultralytics_env
from ..host.console import Console, duration
from ..host.gpu import lease
from ..host.process import StopRequest, exclusive_lock, forks_end_with_this_process
from ..layout import VariantLayout
from ..models.checkpoint_loader import guard_ultralytics, load_checkpoint, load_plain
from ..models.definition import Definition, load_definition
from ..npu.gates import gate, refuse_missed
from ..results.journal import Journal, now
from ..text.misses import missed_gate
from . import disk, tracking
from .checkpoints import DELIVERED, CheckpointStore, Generation
from .heartbeat import Heartbeat
from .recipe import recipe_document, standing_recipe
from .recovery import Recovery
from .watchdog import Watchdog, prepare_stacks

if TYPE_CHECKING:
    from .trainer import VariantTrainer


def train(session: Session, name: str, console: Console, threads: int = 1) -> None:
    """Train the variant ``name`` and publish ``best.pt``, ``last.pt``, ``results.csv`` and ``training.json``.

    A run with the same recipe that was interrupted is continued from its newest undamaged checkpoint; one that was
    finished but not published is published.

    Args:
        session: the session.
        name: the variant.
        console: tells of the progress.
        threads: torch's threads on a CPU. Sums that are split otherwise round otherwise, so that the weights depend on
            it: it follows nothing of the host.

    Raises:
        UserError: a check of this variant has not passed.
        Preempted: a signal asked the run to stop; everything up to the last finished epoch is kept.
        RestartRequired: call again in a new process.
        EvoError: anything else that stops the run, in one line.
    """
    tracking.require_trackers(session.track)
    variant = session.variant(name)
    layout = session.layout.variant(name)
    stop_request = StopRequest()
    forks_end_with_this_process()
    with (
        exclusive_lock(layout.checkpoints / "lock", f"the training of {name}", console.say, heed=stop_request.heed),
        Heartbeat(layout.status, name, console.say) as heartbeat,
        lease(session.train.get("device"), heartbeat.waiting(console.say), stop_request.heed) as gpu,
    ):
        heartbeat.tell("starting")
        ultralytics_env.prepare(layout.checkpoints / "ultralytics")
        guard_ultralytics()
        _Training(session, variant, layout, stop_request, console, gpu, heartbeat, threads).run()


def trainer_arguments(
    session: Session, variant: Variant, *, batch: int, save_dir: Path, leased: bool
) -> dict[str, Any]:
    """Return the arguments of the trainer.

    Args:
        batch: images per batch, which may be fewer than configured.
        save_dir: the trainer's own folder.
        leased: whether a GPU is leased: it is then the only visible one, whatever its configured number.
    """
    chosen = {name: value for name, value in session.train.items() if value is not None}
    if leased:
        chosen.pop("device", None)
    return {
        "plots": False,  # the rule `evaluate` draws
        "verbose": False,
        **chosen,
        "batch": batch,
        "task": "detect",
        "model": str(variant.yaml),
        "data": str(session.layout.dataset_yaml.resolve()),
        "save_dir": str(save_dir.resolve()),
        "exist_ok": True,
    }


class _Training:
    def __init__(
        self,
        session: Session,
        variant: Variant,
        layout: VariantLayout,
        stop_request: StopRequest,
        console: Console,
        gpu: str | None,
        heartbeat: Heartbeat,
        threads: int,
    ):
        self.gpu, self.heartbeat, self.threads = gpu, heartbeat, threads
        self.session, self.variant, self.layout = session, variant, layout
        self.stop_request, self.console = stop_request, console
        self.definition: Definition = load_definition(variant.yaml)
        fingerprint = read_json(session.layout.fingerprint, "fingerprint")
        self.nc = len(fingerprint["names"])
        self.document = recipe_document(session, variant, checked_hashes(session).training, self.nc)
        self.recipe = standing_recipe(session, variant, self.document)
        self.store = CheckpointStore(layout.checkpoints)
        self._require_checks()
        self.aside, self.returned = self._take_place()
        self.journal = Journal(layout.checkpoints)
        self.recovery = Recovery(session, variant.name, self.journal, console)
        self.parameters = 0  # of the network, until it is built

    def run(self) -> None:
        if self.returned is not None:
            self.journal.pardon()  # it stopped under another configuration than the one before this
        if reason := self.journal.stopped(self.recipe):
            raise EvoError(reason)
        (self.layout.checkpoints / DELIVERED).unlink(missing_ok=True)
        again = self.journal.start_attempt(self.recipe, self.session.train["batch"])
        if not again:
            self.recovery.heed_memory_check(self.layout.memory, self.recipe)
        self.heartbeat.tell("starting", attempt=self.journal.run["attempts"])
        if self.returned is not None:
            self._incident(
                "recipe", f"the recipe is an earlier one again: its checkpoints are back from {self.returned}"
            )
        elif self.aside is not None:
            self._incident("recipe", f"the recipe changed: trained afresh, earlier checkpoints are in {self.aside}")
        if not again and not with_defaults(dict(self.session.train))["deterministic"]:
            self._incident(
                "inexact", "train.deterministic is false: the same training again need not give the same bits"
            )
        generation = self.store.newest(self.recipe, self._damaged)
        epochs = self.session.train["epochs"]
        if generation is None:
            note = "again from the start: no checkpoint of the earlier attempt is usable" if again else "from scratch"
            self.console.say(f"training {epochs} epochs {note}")
            if again:
                self._incident("restart", "an earlier attempt ended before its first checkpoint; started again")
        elif generation.finished:
            self.console.say(f"already trained by this recipe ({generation.epoch} epochs): publishing the weights")
        else:
            message = f"resumed from the checkpoint of epoch {generation.epoch} of {epochs}"
            self.console.say(message)
            self._incident("resume", message, epoch=generation.epoch)
        try:
            if generation is None or not generation.finished:
                generation = self._train(generation)
            self.heartbeat.tell("publishing")
            self._publish(generation)
        except DiskFull as full:
            finished = generation is not None and generation.finished
            need = disk.predict(self.parameters, self.store, finished=finished)
            raise disk.with_shortage(full, need, self.layout.checkpoints) from full

    def _take_place(self) -> tuple[Path | None, Path | None]:
        """Set aside what is of another recipe, and bring back what was set aside of this one.

        Returns:
            Where the former lies now, and where the latter lay.
        """
        self.store.sweep()
        journal = Journal(self.layout.checkpoints).run.get("recipe")
        with explain_os_errors(self.layout.checkpoints, "moving checkpoints"):
            return self.store.set_aside(self.recipe, journal), self.store.take_back(self.recipe)

    def _require_checks(self) -> None:
        """Refuse a network whose checks have not passed, also when this script is called by hand."""
        model = self._check(self.layout.model, "model", "validate_model")
        if model["fingerprint"] != self.document["model"]:
            raise UserError(
                "the model file changed after it was checked", where=self.variant.yaml, hint="run validate_model again"
            )
        self._check(self.layout.activations, "activations", "verify_activations")
        verdict = gate(self.variant, self.session.npu, self._check(self.layout.npu_check, "npu", "preflight_npu"))
        for missed in verdict["missed"]:
            self.console.say(f"gate missed: {missed_gate(missed)}")
        refuse_missed(self.variant, verdict)

    def _check(self, path: Path, schema: str, rule: str) -> dict[str, Any]:
        """Return the document that a check has left."""
        if not path.is_file():
            raise UserError(
                f"{rule} has not passed for this variant", where=path.resolve(), hint=f"run `snakemake {path}` first"
            )
        return read_json(path, schema)

    def _incident(self, kind: str, message: str, **details: Any) -> None:
        self.journal.incident(kind, message, **details)

    def _damaged(self, folder: Path, reason: str) -> None:
        message = f"checkpoint {folder.name} is unusable ({reason}): the one before it is used"
        self.console.say(message)
        self._incident("damaged_checkpoint", message)

    def _train(self, generation: Generation | None) -> Generation:
        if generation is None:
            tracking.forget(self.layout.checkpoints / "work")
        run = self.variant.name + (f" attempt {attempt}" if (attempt := self.journal.run["attempts"]) > 1 else "")
        with tracking.following(self.session, run, self.console.say):
            return self._train_tracked(generation)

    def _train_tracked(self, generation: Generation | None) -> Generation:
        from .trainer import VariantTrainer

        ultralytics_env.use_threads(self.threads if self.gpu is None else 1)
        self.recovery.look_back()
        trainer = VariantTrainer(
            trainer_arguments(
                self.session,
                self.variant,
                batch=self.journal.run["batch"],
                save_dir=self.layout.checkpoints / "work",
                leased=self.gpu is not None,
            ),
            definition=self.definition,
            store=self.store,
            recipe=self.recipe,
            generation=generation,
            batch=self.session.train["batch"],
            stop_request=self.stop_request,
            say=self.console.say,
            note=self._incident,
        )
        trainer.add_callback("on_train_epoch_start", self.recovery.note_running)
        trainer.add_callback("on_pretrain_routine_end", self.recovery.require_same_images)
        trainer.add_callback("on_pretrain_routine_end", self._require_disk)
        self.heartbeat.attach(trainer)
        prepare_stacks()
        try:
            with (
                explain_os_errors(self.layout.checkpoints, "training"),
                Watchdog(lambda: self.recovery.end_stalled(trainer)) as watchdog,
            ):
                watchdog.attach(trainer)
                trainer.train()
        except Exception as error:
            self.recovery.handle(trainer, error)
            raise
        finally:
            self.recovery.note_end()
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            self.journal.run["ram_mib"] = round(max(used, self.journal.run.get("ram_mib", 0.0)), 1)
            self.journal.save()
        finished = self.store.newest(self.recipe, self._damaged)
        if finished is None or not finished.finished:
            raise EvoError("the training ended without its last checkpoint", where=self.layout.checkpoints)
        return finished

    def _require_disk(self, trainer: VariantTrainer) -> None:
        """Refuse to start or to continue what the disk has no room for."""
        self.parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        disk.require(disk.predict(self.parameters, self.store), self.layout.checkpoints)

    def _publish(self, generation: Generation) -> None:
        """Put the finished weights where the rules look for them; ``training.json`` comes last."""
        from ..models import activations
        from .trainer import STATE, strip

        state = load_plain(generation.folder / STATE, ("transfer", "history", "peak_gpu_mib"))
        best, last = (load_checkpoint(generation.folder / f"{name}.pt", ["epoch"]) for name in ("best", "last"))
        staged = self.layout.checkpoints / "publish"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        with explain_os_errors(self.layout.train, "publishing the weights"):
            strip(generation.folder / "best.pt", staged / "best.pt", {"train_results": last.get("train_results")})
            strip(generation.folder / "last.pt", staged / "last.pt")
            proof = activations.verify_checkpoint(staged / "best.pt", self.definition, self.nc)
            weights = {name: sha256_file(staged / f"{name}.pt") for name in ("best", "last")}
            for name in ("best.pt", "last.pt"):
                (staged / name).replace(self.layout.train / name)
            write_atomically(self.layout.results_csv, (generation.folder / "results.csv").read_bytes())
        pretrained = self.session.train["pretrained"]
        finished = now()
        write_json(
            self.layout.training,
            "training",
            {
                "variant": self.variant.name,
                "recipe": self.recipe,
                "arguments": {**with_defaults(dict(self.session.train)), "batch": generation.batch},
                "model_fingerprint": self.document["model"],
                "data_hash": self.document["data"],
                "conditions": state["conditions"],
                "weights": weights,
                "pretrained": {
                    "path": str(pretrained),
                    "sha256": self.document["pretrained"],
                    "matched": state["transfer"][0],
                    "total": state["transfer"][1],
                }
                if pretrained
                else None,
                "epochs": state["history"],
                "best_epoch": best["epoch"] + 1,
                "started": self.journal.run["started"],
                "finished": finished,
                "seconds": _between(self.journal.run["started"], finished),
                "attempts": self.journal.run["attempts"],
                "precision": state["conditions"].get("precision"),
                "peak_memory": {"gpu_mib": state["peak_gpu_mib"], "ram_mib": self.journal.run.get("ram_mib", 0.0)},
                "incidents": self.journal.incidents(),
                "activations": {"verified": proof["verified"], "found": proof["found"]},
                "environment": self._environment(),
            },
        )
        shutil.rmtree(staged)
        trained = sum(entry["seconds"] for entry in state["history"])
        self.console.say(
            f"done: {generation.epoch} epochs, {duration(trained)} of training, best epoch {best['epoch'] + 1}"
        )

    def _environment(self) -> dict[str, Any]:
        import torch

        cuda = torch.cuda.is_available() and str(self.session.train.get("device")) != "cpu"
        return {
            "versions": environment.versions(),
            "git": environment.git_state(),
            "device": torch.cuda.get_device_name(0) if cuda else environment.cpu_name(),
            "torch_threads": torch.get_num_threads(),
        }


def _between(start: str, end: str) -> float:
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
