"""The GPUs that this process may use: whole cards, or the instances of a card in MIG mode."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .environment import driver

VARIABLE = "CUDA_VISIBLE_DEVICES"
CAPABILITIES = Path("/proc/driver/nvidia/capabilities")


@dataclass(frozen=True)
class Device:
    """What one training takes.

    Attributes:
        uuid: as NVML and CUDA write it: ``GPU-…`` of a card, ``MIG-…`` of an instance.
        card: UUID of the card, for a card its own.
        model: name of the card.
        node: its device file, ``/dev/nvidia0``; None where the driver does not tell.
    """

    uuid: str
    card: str
    model: str
    node: Path | None = None


def host_devices() -> list[Device]:
    """Return the devices of this host, in the order of nvidia-smi; empty without a driver.

    A card in MIG mode is not among them, its instances are. One that does not answer is left out: it is broken, or the
    control group of this process may not use it.
    """
    found: list[Device] = []
    with driver() as nvml:
        if nvml is None:
            return found
        with contextlib.suppress(nvml.NVMLError):  # of the count: not even their number is known
            for index in range(nvml.nvmlDeviceGetCount()):
                with contextlib.suppress(nvml.NVMLError):
                    found += _devices_of(nvml, nvml.nvmlDeviceGetHandleByIndex(index))
    return found


def _devices_of(nvml: Any, card: Any) -> list[Device]:
    def ask(question: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except nvml.NVMLError:
            return None

    uuid, minor = _text(nvml.nvmlDeviceGetUUID(card)), ask(nvml.nvmlDeviceGetMinorNumber, card)
    model = _text(ask(nvml.nvmlDeviceGetName, card) or "GPU")
    mode = ask(nvml.nvmlDeviceGetMigMode, card)  # (now, after the next reset); not supported by most cards
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return [Device(uuid, uuid, model, None if minor is None else Path(f"/dev/nvidia{minor}"))]
    instances = []
    for index in range(ask(nvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0):
        instance = ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, index)
        if instance is not None:  # the indices of existing ones need not follow each other
            numbers = (
                minor,
                ask(nvml.nvmlDeviceGetGpuInstanceId, instance),
                ask(nvml.nvmlDeviceGetComputeInstanceId, instance),
            )
            node = None if None in numbers else _capability(*numbers)
            instances.append(Device(_text(nvml.nvmlDeviceGetUUID(instance)), uuid, model, node))
    return instances


def _capability(minor: int, gpu_instance: int, compute_instance: int) -> Path | None:
    """Return the device file that gives access to a MIG instance (NVIDIA's MIG User Guide, "Device Nodes")."""
    facts = CAPABILITIES / f"gpu{minor}" / "mig" / f"gi{gpu_instance}" / f"ci{compute_instance}" / "access"
    try:
        number = re.search(r"DeviceFileMinor:\s*(\d+)", facts.read_text())
    except OSError:
        return None
    return Path(f"/dev/nvidia-caps/nvidia-cap{number[1]}") if number else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def cuda_order() -> list[str]:
    """Return the UUIDs of the cards in the order in which CUDA numbers them; empty where CUDA does not tell.

    Unless ``CUDA_DEVICE_ORDER`` is ``PCI_BUS_ID``, CUDA puts first what it takes for the fastest card, while NVML goes
    by the bus. A process of its own asks: the library reads both variables only once, when it is initialised.
    """
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_CUDA], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split() if done.returncode == 0 else []


_ASK_CUDA = """
import ctypes, uuid
cuda = ctypes.CDLL("libcuda.so.1")
def ask(name, *arguments):
    if code := getattr(cuda, name)(*arguments):
        raise SystemExit(f"{name}: {code}")
count, device, identity = ctypes.c_int(), ctypes.c_int(), (ctypes.c_ubyte * 16)()
ask("cuInit", 0)
ask("cuDeviceGetCount", ctypes.byref(count))
for index in range(count.value):
    ask("cuDeviceGet", ctypes.byref(device), index)
    ask("cuDeviceGetUuid", identity, device)
    print(f"GPU-{uuid.UUID(bytes=bytes(identity))}")
"""


def visible_devices(
    devices: list[Device],
    environment: Mapping[str, str] = os.environ,
    order: Callable[[], list[str]] = cuda_order,
    count_only: bool = False,
) -> list[Device]:
    """Return those of ``devices`` that ``CUDA_VISIBLE_DEVICES`` leaves to this process, in its order.

    An entry is an index, as CUDA numbers cards, or the beginning of a UUID (CUDA C++ Programming Guide, "CUDA
    Environment Variables"). A card in MIG mode stands for its instances. The list ends at -1, or any word that CUDA
    does not know, such as ``NoDevFiles``; empty, it leaves none. Not set, it leaves all.

    Args:
        devices: all of this host.
        environment: where the variable and ``CUDA_DEVICE_ORDER`` stand.
        order: the UUIDs of the cards as CUDA numbers them; asked only where that may differ from NVML.
        count_only: whether it does not matter which card has which number: CUDA is not asked then.

    Raises:
        UserError: an entry names no GPU, or more than one. CUDA would leave out the rest of the list without a word.
    """
    if VARIABLE not in environment or not devices:  # what is set on a host without a GPU is of another host
        return devices
    cards = list(dict.fromkeys(device.card for device in devices))
    found: dict[Device, None] = {}
    numbers: list[str] | None = None
    for entry in _entries(environment[VARIABLE]):
        if entry.isdigit():
            if numbers is None:
                numbers = cards if count_only else _numbered(devices, cards, environment, order)
            named = numbers[int(entry) : int(entry) + 1]
        else:
            named = [card for card in cards if card.lower().startswith(entry.lower())]
        chosen = [device for device in devices if device.card in named]
        if not entry.isdigit() and not chosen:
            chosen = [device for device in devices if device.uuid.lower().startswith(entry.lower())]
            named = [device.uuid for device in chosen]
        if len(named) != 1 or not chosen:
            raise UserError(
                f"'{entry}' names {'more than one GPU' if named else 'no GPU'} of the {len(devices)} that this process "
                "finds",
                where=VARIABLE,
                hint="correct it, or unset it to use any free GPU (`nvidia-smi -L` lists them)",
            )
        found |= dict.fromkeys(chosen)
    return list(found)


def _entries(value: str) -> Iterator[str]:
    for word in value.split(","):
        entry = word.strip()
        if not entry.isdigit() and not entry.upper().startswith(("GPU-", "MIG-")):
            return
        yield entry


def _numbered(
    devices: list[Device], cards: list[str], environment: Mapping[str, str], order: Callable[[], list[str]]
) -> list[str]:
    """Return the cards in the order of their numbers in ``CUDA_VISIBLE_DEVICES``."""
    in_parts = any(device.uuid != device.card for device in devices)  # CUDA numbers these as it likes: as nvidia-smi
    if len(cards) < 2 or in_parts or environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return cards
    asked = order()
    if set(asked) == set(cards):
        return asked
    if len({device.model for device in devices}) == 1:  # among equals CUDA keeps the order of the bus
        return cards
    raise UserError(
        "this host has different GPUs, and CUDA does not tell in which order it numbers them",
        where=VARIABLE,
        hint="name them by UUID (`nvidia-smi -L`), or set CUDA_DEVICE_ORDER=PCI_BUS_ID",
    )
