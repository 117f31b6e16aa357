"""One training from start to published weights, across any number of interruptions."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.session import Session
from ..config.train_arguments import with_defaults
from ..config.variants import Variant
from ..data.source import checked_hashes
from ..errors import DiskFull, EvoError, UserError
from ..files import explain_os_errors, read_json
from ..host import ultralytics_env
from ..host.console import Console, duration
from ..host.gpu import lease
from ..host.process import StopRequest, exclusive_lock, forks_end_with_this_process
from ..layout import VariantLayout
from ..models.checkpoint_loader import guard_ultralytics
from ..models.definition import Definition, load_definition
from ..npu.gates import gate, refuse_missed
from ..results.journal import Journal
from ..text.facts import Fact, fact
from ..text.misses import missed_gate
from . import disk, tracking
from .checkpoints import DELIVERED, Checkpoint, CheckpointStore
from .progress import Progress
from .publish import publish
from .recipe import recipe_document, standing_recipe
from .recovery import Recovery
from .status_writer import StatusWriter
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
        exclusive_lock(
            layout.checkpoints / "lock", f"the training of {name}", console.log, check_stop=stop_request.check
        ),
        StatusWriter(layout.status, name, console.log) as status,
        lease(session.train.device, status.waiting(console.log), stop_request.check) as gpu,
    ):
        status.note("starting")
        ultralytics_env.prepare(layout.checkpoints / "ultralytics")
        guard_ultralytics()
        _Training(session, variant, layout, stop_request, console, gpu, status, threads).run()


def trainer_arguments(
    session: Session, variant: Variant, *, batch: int, save_dir: Path, leased: bool
) -> dict[str, Any]:
    """Return the arguments of the trainer.

    Args:
        batch: images per batch, which may be fewer than configured.
        save_dir: the trainer's own folder.
        leased: whether a GPU is leased: it is then the only visible one, whatever its configured number.
    """
    chosen = {name: value for name, value in session.training_of(variant).arguments.items() if value is not None}
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
        status: StatusWriter,
        threads: int,
    ):
        self.gpu, self.status, self.threads = gpu, status, threads
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
            self.journal.allow_retry()  # it stopped under another configuration than the one before this
        if reason := self.journal.stopped(self.recipe):
            raise EvoError(str(reason))
        (self.layout.checkpoints / DELIVERED).unlink(missing_ok=True)
        again = self.journal.start_attempt(self.recipe, self.session.train.batch)
        if not again:
            self.recovery.apply_memory_check(self.layout.memory, self.recipe)
        self.status.note("starting", attempt=self.journal.run["attempts"])
        if self.returned is not None:
            self.journal.incident("recipe", fact("recipe_returned", folder=str(self.returned)))
        elif self.aside is not None:
            self.journal.incident("recipe", fact("recipe_changed", folder=str(self.aside)))
        if not again and not with_defaults(dict(self.session.train.arguments))["deterministic"]:
            self.journal.incident("inexact", fact("not_deterministic"))
        checkpoint = self.store.newest(self.recipe, self._note_damage)
        epochs = self.session.train.epochs
        if checkpoint is None:
            note = "again from the start: no checkpoint of the earlier attempt is usable" if again else "from scratch"
            self.console.log(f"training {epochs} epochs {note}")
            if again:
                self.journal.incident("restart", fact("restarted"))
        elif checkpoint.finished:
            self.console.log(f"already trained by this recipe ({checkpoint.epoch} epochs): publishing the weights")
        else:
            resumed = fact("resumed", epoch=checkpoint.epoch, epochs=epochs)
            self.console.log(str(resumed))
            self.journal.incident("resume", resumed, epoch=checkpoint.epoch)
        try:
            if checkpoint is None or not checkpoint.finished:
                checkpoint = self._train(checkpoint)
            self.status.note("publishing")
            self._publish(checkpoint)
        except DiskFull as full:
            finished = checkpoint is not None and checkpoint.finished
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
        self._check(self.session.layout.environment, "environment", "check_environment")
        model = self._check(self.layout.model, "model", "validate_model")
        if model["fingerprint"] != self.document["model"]:
            raise UserError(
                "the model file changed after it was checked", where=self.variant.yaml, hint="run validate_model again"
            )
        self._check(self.layout.activations, "activations", "verify_activations")
        verdict = gate(self.variant, self.session.npu, self._check(self.layout.npu_check, "npu", "preflight_npu"))
        for missed in verdict["missed"]:
            self.console.log(f"gate missed: {missed_gate(missed)}")
        refuse_missed(self.variant, verdict)

    def _check(self, path: Path, schema: str, rule: str) -> dict[str, Any]:
        """Return the document that a check has left."""
        if not path.is_file():
            raise UserError(
                f"{rule} has not passed for this variant", where=path.resolve(), hint=f"run `snakemake {path}` first"
            )
        return read_json(path, schema)

    def _note_damage(self, folder: Path, reason: Fact) -> None:
        unusable = fact("checkpoint_unusable", checkpoint=folder.name, reason=reason)
        self.console.log(str(unusable))
        self.journal.incident("damaged_checkpoint", unusable)

    def _train(self, checkpoint: Checkpoint | None) -> Checkpoint:
        if checkpoint is None:
            tracking.forget(self.layout.checkpoints / "work")
        run = self.variant.name + (f" attempt {attempt}" if (attempt := self.journal.run["attempts"]) > 1 else "")
        with tracking.following(self.session, run, self.console.log):
            return self._train_tracked(checkpoint)

    def _train_tracked(self, checkpoint: Checkpoint | None) -> Checkpoint:
        from .trainer import VariantTrainer

        ultralytics_env.use_threads(self.threads if self.gpu is None else 1)
        self.recovery.assess_last_attempt()
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
            checkpoint=checkpoint,
            batch=self.session.train.batch,
            stop_request=self.stop_request,
            log=self.console.log,
            note=self.journal.incident,
        )
        trainer.add_callback("on_train_epoch_start", self.recovery.note_running)
        trainer.add_callback("on_pretrain_routine_end", self.recovery.require_same_images)
        trainer.add_callback("on_pretrain_routine_end", self._require_disk)
        self.status.attach(trainer)
        Progress(self.console.log).attach(trainer)
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
        finished = self.store.newest(self.recipe, self._note_damage)
        if finished is None or not finished.finished:
            raise EvoError("the training ended without its last checkpoint", where=self.layout.checkpoints)
        return finished

    def _require_disk(self, trainer: VariantTrainer) -> None:
        """Refuse to start or to continue what the disk has no room for."""
        self.parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
        disk.require(disk.predict(self.parameters, self.store), self.layout.checkpoints)

    def _publish(self, checkpoint: Checkpoint) -> None:
        training = publish(
            self.session,
            self.variant,
            checkpoint,
            definition=self.definition,
            nc=self.nc,
            recipe=self.recipe,
            document=self.document,
            journal=self.journal,
        )
        trained = duration(sum(epoch["seconds"] for epoch in training["epochs"]))
        self.console.log(f"done: {checkpoint.epoch} epochs, {trained} of training, best epoch {training['best_epoch']}")
