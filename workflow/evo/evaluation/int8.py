"""Accuracy of the int8 model, and of the float weights on the same input, with Ultralytics' own validator."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.dataset import load_dataset
from ..errors import EvoError
from ..files import sha256_file
from ..host.progress import track
from ..text.facts import Fact, fact
from .decode import decode
from .detector import load_detector, use_names
from .interpreter import REFERENCE, Int8Model
from .matches import Matches
from .metrics import split_metrics
from .recording import recording_validator
from .validation import BATCH, check_classes, processor, summary, validate

if TYPE_CHECKING:
    import torch
    from torch import nn

FOUND = 0.05
"""AP50-95 at which a class counts as found by the float network: below it, ratios are noise."""

KEPT = 0.5
"""Share of that AP that the int8 model has to keep. Less is a collapse: a damaged output, not a rounding error."""


def check_model(path: Path, metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an int8 model.

    Raises:
        EvoError: the file is missing, or is not the one that its metadata.json describes.
    """
    path = Path(path)
    if not path.is_file():
        raise EvoError("model not found", where=path.resolve(), hint="run the rule `export_int8` first")
    found = sha256_file(path)
    if found != metadata["sha256"]:
        raise EvoError(
            f"not the model of its metadata.json (SHA-256 {found[:12]}…, it says {metadata['sha256'][:12]}…)",
            where=path.resolve(),
            hint="delete both and run snakemake again",
        )
    return found


def evaluate_int8(
    model: Path,
    metadata: Mapping[str, Any],
    best: Path,
    dataset_yaml: Path,
    splits: Iterable[str],
    folder: Path,
    threads: int = 1,
    kernels: str = REFERENCE,
) -> tuple[dict[str, Any], dict[str, Matches]]:
    """Evaluate the int8 model and the weights that it comes from on those of ``splits`` that the dataset has.

    The input of the int8 model is square and fixed, so both see whole letterboxed images (``rect=False``); everything
    else is as in `workflow.evo.evaluation.validation`. Both run on the CPU: the integers are the only difference.
    Call `workflow.evo.host.ultralytics_env.prepare` first.

    Args:
        model: the ``.tflite`` file, before Vela.
        metadata: its ``metadata.json``.
        best: the float checkpoint.
        dataset_yaml: the dataset as Ultralytics reads it.
        splits: ``val``, ``test``.
        folder: scratch folder of the validator.
        threads: interpreters that run in parallel.
        kernels: of the interpreters, one of `KERNELS`.

    Returns:
        A document of ``metrics_int8.schema.json``, and what each image contributed in int8, by split.

    Raises:
        EvoError: model, metadata and weights do not belong together, or one of them cannot be evaluated.
        UserError: the dataset cannot be read.
    """
    from ultralytics.utils.torch_utils import get_cpu_info

    dataset = load_dataset(dataset_yaml)
    digest, imgsz = check_model(model, metadata), int(metadata["imgsz"])
    detector = load_detector(best)
    check_classes(detector, dataset.names, best)
    use_names(detector, dataset.names)
    if [str(name) for name in detector.names.values()] != metadata["names"]:
        raise EvoError(
            "the int8 model has other classes than the dataset",
            where=Path(model).resolve(),
            hint="delete it and run snakemake again",
        )
    document: dict[str, Any] = {"float": {}, "difference": {}}
    matches: dict[str, Matches] = {}
    with Int8Model(model, metadata, threads, kernels) as interpreters:
        device = f"{get_cpu_info()}, {interpreters.threads} interpreter{'s' if interpreters.threads > 1 else ''}"
        document["evaluation"] = {**_setting(digest, imgsz, device, "ai-edge-litert"), "kernels": kernels}
        document["float"]["evaluation"] = _setting(sha256_file(best), imgsz, processor(), "torch")
        for split in (split for split in splits if split in dataset.splits):
            common = (dataset_yaml, split, imgsz, Path(folder))
            floating = load_detector(best)
            use_names(floating, dataset.names)
            document["float"][split], _ = evaluate_square(floating, *common, f"evaluate_int8: {split}, float")
            stand_in = load_detector(best)
            stand_in.model = as_module(interpreters, metadata)
            label = f"evaluate_int8: {split}, int8, {kernels} kernels"
            document[split], matches[split] = evaluate_square(stand_in, *common, label, batch=max(BATCH, threads))
            document["difference"][split] = difference(document[split], document["float"][split])
            for kind, metrics in (("float", document["float"][split]), ("int8", document[split])):
                print(f"evaluate_int8: {split}, {kind}: {summary(metrics)}", file=sys.stderr, flush=True)
    return document, matches


def as_module(interpreters: Int8Model, metadata: Mapping[str, Any]) -> nn.Module:
    """Return the int8 model as a network that Ultralytics' validator takes: images in, predictions of `decode` out."""
    import torch
    from torch import nn

    class Int8Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = dict(enumerate(metadata["names"]))
            self.stride = torch.tensor([float(stride) for stride in metadata["strides"]])
            self.end2end = False

        def __deepcopy__(self, _memo: Any) -> Int8Detector:
            return (
                self  # the validator wants a copy to fuse; there is nothing to fuse, and interpreters cannot be copied
            )

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            """From (batch, 3, height, width), RGB, 0 to 1, to (batch, 4 + classes, cells)."""
            raw = interpreters.run(images.permute(0, 2, 3, 1).contiguous().numpy())
            return decode(interpreters.dequantised(raw), metadata)

    return Int8Detector().eval()


def difference(int8: Mapping[str, Any], floating: Mapping[str, Any]) -> dict[str, Any]:
    """Return int8 minus float of one split, in total and per class (AP50-95). Both have the same classes."""
    per_class = {}
    for name, entry in floating["per_class"].items():
        ours, theirs = int8["per_class"][name]["map50_95"], entry["map50_95"]
        per_class[name] = {
            "int8": ours,
            "float": theirs,
            "difference": _minus(ours, theirs),
            "collapsed": theirs is not None and theirs >= FOUND and ours < KEPT * theirs,
        }
    totals = {key: _minus(int8[key], floating[key]) for key in ("map50", "map50_95")}
    return {**totals, "per_class": per_class}


def lost_classes(document: Mapping[str, Any]) -> list[Fact]:
    """Return the collapsed classes of a ``metrics_int8.json`` with their AP50-95: ``'cat' 0.400 to 0.100 (val)``."""
    return [
        fact("class_lost", name=name, float=entry["float"], int8=entry["int8"], split=split)
        for split, changes in document["difference"].items()
        for name, entry in changes["per_class"].items()
        if entry["collapsed"]
    ]


def check_collapse(document: Mapping[str, Any], model: Path) -> None:
    """Refuse an int8 model that has lost a class.

    Raises:
        EvoError: naming every such class with its AP50-95 in float and in int8.
    """
    if lost := lost_classes(document):
        raise EvoError(
            f"quantisation loses more than half of the AP50-95 of {len(lost)} class{'es' if len(lost) > 1 else ''}: "
            + ", ".join(map(str, lost)),
            where=model,
            hint="raise npu.calibration_images, and see that the training images show what is to be found",
        )


def _minus(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs


def _setting(digest: str, imgsz: int, device: str, runtime: str) -> dict[str, Any]:
    import ultralytics

    versions = {runtime: importlib.metadata.version(runtime), "ultralytics": ultralytics.__version__}
    return {"weights_sha256": digest, "imgsz": imgsz, "batch": BATCH, "device": device, "versions": versions}


def evaluate_square(
    detector: Any, dataset_yaml: Path, split: str, imgsz: int, folder: Path, label: str, batch: int = BATCH
) -> tuple[dict[str, Any], Matches]:
    """Evaluate a ``YOLO`` on whole letterboxed images, on the CPU, with a progress line.

    All images have one shape, so that the result does not depend on ``batch``.

    Returns:
        The entry of one split of ``metrics.schema.json``, and what each image contributed.
    """
    steps: list[Iterator[int]] = []

    def start(validator: Any) -> None:
        total = len(validator.dataloader)
        steps.append(track(range(total), total, label, show=True))
        next(steps[0])

    detector.add_callback("on_val_start", start)
    detector.add_callback("on_val_batch_end", lambda _: next(steps[0], None))
    metrics, validator = validate(
        detector,
        dataset_yaml,
        split,
        folder,
        validator=recording_validator(),
        imgsz=imgsz,
        rect=False,
        device="cpu",
        plots=False,
        batch=batch,
    )
    return split_metrics(metrics, validator.names, validator.seen), validator.evidence.matches()
