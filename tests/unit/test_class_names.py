from types import SimpleNamespace

import pytest

from workflow.evo.errors import EvoError
from workflow.evo.evaluation.detector import check_unchanged, class_names, use_names


def test_the_names_are_those_of_the_dataset_also_when_a_class_was_renamed():
    assert class_names({0: "cat", 1: "dog"}, ["tabby", 7], single=False) == {0: "tabby", 1: "7"}


@pytest.mark.parametrize(("trained", "single"), [({0: "item"}, True), ({0: "cat", 1: "dog", 2: "cow"}, False)])
def test_classes_trained_as_one_or_of_another_number_keep_their_own(trained, single):
    assert class_names(trained, ["tabby"], single=single) == trained


def test_a_detector_takes_the_names_of_the_dataset():
    model = SimpleNamespace(names={0: "cat", 1: "dog"})
    use_names(SimpleNamespace(names=model.names, overrides={}, model=model), ["tabby", "dog"])
    assert model.names == {0: "tabby", 1: "dog"}


def test_the_advice_on_bad_weights_publishes_them_again_and_never_asks_for_a_new_training(tmp_path):
    """`lifecycle.weights_deleted`: it is best.pt that a person deletes to train once more, not training.json."""
    best = tmp_path / "best.pt"
    best.write_bytes(b"truncated")
    with pytest.raises(EvoError) as refused:
        check_unchanged(best, "0" * 64)
    assert refused.value.hint == (
        "restore it, or delete training.json next to it and run snakemake again: "
        "the weights are published from their checkpoint"
    )
