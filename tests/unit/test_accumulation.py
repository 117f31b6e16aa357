from types import SimpleNamespace

import numpy as np
import pytest

from workflow.evo.training.accumulation import Accumulation, pending_gradients, restore_gradients


def steps(accumulation, batches):
    return [batch for batch in batches if accumulation.step_due(batch)]


def steps_of_ultralytics(nominal, warmup, batches):
    """The loop of engine/trainer.py, 8.4.190, without what it trains."""
    accumulate, last, found = nominal, -1, []
    for ni in range(batches):
        if warmup and ni <= warmup:
            accumulate = max(1, int(np.interp(ni, [0, warmup], [1, nominal]).round()))
        if ni - last >= accumulate:
            found.append(ni)
            last = ni
    return found


class Model:
    """What the functions need of a torch module."""

    def __init__(self, **gradients):
        self.weights = {name: SimpleNamespace(grad=gradient) for name, gradient in gradients.items()}

    def named_parameters(self):
        return self.weights.items()


def test_without_accumulation_every_batch_is_a_step():
    assert steps(Accumulation(1, 0), range(5)) == [0, 1, 2, 3, 4]


def test_steps_come_after_the_nominal_number_of_batches_across_epochs():
    assert steps(Accumulation(5, 0), range(17)) == [4, 9, 14]


@pytest.mark.parametrize("nominal", [1, 2, 4, 5, 7, 64])
@pytest.mark.parametrize("warmup", [0, 1, 3, 100])
def test_the_steps_are_those_of_ultralytics(nominal, warmup):
    assert steps(Accumulation(nominal, warmup), range(400)) == steps_of_ultralytics(nominal, warmup, 400)


@pytest.mark.parametrize("cut", range(30))
def test_a_run_that_is_continued_after_any_batch_steps_where_it_would_have(cut):
    whole = steps(Accumulation(5, 12), range(60))
    before = Accumulation(5, 12)
    first = steps(before, range(cut))
    after = Accumulation(5, 12)
    after.last_step = before.last_step
    assert first + steps(after, range(cut, 60)) == whole


def test_waiting_gradients_are_kept_by_name_and_restored():
    gradients = pending_gradients(Model(first="a gradient", second=None))
    assert gradients == {"first": "a gradient"}
    model = Model(first=None, second="left over")
    restore_gradients(model, gradients)
    assert {name: weight.grad for name, weight in model.named_parameters()} == {"first": "a gradient", "second": None}


def test_right_after_a_step_nothing_waits():
    assert pending_gradients(Model(first=None)) == {}
