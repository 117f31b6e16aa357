"""What a session runs on: versions, devices, memory, disk and the state of the repository."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ..config.train_arguments import ultralytics_version
from ..config.variants import ROOT

GIB = 2**30
PACKAGES = ("torch", "torchvision", "snakemake", "numpy", "pandas", "opencv-python-headless", "pillow", "scikit-learn")


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that a result may depend on."""
    from .. import __version__

    found = {
        "ethos-vision-optimizer": __version__,
        "python": platform.python_version(),
        "ultralytics": ultralytics_version(),
    }
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def git_state() -> dict[str, Any]:
    """Return commit, branch and whether tracked files differ from it; all None outside a git checkout."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    status = git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": git("rev-parse", "HEAD"),
        "branch": git("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": None if status is None else bool(status),
    }


def memory_bytes() -> int:
    """Return the memory of this host, or of the control group that limits this process, in bytes."""
    import psutil

    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(total, int(text)) if text.isdigit() else total


def cpu_name() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cpu_count() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def driver() -> Iterator[Any]:
    """Yield `pynvml`, ready to be asked about the GPUs of this host; None without it or without a driver."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def gpus() -> list[dict[str, Any]]:
    """Return index, UUID, name, memory (GiB) and driver of every NVIDIA GPU; empty without a driver.

    One that does not answer is left out: it is broken, or the control group of this process may not use it.
    """
    found: list[dict[str, Any]] = []
    with driver() as nvml:
        if nvml is None:
            return found
        version = nvml.nvmlSystemGetDriverVersion()
        for index in range(nvml.nvmlDeviceGetCount()):
            with contextlib.suppress(nvml.NVMLError):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
                found.append(
                    {
                        "index": index,
                        "uuid": str(nvml.nvmlDeviceGetUUID(handle)),
                        "name": nvml.nvmlDeviceGetName(handle),
                        "memory_gib": round(memory.total / GIB, 1),
                        "driver": version,
                    }
                )
    return found


def describe(folder: Path) -> dict[str, Any]:
    """Return host, devices, memory and the free disk of ``folder``. All sizes in GiB."""
    return {
        "versions": versions(),
        "git": git_state(),
        "host": {"system": platform.platform(), "cpu": cpu_name(), "cpus": cpu_count()},
        "gpus": gpus(),
        "memory_gib": round(memory_bytes() / GIB, 1),
        "disk_free_gib": round(shutil.disk_usage(folder).free / GIB, 1),
    }
