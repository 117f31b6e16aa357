"""Whether a training fits into the memory of its GPU, found out in seconds instead of hours.

One real epoch of a few batches, with the images that hold the most objects: they need the most memory, since the loss
matches every object of a batch with every place of the network's output.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..config.strict_yaml import parse
from ..text.facts import Fact, fact
from .failures import first_line, out_of_memory

STEPS = 3
MIB = 2**20
FREED = 0.1
"""Share of a GPU's memory that, when it has become free since a check, makes another answer likely."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as a check finds it: its name, its memory and what is free of it, both MiB."""

    device: str
    total_mib: float
    free_mib: float


def gpu() -> Gpu | None:
    """Return the GPU that torch uses in this process; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return Gpu(torch.cuda.get_device_name(), round(total / MIB, 1), round(free / MIB, 1))


def outdated(found: Mapping[str, Any], now: Gpu | None) -> Fact | None:
    """Return why an earlier check tells nothing of the GPU there is now; None where it does.

    Args:
        found: ``memory.json``.
        now: the GPU that is going to train.
    """
    if now is None:
        return fact("no_gpu_now")
    if (found["device"], found["total_mib"]) != (now.device, now.total_mib):
        then = {"device": found["device"], "memory": found["total_mib"]}
        return fact("other_gpu_now", **then, now=now.device, memory_now=now.total_mib)
    if now.free_mib - found["free_mib"] > FREED * now.total_mib:
        return fact("more_memory_free", before=found["free_mib"], now=now.free_mib)
    return None


def densest_images(data: Path, split: str, count: int) -> list[Path]:
    """Return the ``count`` images of a split with the most objects, most first.

    Args:
        data: the folder with the links to the dataset, `SessionLayout.view`.
    """
    labels = data / "labels" / split
    images = sorted((data / "images" / split).iterdir())
    return sorted(images, key=lambda image: -_objects(labels / f"{image.stem}.txt"))[:count]


def most_objects(data: Path) -> int:
    """Return the number of objects of the training image that has the most."""
    return max(map(_objects, (data / "labels" / "train").iterdir()), default=0)


def _objects(label: Path) -> int:
    return sum(1 for line in label.read_text().splitlines() if line.strip()) if label.is_file() else 0


def probe(
    arguments: dict[str, Any], train: Callable[[dict[str, Any], Path], dict[str, float | None]], data: Path
) -> list[dict[str, Any]]:
    """Try the configured batch, then half of it, until one fits.

    Args:
        arguments: of the training, ``batch`` among them.
        train: trains one epoch with such arguments on the dataset YAML given, and returns the memory it took, MiB.
        data: the folder of the session's linked dataset.

    Returns:
        One entry per batch tried: ``batch``, ``fits``, ``seconds``, what ``train`` returned, and ``error`` where it
        did not fit. The last one fits, or has batch 1.
    """
    tried = []
    for batch in _halvings(arguments["batch"]):
        start, error = time.perf_counter(), None
        with tempfile.TemporaryDirectory(prefix="evo-memory-") as folder:
            dataset = _dataset(data, Path(folder), batch)
            try:
                peaks = train({**arguments, "batch": batch, "save_dir": f"{folder}/run"}, dataset)
            except Exception as raised:
                if not out_of_memory(raised):
                    raise
                error, peaks = first_line(raised), dict.fromkeys(("allocated_mib", "reserved_mib"))
        gc.collect()  # what the failed attempt held, its traceback included
        seconds = round(time.perf_counter() - start, 1)
        tried.append({"batch": batch, "fits": error is None, "seconds": seconds, **peaks, "error": error})
        if error is None:
            break
    return tried


def _halvings(batch: int) -> Iterator[int]:
    while batch >= 1:
        yield batch
        batch //= 2


def _dataset(data: Path, folder: Path, batch: int) -> Path:
    """Link the densest images into ``folder``: a few batches to train on, one to validate, which has twice the size.

    Where the dataset has fewer, they are linked several times.
    """
    for split, wanted in (("train", STEPS * batch), ("val", 2 * batch)):
        found = densest_images(data, split, wanted)
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(wanted):
            image = found[index % len(found)]
            label = data / "labels" / split / f"{image.stem}.txt"
            (folder / "images" / split / f"{index}{image.suffix}").symlink_to(image.resolve())
            if label.is_file():
                (folder / "labels" / split / f"{index}.txt").symlink_to(label.resolve())
    checked = data.parent / "dataset.yaml"
    names = parse(checked.read_bytes(), checked)["names"]
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump({"train": "images/train", "val": "images/val", "names": names}))
    return path


def train_one_epoch(definition: Any, log: Callable[[str], None]) -> Callable[..., dict[str, float | None]]:
    """Return what `probe` calls: real steps of the network of ``definition``, in mixed precision where configured.

    With ``optimizer: auto`` so few steps choose AdamW, which holds one more copy of the weights than MuSGD.
    """

    def train(arguments: dict[str, Any], dataset: Path) -> dict[str, float | None]:
        import torch

        from .network_trainer import NetworkTrainer

        class Probe(NetworkTrainer):
            def save_model(self) -> bool:
                return True

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        few: dict[str, Any] = {
            "epochs": 1,
            "workers": 0,
            "warmup_epochs": 0,
            "close_mosaic": 0,
            "fraction": 1.0,
            "time": None,
        }
        few |= {"data": str(dataset), "nbs": arguments["batch"]}  # a step of the optimizer after every batch
        trainer = Probe({**arguments, **few}, definition=definition, log=log)
        trainer.train()
        if trainer.device.type != "cuda":
            return {"allocated_mib": None, "reserved_mib": None}
        return {
            "allocated_mib": round(torch.cuda.max_memory_allocated(trainer.device) / MIB, 1),
            "reserved_mib": round(torch.cuda.max_memory_reserved(trainer.device) / MIB, 1),
        }

    return train
