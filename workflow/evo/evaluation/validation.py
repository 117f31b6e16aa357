"""Accuracy and host speed of trained weights, as ``yolo val`` computes them, with its plots."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import EvoError
from ..files import sha256_file
from .details import recorder, split_details
from .detector import dataset_splits, load_detector, use_names
from .metrics import split_metrics

BATCH = 16
"""Ultralytics' default for ``yolo val``. It shapes the padding of rectangular batches and thereby the metrics a
little, so that it is fixed, whatever the batch of training was."""


def evaluate(
    best: Path,
    dataset_yaml: Path,
    splits: Iterable[str],
    arguments: Mapping[str, Any],
    folder: Path,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Evaluate ``best`` on those of ``splits`` that the dataset has; plots go to ``folder/plots/{split}/``.

    The figures are those of ``yolo val model=best.pt data=… split=…``: the image size is the checkpoint's, batch and
    thresholds are Ultralytics' defaults. Call `workflow.evo.host.ultralytics_env.prepare` first.

    Args:
        best: the checkpoint.
        dataset_yaml: the dataset as Ultralytics reads it.
        splits: ``val``, ``test``.
        arguments: where to run: ``device`` and ``workers`` as Ultralytics takes them; anything else is ignored,
            because it would no longer be the same measurement.
        folder: the only place that is written to.

    Returns:
        Documents of ``metrics.schema.json`` and of ``curves.schema.json``.

    Raises:
        EvoError: the weights cannot be evaluated, or the GPU has no room.
        UserError: the dataset has no ``val``.
    """
    data, present = dataset_splits(dataset_yaml, tuple(splits))
    detector = load_detector(best)
    check_classes(detector, data, best)
    placement = {key: arguments[key] for key in ("device", "workers") if arguments.get(key) is not None}
    document: dict[str, Any] = {}
    details: dict[str, Any] = {"weights_sha256": sha256_file(best)}
    for split in present:
        print(f"evaluate: {split} …", file=sys.stderr, flush=True)
        plots = Path(folder) / "plots" / split
        document[split], details[split], used = _validate(best, data, dataset_yaml, split, placement, plots)
        document["evaluation"] = {"weights_sha256": details["weights_sha256"], **used}
        print(f"evaluate: {split}: {sentence(document[split])}", file=sys.stderr, flush=True)
    return document, details


def sentence(metrics: Mapping[str, Any]) -> str:
    """Return what a person wants to read of the metrics of one split."""
    if metrics["map50"] is None:
        return f"{metrics['images']:,} images without a single object, nothing to measure"
    return f"map50 {metrics['map50']:.3f}, map50_95 {metrics['map50_95']:.3f}, {metrics['images']:,} images"


def check_classes(detector: Any, data: Mapping[str, Any], best: Path) -> None:
    """Refuse weights of another number of classes than the dataset's.

    Raises:
        EvoError: naming both numbers.
    """
    classes = len(data.get("names") or ())
    if classes != len(detector.names) and not detector.overrides.get("single_cls"):
        raise EvoError(
            f"trained for {len(detector.names)} classes, the dataset has {classes}",
            where=Path(best).resolve(),
            hint="train again on this dataset",
        )


def _validate(
    best: Path, data: Mapping[str, Any], dataset_yaml: Path, split: str, placement: Mapping[str, Any], plots: Path
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Validate on one split. Return its metrics, what can be drawn of them, and what was used to measure them."""
    import torch
    import ultralytics

    detector, seen = load_detector(best), []  # validation fuses the layers of its model: a fresh one per split
    use_names(detector, data["names"])
    detector.add_callback("on_val_end", seen.append)
    shutil.rmtree(plots, ignore_errors=True)  # a plot of an earlier run must not pass for one of this
    try:
        with quiet(), _plots_finished(), _literal_text():
            metrics = detector.val(
                validator=recorder(),
                data=str(Path(dataset_yaml).resolve()),
                split=split,
                batch=BATCH,
                save_dir=str(plots.resolve()),
                plots=True,
                save_json=False,
                **placement,
            )
    except torch.cuda.OutOfMemoryError as error:
        raise EvoError(
            f"the GPU has no room to evaluate {split} at batch {BATCH}",
            where=best,
            hint="free it, or set train.device: cpu",
        ) from error
    (validator,) = seen
    device = validator.device
    used = {
        "imgsz": int(validator.args.imgsz),
        "batch": int(validator.args.batch),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "versions": {"torch": torch.__version__, "ultralytics": ultralytics.__version__},
    }
    drawn = split_details(
        metrics, validator.confident.matrix, validator.names, validator.samples, Path(dataset_yaml).parent
    )
    return split_metrics(metrics, validator.names, validator.seen), drawn, used


def processor() -> str:
    """Return the name of the CPU and the threads that torch uses of it."""
    import torch
    from ultralytics.utils.torch_utils import get_cpu_info

    threads = torch.get_num_threads()
    return f"{get_cpu_info()}, {threads} thread{'s' if threads > 1 else ''}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave only warnings of Ultralytics: its progress bars and tables would fill the log of a rule."""
    from ultralytics.utils import LOGGER

    before = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(before)


@contextlib.contextmanager
def _plots_finished() -> Iterator[None]:
    """Wait for the threads in which Ultralytics draws its mosaics: they may still write when ``val`` returns."""
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
