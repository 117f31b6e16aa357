from types import SimpleNamespace

from workflow.evo.training.nonfinite import bad_losses, bad_tensors


def test_losses_that_are_no_number_are_named_with_their_value():
    losses = {"box_loss": 1.5, "cls_loss": float("nan"), "dfl_loss": float("inf")}
    assert bad_losses(losses) == ["cls_loss nan", "dfl_loss inf"]
    assert bad_losses({"box_loss": 0.0}) == []


def test_weights_and_running_statistics_that_are_no_number_are_named():
    import torch

    tensors = {
        "weight": torch.tensor([1.0, float("nan")]),
        "running_var": torch.tensor([float("inf")]),
        "sound": torch.ones(2),
        "batches": torch.tensor(3),
    }
    assert bad_tensors(SimpleNamespace(state_dict=lambda: tensors)) == ["weight", "running_var"]
