import random
from types import SimpleNamespace

import numpy as np
import pytest

from workflow.evo.host import ultralytics_env
from workflow.evo.training.determinism import Conditions, OneEpoch, begin_epoch, epoch_seed

IMAGES = 40
CONDITIONS = Conditions(16, 2, 1, "a processor, AVX2", None, "numpy 2.0", "fp32")


class Loader:
    """What `begin_epoch` needs of Ultralytics' loader and dataset."""

    def __init__(self, augment=True, cache=None):
        import torch

        self.generator = torch.Generator()
        self.batch_sampler = SimpleNamespace(sampler=[[0, 1], [2]])
        self.resets = 0
        self.dataset = SimpleNamespace(
            augment=augment, cache=cache, ni=IMAGES, max_buffer_length=8, ims=["an image"] * IMAGES, buffer=[1, 2, 3]
        )

    def reset(self):
        self.resets += 1


def draws(loader, seed, epoch):
    """Return what an epoch draws from every source of random numbers."""
    import torch

    begin_epoch(loader, seed, epoch)
    return (
        random.random(),
        np.random.random(),
        torch.rand(1).item(),
        torch.randperm(IMAGES, generator=loader.generator).tolist(),
        list(loader.dataset.buffer),
    )


def test_the_seed_of_an_epoch_is_a_fixed_function_of_run_and_epoch():
    assert epoch_seed(0, 0) == 2893166218
    assert epoch_seed(7, 3) == epoch_seed(7, 3)


def test_runs_with_neighbouring_seeds_share_no_epoch():
    assert len({epoch_seed(seed, epoch) for seed in range(20) for epoch in range(100)}) == 2000
    assert all(0 <= epoch_seed(0, epoch) < 2**32 for epoch in range(100)), "NumPy takes 32 bits"


def test_an_epoch_draws_the_same_whatever_was_drawn_before():
    loader = Loader()
    first = draws(loader, 0, 5)
    random.seed(1)
    np.random.seed(1)
    draws(loader, 0, 4)
    assert draws(loader, 0, 5) == first
    assert draws(Loader(), 0, 5) == first, "in another process"


def test_another_epoch_and_another_seed_draw_something_else():
    first = draws(Loader(), 0, 5)
    for seed, epoch in ((0, 6), (1, 5)):
        assert all(a != b for a, b in zip(first, draws(Loader(), seed, epoch), strict=True))


def test_images_and_worker_processes_of_the_epoch_before_are_dropped():
    loader = Loader()
    begin_epoch(loader, 0, 0)
    assert loader.resets == 1
    assert loader.dataset.ims == [None] * IMAGES
    assert len(set(loader.dataset.buffer)) == 8


@pytest.mark.parametrize("kind", [{"augment": False}, {"cache": "ram"}], ids=["validation", "cached in memory"])
def test_a_dataset_without_a_mosaic_buffer_is_left_alone(kind):
    loader = Loader(**kind)
    begin_epoch(loader, 0, 0)
    assert loader.dataset.ims == ["an image"] * IMAGES
    assert loader.dataset.buffer == [1, 2, 3]


def test_worker_processes_run_ahead_to_the_end_of_the_epoch_only():
    loader = Loader()
    begin_epoch(loader, 0, 0)
    begin_epoch(loader, 0, 1)
    assert isinstance(loader.batch_sampler, OneEpoch)
    assert list(loader.batch_sampler) == [[0, 1], [2]] == list(loader.batch_sampler)
    assert len(loader.batch_sampler.sampler) == 2, "where Ultralytics reads the number of batches"


def test_the_same_conditions_have_no_differences():
    assert CONDITIONS.differences(CONDITIONS.document()) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch", 32, "batch 16 instead of 32"),
        ("workers", 8, "data loader processes 2 instead of 8"),
        ("threads", 4, "torch threads 1 instead of 4"),
        ("device", "a GPU", "device a processor, AVX2 instead of a GPU"),
        ("cache", "ram", "image cache None instead of ram"),
        ("libraries", "numpy 1.26", "libraries numpy 2.0 instead of numpy 1.26"),
        ("precision", "fp16", "precision fp32 instead of fp16"),
    ],
)
def test_every_condition_is_compared_and_named(name, value, said):
    (found,) = CONDITIONS.differences({**CONDITIONS.document(), name: value})
    assert str(found) == said


def test_what_an_earlier_version_did_not_store_is_no_difference():
    stored = {name: value for name, value in CONDITIONS.document().items() if name != "precision"}
    assert CONDITIONS.differences(stored) == []


@pytest.mark.parametrize("count", [1, 3])
def test_torch_computes_with_the_threads_asked_for_and_not_with_all_of_the_host(monkeypatch, tmp_path, count):
    ultralytics_env.prepare(tmp_path)
    import torch
    from ultralytics.utils import torch_utils

    monkeypatch.setattr(torch_utils, "NUM_THREADS", 7)  # of a host with eight processors
    before = torch.get_num_threads()
    try:
        ultralytics_env.use_threads(count)
        torch_utils.select_device("cpu")
        assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
