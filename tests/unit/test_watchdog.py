import threading
from types import SimpleNamespace

import pytest

from workflow.evo.training.watchdog import Watchdog


@pytest.fixture
def stalled():
    return threading.Event()


class Trainer:
    """Calls the callbacks of an event, as Ultralytics' trainer does."""

    def __init__(self):
        self.callbacks = {}

    def add_callback(self, event, callback):
        self.callbacks.setdefault(event, []).append(callback)

    def run(self, *events, argument=None):
        for event in events:
            for callback in self.callbacks.get(event, []):
                callback(argument)


def watching(stalled, *events, argument=None, seconds=0.05):
    """Return whether a loader is taken to hang after these events."""
    trainer = Trainer()
    with Watchdog(stalled.set, seconds=seconds, tick=0.01) as watchdog:
        watchdog.attach(trainer)
        trainer.run(*events, argument=argument)
        return stalled.wait(0.3)


@pytest.mark.parametrize(
    "events",
    [
        ["on_train_epoch_start"],
        ["on_train_epoch_start", "on_train_batch_start", "on_train_batch_end"],
        ["on_train_epoch_start", "on_train_epoch_end", "on_val_start"],
    ],
    ids=["first batch", "next batch", "first batch of the validation"],
)
def test_a_batch_that_does_not_come_is_noticed(stalled, events):
    assert watching(stalled, *events)


@pytest.mark.parametrize(
    "events",
    [
        [],
        ["on_train_epoch_start", "on_train_batch_start"],
        ["on_train_batch_end", "on_train_epoch_end"],
        ["on_val_start", "on_val_batch_start"],
        ["on_val_start", "on_val_batch_start", "on_val_end"],
    ],
    ids=["setting up", "computing", "between the epochs", "validating", "after the validation"],
)
def test_slow_computing_is_no_stall(stalled, events):
    assert not watching(stalled, *events)


@pytest.mark.parametrize(("index", "noticed"), [(0, True), (1, False)], ids=["more to come", "the last one"])
def test_in_the_validation_only_further_batches_are_waited_for(stalled, index, noticed):
    validator = SimpleNamespace(batch_i=index, dataloader=[None, None])
    assert watching(stalled, "on_val_batch_end", argument=validator) is noticed


def test_every_batch_has_the_whole_time(stalled):
    with Watchdog(stalled.set, seconds=0.5, tick=0.01) as watchdog:
        for _ in range(4):
            watchdog.wait()
            assert not stalled.wait(0.2)
            watchdog.rest()


def test_it_acts_once(stalled):
    acted = []
    with Watchdog(lambda: (acted.append(1), stalled.set()), seconds=0.02, tick=0.01) as watchdog:
        watchdog.wait()
        assert stalled.wait(1)
        watchdog.wait()
    assert acted == [1]


def test_it_ends_with_the_training(stalled):
    with Watchdog(stalled.set, seconds=10, tick=0.01) as watchdog:
        watchdog.wait()
    assert not watchdog._thread.is_alive()
