import pytest

from workflow.evo.training.accumulation import rescaling, restore_gradients
from workflow.evo.training.nonfinite import no_step_succeeded


@pytest.mark.parametrize(
    ("saved", "now", "factor"),
    [
        ({}, 1.0, 1.0),
        ({}, 65536.0, 65536.0),
        ({"scale": 65536.0}, 65536.0, 1.0),
        ({"scale": 65536.0}, 1.0, 1 / 65536),
        ({"scale": 1024.0}, 512.0, 0.5),
    ],
)
def test_waiting_gradients_are_brought_to_the_loss_scale_of_this_process(saved, now, factor):
    assert rescaling(saved, now) == factor


def test_restored_gradients_are_multiplied():
    class Model:
        weight = type("Weight", (), {"grad": None})()

        def named_parameters(self):
            return [("weight", self.weight)]

    restore_gradients(model := Model(), {"weight": 65536.0}, 1 / 65536)
    assert model.weight.grad == 1.0


@pytest.mark.parametrize(
    ("after", "steps", "none"),
    [
        (65536.0, 3, False),
        (32768.0, 3, False),
        (8192.0, 3, True),
        (131072.0, 2001, False),
        (0.0, 400, True),
        (65536.0, 0, False),
    ],
)
def test_an_epoch_in_which_every_step_was_left_out_is_told_by_the_loss_scale(after, steps, none):
    assert no_step_succeeded(65536.0, after, 0.5, steps) is none


def test_a_loss_scale_of_zero_never_succeeds_again():
    assert no_step_succeeded(0.0, 0.0, 0.5, 3)
