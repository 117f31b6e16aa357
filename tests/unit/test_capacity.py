import pytest

from workflow.evo.config.loading import load_session
from workflow.evo.host.devices import Device
from workflow.evo.session import capacity as module
from workflow.evo.session.capacity import Capacity, capacity, cpu_trainings

GIB = 2**30


def session(**train):
    return load_session({"session": "s", "train": train})


@pytest.fixture
def host(monkeypatch):
    """A host with so many GPUs, and with 16 GiB of memory."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "memory_bytes", lambda: 16 * GIB)

    def install(gpus):
        cards = [Device(f"GPU-{index}", f"GPU-{index}", f"model {index}") for index in range(gpus)]
        monkeypatch.setattr(module, "host_devices", lambda: cards)

    return install


# On a GPU


@pytest.mark.parametrize(
    ("cores", "tokens", "threads"),
    [
        (8, 4, 1),
        (8, 2, 3),
        (8, 1, 7),
        (9, 4, 2),
        (64, 4, 9),
        (64, 1, 9),
        (16, 1000, 2),
        (2, 8, 1),
        (1, 1, 1),
        (1, 4, 1),
    ],
)
def test_as_many_trainings_as_tokens_find_processors(host, cores, tokens, threads):
    host(8)
    found = capacity(session(workers=8), cores, tokens)
    assert (found.training_threads, found.gpu, found.cpu_training) == (threads, 1, 0)
    assert found.trainings_at_a_time * threads <= cores


def test_a_training_never_claims_more_than_its_loaders_and_itself(host):
    host(1)
    assert capacity(session(workers=0), 64, 1).training_threads == 1


def test_the_processors_a_training_claims_do_not_change_its_loaders(host):
    host(8)
    chosen = session(workers=8)
    capacity(chosen, 8, 8)
    assert chosen.train.workers == 8


def test_on_a_cluster_every_training_gets_all_that_it_asks_for(host, monkeypatch):
    monkeypatch.setattr(module, "host_devices", pytest.fail)  # those of the login node say nothing
    found = capacity(session(workers=8), None, 1000)
    assert (found.training_threads, found.gpu, found.evaluation_threads) == (9, 1, 4)
    assert found.idle_gpus() is None


# On a CPU


@pytest.mark.parametrize("cores", [1, 2, 8, 64])
@pytest.mark.parametrize("chosen", [{"device": "cpu"}, {}], ids=["device: cpu", "no GPU"])
def test_a_training_on_a_cpu_has_one_thread_on_every_host_and_takes_no_gpu(host, cores, chosen):
    host(0)
    found = capacity(session(**chosen), cores, 1)
    assert (found.training_threads, found.gpu, found.cpu_training) == (1, 0, 1)
    assert found.trainings_at_a_time == min(cores, 2), "memory for two of the default image size and batch"


def test_where_no_gpu_is_visible_trainings_run_on_the_cpu(host, monkeypatch):
    host(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert capacity(session(), 8, 1).on_cpu
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr("workflow.evo.host.devices.cuda_order", pytest.fail)  # its number does not matter here
    assert not capacity(session(), 8, 1).on_cpu


@pytest.mark.parametrize("device", [0, "mps"])
def test_a_device_that_is_named_decides_without_a_look_at_the_host(host, monkeypatch, device):
    monkeypatch.setattr(module, "host_devices", pytest.fail)
    assert capacity(session(device=device), 8, 1).gpu == 1


@pytest.mark.parametrize(
    ("gib", "train", "at_a_time"),
    [
        (16, {}, 2),
        (8, {}, 1),
        (4, {}, 1),
        (64, {}, 13),
        (16, {"imgsz": 128}, 12),
        (16, {"batch": 4}, 7),
        (16, {"imgsz": 1280}, 1),
        (64, {"cache": "ram"}, 1),
        (64, {"cache": True}, 1),
        (64, {"cache": "disk"}, 13),
    ],
)
def test_memory_limits_the_trainings_side_by_side(gib, train, at_a_time):
    assert cpu_trainings(session(**train), gib * GIB) == at_a_time


@pytest.mark.parametrize(
    ("batch", "measured"), [(4, 1848.4), (16, 4622.6)], ids=["level2_relu, 640 px", "level1_silu, 640 px"]
)
def test_a_training_is_expected_to_take_no_less_memory_than_was_measured(batch, measured):
    assert module.MIB_OF_A_TRAINING + module.MIB_PER_IMAGE * batch >= measured


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 4), (64, 8)])
def test_an_evaluation_on_the_cpu_leaves_half_of_it_to_trainings(host, cores, threads):
    host(0)
    assert capacity(session(), cores, 1).evaluation_threads == threads


# GPUs that stay idle


def said(gpus, tokens, cores=64, variants=6):
    return Capacity(cores, tokens, False, 0, 8, variants, gpus).idle_gpus()


@pytest.mark.parametrize(
    ("gpus", "tokens", "cores", "expected"),
    [
        (8, 1, 64, "1 of 8 GPUs is used: `--resources gpu=6` trains 6 variants at a time"),
        (4, 2, 64, "2 of 4 GPUs are used: `--resources gpu=4` trains 4 variants at a time"),
        (4, 4, 2, "2 of 4 GPUs are used: `--cores 4` trains 4 variants at a time"),
        (4, 1, 2, "1 of 4 GPUs is used: `--cores 4 --resources gpu=4` trains 4 variants at a time"),
        (8, 6, 64, None),  # no seventh variant
        (1, 1, 64, None),
        (1, 4, 64, None),
    ],
)
def test_gpus_that_stay_idle_are_named_with_the_option_that_uses_them(gpus, tokens, cores, expected):
    assert said(gpus, tokens, cores) == expected


def test_nothing_is_said_where_one_gpu_is_named_or_none_is_used(host):
    host(4)
    assert capacity(session(), 8, 1).idle_gpus() is not None
    assert capacity(session(device=0), 8, 1).idle_gpus() is None
    assert capacity(session(device="cpu"), 8, 1).idle_gpus() is None
