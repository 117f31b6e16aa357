"""Accuracy and host speed of trained weights, as ``yolo val`` computes them, with its plots."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset, load_dataset
from ..errors import EvoError
from ..files import sha256_file
from .curves import recorder, split_curves
from .detector import load_detector, use_names
from .matches import Matches
from .metrics import split_metrics

BATCH = 16
"""Ultralytics' default for ``yolo val``. It decides the padding of rectangular batches and thereby, a little, the
metrics, so it does not follow the batch of training."""


def evaluate(
    best: Path,
    dataset_yaml: Path,
    splits: Iterable[str],
    arguments: Mapping[str, Any],
    folder: Path,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Matches]]:
    """Evaluate ``best`` on those of ``splits`` that the dataset has; plots go to ``folder/plots/{split}/``.

    The figures are those of ``yolo val model=best.pt data=… split=…``: the image size is the checkpoint's, batch and
    thresholds are Ultralytics' defaults. Call `workflow.evo.host.ultralytics_env.prepare` first.

    Args:
        best: the checkpoint.
        dataset_yaml: the dataset as Ultralytics reads it.
        splits: ``val``, ``test``.
        arguments: where to run: ``device`` and ``workers`` as Ultralytics takes them; anything else is ignored,
            because it would be another measurement.
        folder: nothing is written outside of it.

    Returns:
        Documents of ``metrics.schema.json`` and of ``curves.schema.json``, and what each image contributed, by split.

    Raises:
        EvoError: the weights cannot be evaluated, or the GPU is out of memory.
        UserError: the dataset cannot be read.
    """
    dataset = load_dataset(dataset_yaml)
    check_classes(load_detector(best), dataset.names, best)
    placement = {key: arguments[key] for key in ("device", "workers") if arguments.get(key) is not None}
    document: dict[str, Any] = {}
    matches: dict[str, Matches] = {}
    curves: dict[str, Any] = {"weights_sha256": sha256_file(best)}
    for split in (split for split in splits if split in dataset.splits):
        print(f"evaluate: {split} …", file=sys.stderr, flush=True)
        plots = Path(folder) / "plots" / split
        validator, metrics = _evaluate_split(best, dataset, dataset_yaml, split, placement, plots)
        document[split] = split_metrics(metrics, validator.names, validator.seen)
        curves[split] = split_curves(
            metrics, validator.confident.matrix, validator.names, validator.samples, Path(dataset_yaml).parent
        )
        matches[split] = validator.evidence.matches()
        document["evaluation"] = {"weights_sha256": curves["weights_sha256"], **_used(validator)}
        print(f"evaluate: {split}: {summary(document[split])}", file=sys.stderr, flush=True)
    return document, curves, matches


def summary(metrics: Mapping[str, Any]) -> str:
    """Return the metrics of one split in one line, for a log."""
    if metrics["map50"] is None:
        return f"{metrics['images']:,} images without objects, nothing to measure"
    return f"map50 {metrics['map50']:.3f}, map50_95 {metrics['map50_95']:.3f}, {metrics['images']:,} images"


def check_classes(detector: Any, names: Sequence[str], best: Path) -> None:
    """Refuse weights whose number of classes is not that of the dataset.

    Raises:
        EvoError: naming both numbers.
    """
    if len(names) != len(detector.names) and not detector.overrides.get("single_cls"):
        raise EvoError(
            f"trained for {len(detector.names)} classes, the dataset has {len(names)}",
            where=Path(best).resolve(),
            hint="train again on this dataset",
        )


def _evaluate_split(
    best: Path, dataset: Dataset, dataset_yaml: Path, split: str, placement: Mapping[str, Any], plots: Path
) -> tuple[Any, Any]:
    """Return the validator after the evaluation of one split, and its metrics."""
    import torch

    detector = load_detector(best)
    use_names(detector, dataset.names)
    shutil.rmtree(plots, ignore_errors=True)  # so that no plot of an earlier run is left
    try:
        with _plots_finished(), _literal_text():
            metrics, validator = validate(
                detector, dataset_yaml, split, plots, validator=recorder(), plots=True, **placement
            )
    except torch.cuda.OutOfMemoryError as error:
        raise EvoError(
            f"out of GPU memory while evaluating {split} at batch {BATCH}",
            where=best,
            hint="free some, or set train.device: cpu",
        ) from error
    return validator, metrics


def _used(validator: Any) -> dict[str, Any]:
    """Return what a split was measured with."""
    import torch
    import ultralytics

    device = validator.device
    return {
        "imgsz": int(validator.args.imgsz),
        "batch": int(validator.args.batch),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "versions": {"torch": torch.__version__, "ultralytics": ultralytics.__version__},
    }


def validate(detector: Any, dataset_yaml: Path, split: str, folder: Path, **arguments: Any) -> tuple[Any, Any]:
    """Run Ultralytics' validator on one split, with only its warnings printed.

    Args:
        detector: a ``YOLO``; validation fuses its layers, so that each call takes a fresh one.
        dataset_yaml: the dataset as Ultralytics reads it.
        split: ``val`` or ``test``.
        folder: where the validator writes.
        arguments: further ones of ``YOLO.val``.

    Returns:
        Its ``DetMetrics``, and the validator after the run.
    """
    seen: list[Any] = []
    detector.add_callback("on_val_end", seen.append)
    with quiet():
        metrics = detector.val(
            data=str(Path(dataset_yaml).resolve()),
            split=split,
            save_dir=str(Path(folder).resolve()),
            save_json=False,
            **{"batch": BATCH, **arguments},
        )
    (validator,) = seen
    return metrics, validator


def processor() -> str:
    """Return the name of the CPU and how many threads torch uses."""
    import torch
    from ultralytics.utils.torch_utils import get_cpu_info

    threads = torch.get_num_threads()
    return f"{get_cpu_info()}, {threads} thread{'s' if threads > 1 else ''}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Print only warnings of Ultralytics: its progress bars and tables would fill the log of a rule."""
    from ultralytics.utils import LOGGER

    before = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(before)


@contextlib.contextmanager
def _plots_finished() -> Iterator[None]:
    """Wait for the threads in which Ultralytics draws its mosaics: they may still be writing when ``val`` returns."""
    before = set(threading.enumerate())
    try:
        yield
    finally:
        for thread in set(threading.enumerate()) - before:
            if not thread.daemon:
                thread.join()


@contextlib.contextmanager
def _literal_text() -> Iterator[None]:
    """Draw class names as they are: a ``$`` in one would start a formula and end in a parse error."""
    import matplotlib

    with matplotlib.rc_context({"text.parse_math": False}):
        yield
