"""What stops a training from inside: memory, numbers, files, a loader that hangs. Nothing is lost, and it is told."""

from __future__ import annotations

import functools
import json
import os
import signal
import time

import pytest

from tests.conftest import error_lines
from tools.faults import AGAIN, EPOCHS, SETUPS, VARIANT, differences, outcome, train_log, uninterrupted
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import sentence

PLAIN, WITH_WORKERS = SETUPS[1], SETUPS[2]


@pytest.fixture
def session(bench):
    session = bench.session(PLAIN)
    bench.clear(session)
    return session


@pytest.fixture(scope="module")
def reference(bench):
    return uninterrupted(bench, bench.session(PLAIN))[0]


def incidents(session, kind):
    journal = Journal(session.layout.variant(VARIANT).checkpoints)
    return [item for item in journal.incidents() if item["kind"] == kind]


def train_on(bench, session, prepare):
    """Train as the workflow's script does: again, as long as it asks for a new process."""
    for _ in range(5):
        code = bench.train(session, prepare)
        if code != AGAIN:
            return code
    raise AssertionError("it starts again for ever")


def log(session):
    return train_log(session).read_text()


def errors(session):
    return error_lines(log(session))


def in_epoch(number, act, name="preprocess_batch"):
    """Return what makes a method of the trainer call ``act(trainer, …)`` first, in epochs from ``number`` on."""

    def prepare():
        from workflow.evo.training.trainer import VariantTrainer

        original = getattr(VariantTrainer, name)

        def changed(trainer, *arguments):
            if trainer.epoch + 1 >= number:
                act(trainer, *arguments)
            return original(trainer, *arguments)

        setattr(VariantTrainer, name, changed)

    return prepare


# Memory


def too_large(fits):
    def refuse(trainer, *_):
        if trainer.batch_size > fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    return refuse


@pytest.mark.parametrize(
    ("epoch", "method", "place"),
    [
        (1, "preprocess_batch", "epoch 1"),
        (3, "preprocess_batch", "epoch 3"),
        (3, "validate", "the validation of epoch 3"),
    ],
)
def test_memory_that_runs_out_halves_the_batch_and_every_epoch_is_trained(bench, session, epoch, method, place):
    assert train_on(bench, session, in_epoch(epoch, too_large(2), method)) == 0
    (halved,) = incidents(session, "out_of_memory")
    assert sentence(halved) == (
        f"out of memory in {place} at batch 4: continued at batch 2, nominal batch size 20 kept (accumulation 10)"
    )
    training = json.loads(session.layout.variant(VARIANT).training.read_text())
    assert [entry["batch"] for entry in training["epochs"]] == [4] * (epoch - 1) + [2] * (EPOCHS - epoch + 1)
    inexact = incidents(session, "inexact")
    assert len(inexact) == (epoch > 1)
    assert all("batch 2 instead of 4" in sentence(item) for item in inexact)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_scheduler_that_asks_stops_with_75_and_changes_no_bit(bench, session, reference, number):
    assert bench.train(session, in_epoch(3, lambda _: os.kill(os.getpid(), number), "save_model")) == 75
    assert f"stopped by {number.name} in epoch" in errors(session)[-1]
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


def test_a_second_ctrl_c_while_a_checkpoint_is_written_changes_no_bit(bench, session, reference):
    def twice(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    assert bench.train(session, in_epoch(3, twice, "_state")) == -signal.SIGINT
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


def test_a_kernel_that_kills_for_want_of_memory_halves_the_batch(bench, session):
    def killed(count):
        def prepare():
            from workflow.evo.training import recovery

            recovery.oom_kills = lambda: {"/group": count}

        return prepare

    def die_in_epoch_3():
        killed(0)()
        in_epoch(3, lambda *_: os.kill(os.getpid(), signal.SIGKILL))()

    assert bench.train(session, die_in_epoch_3) == -signal.SIGKILL
    assert bench.train(session, killed(1)) == 0
    (halved,) = incidents(session, "out_of_memory")
    assert "the kernel killed the training because it was out of memory in epoch 3 at batch 4" in sentence(halved)
    training = json.loads(session.layout.variant(VARIANT).training.read_text())
    assert [entry["batch"] for entry in training["epochs"]] == [4] * 2 + [2] * 4


def test_a_kill_by_a_person_changes_no_bit(bench, session, reference):
    die = in_epoch(3, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert bench.train(session, die) == -signal.SIGKILL
    assert bench.train(session) == 0
    assert incidents(session, "out_of_memory") == []
    assert differences(reference, outcome(session)) == []


@pytest.mark.parametrize("by_the_kernel", [True, False], ids=["by the kernel", "by a person"])
def test_a_data_loader_process_that_is_killed_halves_the_batch_only_when_the_kernel_says_so(bench, by_the_kernel):
    session = bench.session(WITH_WORKERS)
    bench.clear(session)

    def kill_worker(trainer, *_):
        if trainer.batch_size > 2:
            worker = trainer.train_loader.iterator._workers[0].pid
            os.kill(worker, signal.SIGKILL)
            os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)  # torch's handler of SIGCHLD looks at it, and raises

    def prepare():
        from workflow.evo.training import recovery

        counts = iter([0, 0, 0, int(by_the_kernel)])  # before each epoch, and after the kill
        recovery.oom_kills = lambda: {"/group": next(counts, int(by_the_kernel))}
        in_epoch(3, kill_worker)()

    if not by_the_kernel:
        assert bench.train(session, prepare) == 1
        (killed,) = incidents(session, "loader_killed")
        assert sentence(killed) == ("a data loader process was killed in epoch 3, and not by the kernel")
        assert "run the same command again to continue" in errors(session)[-1]
        assert incidents(session, "out_of_memory") == []
        assert bench.train(session) == 0
        return
    assert train_on(bench, session, prepare) == 0
    (halved,) = incidents(session, "out_of_memory")
    assert "the kernel killed a data loader process because it was out of memory in epoch 3 at batch 4" in sentence(
        halved
    )
    training = json.loads(session.layout.variant(VARIANT).training.read_text())
    assert [entry["batch"] for entry in training["epochs"]] == [4] * 2 + [2] * 4


def test_without_memory_for_one_image_it_stops_for_good(bench, session):
    assert train_on(bench, session, in_epoch(2, too_large(0))) == 1
    assert "out of memory even at batch 1" in errors(session)[-1]
    assert bench.train(session) == 1, "a retry of the job stops at once"
    assert errors(session)[-1] == errors(session)[-2]
    Journal(session.layout.variant(VARIANT).checkpoints).allow_retry()
    assert bench.train(session) == 0, "the command given again tries again"


@pytest.mark.parametrize("batch", [4, 8])
def test_a_halved_batch_above_the_nominal_size_has_the_weight_decay_of_its_own(bench, batch):
    """Ultralytics: weight_decay * batch * accumulate / nbs. With nbs 4: twice as much for batch 8 as for batch 4."""
    session = bench.session(SETUPS[0], batch=8)
    bench.clear(session)
    assert train_on(bench, session, in_epoch(2, too_large(batch))) == 0
    decays = {value for name, value in outcome(session).items() if name.endswith("weight_decay") and value}
    assert decays == {0.0005 * batch / 4}


# Recipes that come and go


def test_going_back_to_an_earlier_recipe_continues_it_and_then_publishes_it(bench, session, reference):
    """Between the two, the other recipe dies before its first epoch, and Snakemake deletes the outputs."""
    layout = session.layout.variant(VARIANT)
    other = bench.session(PLAIN, lr0=0.02)
    assert other.layout == session.layout
    die = functools.partial(in_epoch, act=lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert bench.train(session, die(3)) == -signal.SIGKILL
    assert bench.train(other, die(1)) == -signal.SIGKILL
    assert not list(layout.checkpoints.glob("epoch*")), "set aside"
    assert bench.train(session) == 0
    assert "resumed from the checkpoint of epoch 2" in log(session)
    assert differences(reference, outcome(session)) == []
    (back,) = incidents(session, "recipe")
    assert sentence(back).startswith("the recipe is an earlier one again: its checkpoints are back from ")

    assert bench.train(other, die(1)) == -signal.SIGKILL
    assert Journal(layout.checkpoints).run["attempts"] == 2, "of the other recipe, whose journal came back too"
    for path in (layout.training, layout.best, layout.last, layout.results_csv):
        path.unlink()
    assert bench.train(session) == 0
    assert f"already trained by this recipe ({EPOCHS} epochs): publishing the weights" in log(session)
    assert differences(reference, outcome(session)) == []


# Conditions


def test_another_processor_is_named_as_a_reason_why_the_bits_may_differ(bench, session):
    def another_processor():
        from workflow.evo.training import determinism

        determinism.cpu_name = lambda: "another processor"

    assert bench.train(session, in_epoch(3, lambda *_: os.kill(os.getpid(), signal.SIGKILL))) == -signal.SIGKILL
    assert bench.train(session, another_processor) == 0
    (inexact,) = incidents(session, "inexact")
    assert "continued after epoch 2 under other conditions (device another processor" in sentence(inexact)
    assert "not bit for bit" in sentence(inexact)


def test_mixed_precision_is_checked_here_and_what_was_used_is_a_condition(bench, session):
    def with_autocast_on_the_cpu():
        from ultralytics.engine import trainer

        from workflow.evo.training import precision

        precision.CPU = frozenset()

        def ask_the_network(_model):
            raise PermissionError(13, "the installation is read-only")

        trainer.check_amp = ask_the_network

    die = in_epoch(3, lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    def first():
        with_autocast_on_the_cpu()
        die()

    assert bench.train(session, first) == -signal.SIGKILL
    assert bench.train(session) == 0
    (inexact,) = incidents(session, "inexact")
    assert "(precision fp32 instead of fp16)" in sentence(inexact)
    training = json.loads(session.layout.variant(VARIANT).training.read_text())
    assert training["precision"] == "fp32"


def test_mixed_precision_that_is_not_sound_is_left_out_and_told(bench, session, reference):
    def on_a_defective_gpu():
        from workflow.evo.training import precision

        precision.CPU = frozenset()
        precision.disagreement = lambda *_: float("nan")

    assert bench.train(session, on_a_defective_gpu) == 0
    (told,) = incidents(session, "precision")
    assert sentence(told) == (
        "mixed precision is off (outputs of the network hold NaN or infinity with it): trained in float32"
    )
    assert differences(reference, outcome(session)) == []


def test_operations_that_are_not_deterministic_are_told_and_train_nothing_again(bench):
    session = bench.session(PLAIN, deterministic=False, epochs=1)
    bench.clear(session)
    assert bench.train(session) == 0
    (told,) = incidents(session, "inexact")
    assert sentence(told) == (
        "train.deterministic is false: the same training may end with other bits when it is repeated"
    )
    training = json.loads(session.layout.variant(VARIANT).training.read_text())
    assert training["conditions"]["deterministic"] is False
    assert bench.train(bench.session(PLAIN, epochs=1)) == 0
    assert "already trained by this recipe" in log(session)


# Numbers


def poison(trainer, *_):
    import torch

    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))


def test_numbers_that_stay_bad_are_tried_once_more_and_then_stop(bench, session):
    assert train_on(bench, session, in_epoch(3, poison)) == 1
    first, second = incidents(session, "nonfinite")
    assert sentence(first).startswith("non-finite values in epoch 3: ")
    assert sentence(first).endswith("; tried once more from the checkpoint of epoch 2")
    assert "non-finite values in epoch 3 again" in sentence(second) and "lower train.lr0" in sentence(second)
    assert "tensors of the network hold NaN or infinity" in errors(session)[-1]
    newest = max(session.layout.variant(VARIANT).checkpoints.glob("epoch*"))
    assert newest.name == "epoch00002"
    assert bench.train(session, in_epoch(3, poison)) == 1, "a retry of the job stops at once"
    assert len(incidents(session, "nonfinite")) == 2


def test_numbers_that_were_bad_once_cost_nothing(bench, session, reference):
    happened = bench.folder / "happened"

    def poison_once(trainer, *_):
        if not happened.exists():
            happened.touch()
            poison(trainer)

    assert train_on(bench, session, in_epoch(3, poison_once)) == 0
    assert len(incidents(session, "nonfinite")) == 1
    assert differences(reference, outcome(session)) == []


def test_a_bad_loss_stops_also_when_it_has_reached_no_weight(bench, session):
    """With accumulation the gradients of a bad batch wait, and the weights are still sound when the epoch ends."""

    def overflow(trainer, *_):
        trainer.tloss = {**trainer.tloss, "box_loss": trainer.tloss["box_loss"] * float("inf")}

    assert bench.train(session, in_epoch(2, overflow, "optimizer_step")) == AGAIN
    (bad,) = incidents(session, "nonfinite")
    assert sentence(bad) == (
        "non-finite values in epoch 2: the loss became box_loss inf in epoch 2; "
        "tried once more from the checkpoint of epoch 1"
    )


def with_a_loss_scale(then=lambda: None):
    """Return what gives the trainer the loss scale of mixed precision, as on a GPU; the network stays in float32."""

    def prepare():
        import torch

        from workflow.evo.training.trainer import VariantTrainer

        original = VariantTrainer._build_train_pipeline

        def build(trainer):
            trainer.scaler = torch.amp.GradScaler("cpu")
            original(trainer)

        VariantTrainer._build_train_pipeline = build
        then()

    return prepare


def lose_numbers(trainer, *_):
    next(trainer.model.parameters()).grad.fill_(float("nan"))
    trainer.tloss = {**trainer.tloss, "box_loss": trainer.tloss["box_loss"] * float("nan")}


def test_mixed_precision_that_leaves_out_every_step_of_an_epoch_stops(bench):
    session = bench.session(SETUPS[0])
    bench.clear(session)
    assert train_on(bench, session, with_a_loss_scale(in_epoch(3, lose_numbers, "optimizer_step"))) == 1
    assert "the loss became box_loss nan in epoch 3: mixed precision skipped every step" in errors(session)[-1]
    assert "set train.amp to false" in errors(session)[-1]
    assert incidents(session, "bad_batch") == []


def test_mixed_precision_that_leaves_out_one_step_goes_on(bench):
    session = bench.session(SETUPS[0])
    bench.clear(session)

    def lose_numbers_once(trainer, *_):
        if trainer.epoch == 2 and trainer.batch_index == 1:
            lose_numbers(trainer)

    assert train_on(bench, session, with_a_loss_scale(in_epoch(3, lose_numbers_once, "optimizer_step"))) == 0
    assert len(incidents(session, "bad_batch")) == 1 and incidents(session, "nonfinite") == []


def test_waiting_gradients_lose_their_loss_scale_when_mixed_precision_is_off_on_resume(bench, session, reference):
    die = in_epoch(2, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    assert bench.train(session, with_a_loss_scale(die)) == -signal.SIGKILL
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


# Files


def test_an_image_that_vanishes_stops_the_run_and_once_back_it_ends_the_same(bench, session, reference):
    image = sorted((session.layout.data / "view" / "images" / "train").iterdir())[5].absolute()
    aside = bench.folder / "aside"

    def vanish(*_):
        if image.is_symlink():
            image.rename(aside)

    assert bench.train(session, in_epoch(3, vanish)) == 1
    (missing,) = incidents(session, "missing_file")
    assert "an image of the dataset can no longer be read in epoch 3: " in sentence(missing)
    assert missing["file"].endswith(image.name)
    assert "put it back, then run the same command again" in errors(session)[-1]

    assert bench.train(session) == 1
    assert "the split train has 11 images" in errors(session)[-1] and "had 12 images" in errors(session)[-1]

    aside.rename(image)
    assert bench.train(session) == 0
    assert differences(reference, outcome(session)) == []


# A loader that hangs


@pytest.mark.parametrize("setup", [PLAIN, WITH_WORKERS], ids=["in process", "two processes"])
def test_a_loader_that_hangs_is_ended_with_its_stack_in_the_log(bench, setup, reference):
    session = bench.session(setup)
    bench.clear(session)
    asleep = bench.folder / "asleep"
    asleep.unlink(missing_ok=True)

    def hang_in_epoch_3():
        from ultralytics.data.dataset import YOLODataset

        from workflow.evo.training import run, trainer
        from workflow.evo.training.watchdog import Watchdog

        class Impatient(Watchdog):
            """Waits one second more for a loader that sleeps, and for any other one as long as it takes."""

            @property
            def seconds(self):
                return 1.0 if asleep.exists() else 600.0

            @seconds.setter
            def seconds(self, _):
                pass

        run.Watchdog = functools.partial(Impatient, tick=0.1)
        epochs = []
        begin = trainer.begin_epoch
        trainer.begin_epoch = lambda loader, seed, epoch: (epochs.append(epoch), begin(loader, seed, epoch))
        load = YOLODataset.load_image

        def fall_asleep(dataset, *arguments):
            if dataset.augment and epochs and epochs[-1] == 2:
                asleep.touch()
                time.sleep(600)
            return load(dataset, *arguments)

        YOLODataset.load_image = fall_asleep

    assert bench.train(session, hang_in_epoch_3) == 1
    (stalled,) = incidents(session, "stalled")
    assert sentence(stalled) == "the data loader gave no batch for 10 minutes in epoch 3: stopped"
    assert "where this training hangs:" in log(session) and "in fall_asleep" in log(session)
    assert "the data loader gave no batch" in errors(session)[-1]
    assert bench.train(session) == 0
    if setup == PLAIN:
        assert differences(reference, outcome(session)) == []
