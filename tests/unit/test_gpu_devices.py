import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.evo.errors import UserError
from workflow.evo.host import devices
from workflow.evo.host.devices import Device, cuda_order, host_devices, visible_devices
from workflow.evo.host.environment import gpus
from workflow.evo.host.nvml import gpu_uuid


class Nvml:
    """NVML of a host: ``cards`` by index; ``mig`` of a card is None (not supported) or its instances by index."""

    NVML_DEVICE_MIG_ENABLE = 1

    class NVMLError(Exception):
        pass

    def __init__(self, *cards):
        self.cards = cards

    def __getattr__(self, name):
        answers = {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetCount": lambda: len(self.cards),
            "nvmlDeviceGetHandleByIndex": lambda index: self.or_fail(self.cards[index]),
            "nvmlDeviceGetUUID": lambda handle: handle["uuid"],
            "nvmlDeviceGetName": lambda handle: handle["name"],
            "nvmlDeviceGetMinorNumber": lambda handle: self.or_fail(handle.get("minor")),
            "nvmlDeviceGetMigMode": lambda card: [self.or_fail(card.get("mode")), 1],
            "nvmlDeviceGetMaxMigDeviceCount": lambda card: 7,
            "nvmlDeviceGetMigDeviceHandleByIndex": lambda card, index: self.or_fail(card["mig"].get(index)),
            "nvmlDeviceGetGpuInstanceId": lambda instance: self.or_fail(instance.get("gi")),
            "nvmlDeviceGetComputeInstanceId": lambda instance: self.or_fail(instance.get("ci")),
        }
        return answers[name]

    def or_fail(self, answer):
        if answer is None:
            raise self.NVMLError
        return answer


@pytest.fixture
def nvml(monkeypatch):
    def install(*cards):
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(*cards))

    return install


def card(uuid, model="H100"):
    return Device(uuid, uuid, model)


def test_a_host_has_its_cards_in_the_order_of_the_driver(nvml):
    nvml(
        {"uuid": "GPU-1", "name": "H100", "minor": 3},
        {"uuid": b"GPU-2", "name": b"L4", "mode": 0},  # an older pynvml; MIG is supported, and off
    )
    assert host_devices() == [
        Device("GPU-1", "GPU-1", "H100", Path("/dev/nvidia3")),
        Device("GPU-2", "GPU-2", "L4", None),
    ]


def test_a_card_that_does_not_answer_is_left_out(nvml):
    nvml({"uuid": "GPU-1", "name": "H100"}, None, {"uuid": "GPU-3", "name": "H100"})
    assert [device.uuid for device in host_devices()] == ["GPU-1", "GPU-3"]


def test_the_description_of_a_host_leaves_it_out_as_well(nvml, monkeypatch):
    nvml({"uuid": "GPU-1", "name": "H100"}, None)
    monkeypatch.setattr(Nvml, "nvmlSystemGetDriverVersion", lambda self: "595.10", raising=False)
    monkeypatch.setattr(Nvml, "nvmlDeviceGetMemoryInfo", lambda self, _: SimpleNamespace(total=2**36), raising=False)
    assert gpus() == [{"index": 0, "uuid": "GPU-1", "name": "H100", "memory_gib": 64.0, "driver": "595.10"}]


def test_without_a_driver_there_is_no_device(monkeypatch, nvml):
    nvml()
    monkeypatch.setattr(Nvml, "nvmlInit", lambda self: self.or_fail(None), raising=False)
    assert host_devices() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert host_devices() == []


def test_a_card_in_mig_mode_is_its_instances_and_not_leased_as_a_whole(nvml, monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "CAPABILITIES", tmp_path)
    facts = tmp_path / "gpu0" / "mig" / "gi1" / "ci0" / "access"
    facts.parent.mkdir(parents=True)
    facts.write_text("DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n")
    instances = {0: {"uuid": "MIG-a", "gi": 1, "ci": 0}, 2: {"uuid": "MIG-b", "gi": 2, "ci": 0}, 3: {"uuid": "MIG-c"}}
    nvml({"uuid": "GPU-1", "name": "H100", "minor": 0, "mode": 1, "mig": instances}, {"uuid": "GPU-2", "name": "H100"})
    assert host_devices() == [
        Device("MIG-a", "GPU-1", "H100", Path("/dev/nvidia-caps/nvidia-cap12")),
        Device("MIG-b", "GPU-1", "H100", None),
        Device("MIG-c", "GPU-1", "H100", None),
        Device("GPU-2", "GPU-2", "H100", None),
    ]


# visible_devices

HOST = [card("GPU-aa11"), card("GPU-aa22"), card("GPU-bb33")]
MIG = [Device("MIG-x1", "GPU-aa11", "H100"), Device("MIG-x2", "GPU-aa11", "H100"), card("GPU-bb33")]


def visible(value, host=HOST, order=list, **environment):
    environment = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": value, **environment}
    return [device.uuid for device in visible_devices(host, environment, order)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,1,2", ["GPU-aa11", "GPU-aa22", "GPU-bb33"]),
        ("2,0", ["GPU-bb33", "GPU-aa11"]),
        (" 1 , 1", ["GPU-aa22"]),
        ("GPU-aa22", ["GPU-aa22"]),
        ("GPU-b,0", ["GPU-bb33", "GPU-aa11"]),
        ("gpu-AA11,GPU-aa11,0", ["GPU-aa11"]),
        ("1,-1,0", ["GPU-aa22"]),
        ("0,none", ["GPU-aa11"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(value, expected):
    assert visible(value) == expected


def test_without_the_variable_every_device_is_visible():
    assert visible_devices(HOST, {}, pytest.fail) == HOST


@pytest.mark.parametrize("value", ["0", "9", "GPU-x"])
def test_on_a_host_without_a_gpu_the_variable_is_of_another_host(value):
    assert visible(value, []) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("MIG-x2", ["MIG-x2"]),
        ("MIG-x2,MIG-x1", ["MIG-x2", "MIG-x1"]),
        ("GPU-aa11", ["MIG-x1", "MIG-x2"]),
        ("0", ["MIG-x1", "MIG-x2"]),
        ("1,MIG-x1", ["GPU-bb33", "MIG-x1"]),
    ],
)
def test_a_card_in_mig_mode_stands_for_its_instances(value, expected):
    assert visible(value, MIG) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("3", "'3' names no GPU of the 3 that this process finds"),
        ("0,7", "'7' names no GPU"),
        ("GPU-a", "'GPU-a' names more than one GPU of the 3"),
        ("GPU-c", "'GPU-c' names no GPU"),
        ("MIG-x1", "'MIG-x1' names no GPU"),
    ],
)
def test_an_entry_that_names_no_single_gpu_is_refused(value, said):
    with pytest.raises(UserError) as refused:
        visible(value)
    assert str(refused.value).startswith(f"CUDA_VISIBLE_DEVICES: {said}")
    assert str(refused.value).endswith("unset it to use any free GPU (`nvidia-smi -L` lists them)")


def test_an_index_counts_as_cuda_does_where_the_fastest_card_comes_first():
    host = [card("GPU-slow", "T4"), card("GPU-fast", "H100")]
    told = ["GPU-fast", "GPU-slow"]
    assert visible("0", host, lambda: told, CUDA_DEVICE_ORDER="FASTEST_FIRST") == ["GPU-fast"]
    assert visible("0", host, pytest.fail) == ["GPU-slow"], "by the bus, where CUDA_DEVICE_ORDER says so"
    assert visible("GPU-slow", host, pytest.fail, CUDA_DEVICE_ORDER="") == ["GPU-slow"]


def test_where_cuda_does_not_tell_its_order_only_equal_cards_have_numbers():
    assert visible("2,1", HOST, list, CUDA_DEVICE_ORDER="") == ["GPU-bb33", "GPU-aa22"]
    with pytest.raises(UserError) as refused:
        visible("0", [card("GPU-a", "T4"), card("GPU-b", "H100")], list, CUDA_DEVICE_ORDER="")
    assert str(refused.value) == (
        "CUDA_VISIBLE_DEVICES: this host has different GPUs, and CUDA does not tell in which order it numbers them"
        " — name them by UUID (`nvidia-smi -L`), or set CUDA_DEVICE_ORDER=PCI_BUS_ID"
    )


def test_cuda_is_asked_in_a_process_that_sees_every_card(monkeypatch):
    asked = {}

    def run(command, env, **_):
        asked.update(command=command, env=env)
        return SimpleNamespace(returncode=0, stdout="GPU-1\nGPU-2\n")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(devices.subprocess, "run", run)
    assert cuda_order() == ["GPU-1", "GPU-2"]
    assert "CUDA_VISIBLE_DEVICES" not in asked["env"]
    compile(asked["command"][-1], "question", "exec")


CUDA = """
import ctypes
class Cuda:
    def cuInit(self, flags): return 0
    def cuDeviceGetCount(self, count): count._obj.value = 2; return 0
    def cuDeviceGet(self, device, index): device._obj.value = index; return 0
    def cuDeviceGetUuid(self, identity, device): identity[15] = device.value + 1; return 0
ctypes.CDLL = lambda name: Cuda()
"""


@pytest.mark.parametrize(
    ("code", "expected"), [(0, [f"GPU-00000000-0000-0000-0000-{number:012d}" for number in (1, 2)]), (100, [])]
)
def test_the_question_to_cuda_yields_uuids_as_nvml_writes_them(monkeypatch, code, expected):
    cuda = CUDA.replace("flags): return 0", f"flags): return {code}")
    monkeypatch.setattr(devices, "_ASK_CUDA", cuda + devices._ASK_CUDA)
    assert cuda_order() == expected


# gpu_uuid


def test_the_live_view_follows_the_leased_instance_and_not_its_card(monkeypatch):
    properties = SimpleNamespace(get_device_properties=lambda _: SimpleNamespace(uuid="1234"))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=properties))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-x1")
    assert gpu_uuid(SimpleNamespace(type="cuda")) == "MIG-x1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpu_uuid(SimpleNamespace(type="cuda")) == "GPU-1234"
    assert gpu_uuid(SimpleNamespace(type="cpu")) is None
