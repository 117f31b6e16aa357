"""How a training tells of itself: what stands in status.json, and that nothing there ever harms the training."""

import random
import sys
import time
from types import SimpleNamespace

import pytest

from workflow.evo.errors import EvoError, Preempted
from workflow.evo.files import read_json
from workflow.evo.host.nvml import GpuMeter
from workflow.evo.training import status_writer as module
from workflow.evo.training.recovery import RestartRequired
from workflow.evo.training.status_writer import StatusWriter


class Trainer:
    """What the callbacks read of a trainer, without torch."""

    def __init__(self):
        self.callbacks = {}
        self.device = SimpleNamespace(type="cpu")
        self.start_epoch, self.epoch, self.epochs = 0, 2, 10
        self.batch_size, self.batch_index = 4, 5
        self.train_loader = type("Loader", (list,), {"dataset": range(30)})([None] * 8)
        self.history = [{"seconds": 2.0}, {"seconds": 4.0}]
        self.tloss = {"box_loss": 1.5, "cls_loss": float("nan")}
        self.metrics = {"metrics/mAP50(B)": 0.5, "metrics/mAP50-95(B)": 0.25}

    def add_callback(self, event, function):
        self.callbacks.setdefault(event, []).append(function)

    def run(self, event, argument=None):
        for function in self.callbacks[event]:
            function(argument or self)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train" / ".checkpoints" / "status.json"


@pytest.fixture
def said():
    return []


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.setattr(module, "gpu_uuid", lambda device: None)
    return Trainer()


def beating(path, said, seconds=60.0):
    return StatusWriter(path, "level2_relu", said.append, seconds)


def status(path):
    return read_json(path, "status")


def test_it_says_at_once_which_process_it_is(path, said):
    with beating(path, said, 0.01):
        deadline = time.monotonic() + 60
        while not path.is_file():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        document = status(path)
    assert (document["phase"], document["beat"] >= 1, document["variant"]) == ("waiting", True, "level2_relu")
    assert document["memory_mib"] > 1
    assert said == []


def test_a_batch_leaves_epoch_losses_speed_and_the_time_that_is_left(path, said, trainer):
    with beating(path, said) as heartbeat:
        heartbeat.attach(trainer)
        trainer.run("on_train_start")
        trainer.run("on_train_epoch_start")
        time.sleep(0.01)
        trainer.run("on_train_batch_end")
        assert heartbeat._facts["phase"] == "training"
    document = status(path)
    assert (document["phase"], document["epoch"], document["epochs"]) == ("finished", 3, 10)
    assert (document["batch"], document["batches"], document["images_per_batch"]) == (6, 8, 4)
    assert document["losses"] == {"box": 1.5, "cls": None}, "a loss that is no number is none"
    assert (document["seconds_trained"], document["seconds_per_epoch"]) == (6.0, 3.0)
    assert document["seconds_left"] == pytest.approx((10 - 2 - 6 / 8) * 3, abs=0.1)
    assert 0 < document["images_per_s"] < 24 / 0.01


def test_the_losses_are_looked_at_no_oftener_than_the_file_is_written(path, said, trainer):
    with beating(path, said) as heartbeat:
        heartbeat.attach(trainer)
        trainer.run("on_train_epoch_start")
        trainer.run("on_train_batch_end")
        trainer.tloss = None  # the next look would fail
        trainer.run("on_train_batch_end")


def test_a_validation_and_its_metrics_are_told(path, said, trainer):
    with beating(path, said) as heartbeat:
        heartbeat.attach(trainer)
        trainer.run("on_train_epoch_start")
        trainer.run("on_train_epoch_end")
        trainer.run("on_val_batch_end", SimpleNamespace(batch_i=1, dataloader=[0] * 4))
        heartbeat._write()
        assert [status(path)[key] for key in ("phase", "batch", "batches")] == ["validating", 2, 4]
        trainer.run("on_fit_epoch_end")
        heartbeat._write()
        assert status(path)["metrics"] == {"epoch": 3, "map50": 0.5, "map50_95": 0.25}


@pytest.mark.parametrize(
    ("error", "phase", "message"),
    [
        (None, "finished", None),
        (Preempted("stopped by SIGTERM"), "stopped", "stopped by SIGTERM"),
        (RestartRequired("out of memory"), "restarting", "out of memory"),
        (EvoError("the disk is full"), "failed", "the disk is full"),
        (ValueError("a\nb"), "failed", "ValueError: a b"),
        (KeyboardInterrupt(), "stopped", "KeyboardInterrupt: "),
    ],
)
def test_it_ends_with_how_the_training_ended(path, said, error, phase, message):
    try:
        with beating(path, said):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert (status(path)["phase"], status(path)["message"]) == (phase, message)


def test_what_it_waits_for_is_noted_and_said(path, said):
    with beating(path, said) as heartbeat:
        heartbeat.waiting(said.append)("waiting: all 2 GPUs of this host are in use")
        heartbeat._write()
        assert status(path)["message"] == "waiting: all 2 GPUs of this host are in use"
        heartbeat.note("starting")
        heartbeat._write()
        assert status(path)["message"] is None
    assert said == ["waiting: all 2 GPUs of this host are in use"]


def test_a_file_that_cannot_be_written_is_said_once_and_the_training_goes_on(path, said):
    path.mkdir(parents=True)  # a folder in its place
    with beating(path, said, 0.001) as heartbeat:
        time.sleep(0.05)
        heartbeat._write()
    assert len(said) == 1
    assert said[0].startswith("the live view is not kept up to date, the training goes on: ")
    assert [item.name for item in path.parent.iterdir()] == ["status.json"], "no draft is left"


def test_it_draws_no_random_number(path, said, trainer):
    before = random.getstate()
    with beating(path, said, 0.001) as heartbeat:
        heartbeat.attach(trainer)
        for event in trainer.callbacks.keys() - {"on_val_batch_end"}:
            trainer.run(event)
        time.sleep(0.02)
    assert random.getstate() == before


# The GPU


class Nvml:
    """Stands for pynvml with one GPU that does not tell its power limit."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != "GPU-1":
            raise self.NVMLError
        return uuid

    def __getattr__(self, name):
        answers = {
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=2**30, total=2**34),
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetPowerUsage": 305_400,
            "nvmlDeviceGetName": "Test GPU",
        }

        def answer(*_):
            if name not in answers:
                raise self.NVMLError
            return answers[name]

        return answer


def test_a_gpu_tells_what_its_driver_knows(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    assert GpuMeter("GPU-1").read() == {
        "uuid": "GPU-1",
        "name": "Test GPU",
        "utilisation_percent": 97.0,
        "memory_used_mib": 1024.0,
        "memory_total_mib": 16384.0,
        "temperature_c": 61.0,
        "power_w": 305.4,
        "power_limit_w": None,
    }


def test_a_gpu_that_the_driver_does_not_know_has_no_figures(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    figures = GpuMeter("GPU-2").read()
    assert figures.pop("uuid") == "GPU-2"
    assert set(figures.values()) == {None}
