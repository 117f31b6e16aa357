"""How busy, full, hot and hungry a GPU is, as its driver says (NVML)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from .devices import VARIABLE

MIB = 2**20


class GpuMeter:
    """Reads the figures of one GPU. What its driver does not tell is None.

    Args:
        uuid: as NVML writes it, ``GPU-…``, or ``MIG-…`` of an instance, of which the driver tells less.
    """

    def __init__(self, uuid: str):
        self.uuid = uuid
        self._handle: Any = None
        with contextlib.suppress(ImportError):
            import pynvml

            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlInit()
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def read(self) -> dict[str, Any]:
        """Return the entry ``gpu`` of ``status.schema.json``: per cent, MiB, degrees Celsius, watts."""
        figures: dict[str, Any] = dict.fromkeys(
            (
                "name",
                "utilisation_percent",
                "memory_used_mib",
                "memory_total_mib",
                "temperature_c",
                "power_w",
                "power_limit_w",
            )
        )
        if self._handle is not None:
            import pynvml

            def ask(question: Callable[[Any], Any], *arguments: Any) -> Any:
                try:
                    return question(self._handle, *arguments)
                except pynvml.NVMLError:
                    return None

            if (rates := ask(pynvml.nvmlDeviceGetUtilizationRates)) is not None:
                figures["utilisation_percent"] = float(rates.gpu)
            if (memory := ask(pynvml.nvmlDeviceGetMemoryInfo)) is not None:
                figures["memory_used_mib"] = round(memory.used / MIB, 1)
                figures["memory_total_mib"] = round(memory.total / MIB, 1)
            if (degrees := ask(pynvml.nvmlDeviceGetTemperature, pynvml.NVML_TEMPERATURE_GPU)) is not None:
                figures["temperature_c"] = float(degrees)
            for key, question in (
                ("power_w", pynvml.nvmlDeviceGetPowerUsage),
                ("power_limit_w", pynvml.nvmlDeviceGetEnforcedPowerLimit),
            ):
                if (milliwatts := ask(question)) is not None:
                    figures[key] = round(milliwatts / 1000, 1)
            name = ask(pynvml.nvmlDeviceGetName)
            figures["name"] = name.decode() if isinstance(name, bytes) else name
        return {"uuid": self.uuid, **figures}


def gpu_uuid(device: Any) -> str | None:
    """Return the UUID of a torch device as NVML writes it; None for a CPU, or a GPU that is not NVIDIA's.

    A lease has made it the only visible one, by its UUID. What torch tells is that of the card, for a MIG instance too.
    """
    import torch

    if device.type != "cuda":
        return None
    if (leased := os.environ.get(VARIABLE, "")).startswith(("GPU-", "MIG-")) and "," not in leased:
        return leased
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return None if uuid is None else f"GPU-{uuid}"
