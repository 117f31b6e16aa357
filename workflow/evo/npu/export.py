"""From a float network to an int8 LiteRT model whose every operator an Ethos-U can run.

It differs from Ultralytics' own export in four points:

- raw heads: the graph ends at the convolutions of the detection head, and the host decodes. Decoding inside the graph
  makes all boxes share one int8 scale, which costs accuracy;
- NHWC and integer inputs and outputs: no transposes and no conversions for the CPU;
- float islands are folded (`workflow.evo.npu.fold`);
- weights are rounded by their effect on the outputs of their layer (`workflow.evo.npu.rounding`).

Call `workflow.evo.host.ultralytics_env.prepare` before anything here.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EvoError
from ..text.facts import fact
from .flatbuffer import CONVERSIONS, Operator, float_islands, read_model, read_operators
from .fold import Fold, fold_leaky_relu
from .rounding import round_weights

if TYPE_CHECKING:
    import numpy as np
    from torch import nn
    from ultralytics.nn.tasks import DetectionModel

SIGNATURE, INPUT = "serving_default", "args_0"
ROUNDING_IMAGES = 32
"""Calibration images that decide how weights are rounded: with 256 positions of each, several times the inputs of the
widest layer (1,152)."""


@dataclass(frozen=True)
class Head:
    """One raw output of the network.

    Attributes:
        kind: ``box`` (4 × reg_max channels) or ``class`` (nc channels).
        feature_map: see `feature_maps`.
        stride: pixels of the input per cell.
    """

    kind: str
    feature_map: str
    stride: int


@dataclass(frozen=True)
class Exported:
    """An int8 model.

    Attributes:
        heads: what each output is, in the order of the model's outputs.
        fold: how many float islands were folded.
        islands: operators that still compute in floating point, on the CPU.
        rounding_images: calibration images that decided how weights are rounded; 0: each to the nearest step.
    """

    heads: tuple[Head, ...]
    fold: Fold
    islands: tuple[Operator, ...]
    rounding_images: int

    def float_operators(self) -> list[dict[str, Any]]:
        """Return type, name and reason (a fact) of every operator that still computes in floating point."""
        return [{"type": operator.type, "name": operator.name, "why": self._why(operator)} for operator in self.islands]

    def _why(self, operator: Operator) -> dict[str, Any]:
        if operator.name in self.fold.left:
            return fact("float_read_before_quantised").document()
        return fact("float_conversion" if operator.type in CONVERSIONS else "float_no_integer_form").document()


def export_int8(
    model: DetectionModel,
    imgsz: int,
    calibration: Sequence[np.ndarray],
    target: Path,
    *,
    rounding: bool = True,
    threads: int = 1,
) -> Exported:
    """Quantise a network and write it to ``target``.

    Args:
        model: the float network; it is left as it is.
        imgsz: edge of the square input in pixels.
        calibration: images as evaluation sees them, (1, imgsz, imgsz, 3) float32 in 0 to 1, RGB.
        target: the ``.tflite`` file.
        rounding: whether weights are rounded by their effect; placement and cycles do not depend on it.
        threads: of the calibration (the library's default is 16). The file does not depend on it.

    Raises:
        EvoError: the converter or the quantiser failed, with its reason.
    """
    import torch

    module = raw_heads(model)
    looked_at = range(0, len(calibration), max(len(calibration) // ROUNDING_IMAGES, 1)) if rounding else range(0)
    if looked_at:
        round_weights(module, (calibration[index] for index in looked_at))
    strides = [int(stride) for stride in model.stride]
    maps = zip(feature_maps(strides), strides, strict=True)
    traced = [Head(kind, name, stride) for name, stride in maps for kind in ("box", "class")]
    with tempfile.TemporaryDirectory(prefix="evo-export-") as folder, _quiet():
        floats, integers = Path(folder) / "float.tflite", Path(folder) / "int8.tflite"
        try:
            import litert_torch
            from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
            from ai_edge_quantizer.utils.qsv_utils import min_max_update

            channels_last = litert_torch.to_channel_last_io(module, args=[0], outputs=list(range(len(traced))))
            litert_torch.convert(channels_last, (torch.zeros(1, imgsz, imgsz, 3),)).export(str(floats))
            wanted = recipe.static_wi8_ai8()  # inputs and outputs too
            manager = recipe_manager.RecipeManager()
            manager.load_quantization_recipe(wanted)
            # Called for every operator of every image, always with the same result.
            manager.get_quantization_configs = cache(manager.get_quantization_configs)
            # The extremes of all images. The default, a moving average of them, clips what it has seen: no class
            # score above 0.5 would be representable.
            ranges = calibrator.Calibrator(str(floats), num_threads=threads, qsv_update_func=min_max_update)
            ranges.calibrate({SIGNATURE: _Named(calibration)}, manager)
            quantiser = quantizer.Quantizer(str(floats))
            quantiser.load_quantization_recipe(wanted)
            quantised = quantiser.quantize(calibration_result=ranges.get_model_qsvs())
            quantised.export_model(str(integers), overwrite=True)
        except Exception as error:  # two compilers behind one call raise all kinds of errors
            reason = " ".join(str(error).split())[:300]
            raise EvoError(f"the network cannot be exported ({type(error).__name__}: {reason})") from error
        fold = fold_leaky_relu(integers, target)
    order = _output_order(target, len(traced))
    return Exported(
        heads=tuple(traced[number] for number in order),
        fold=fold,
        islands=tuple(float_islands(read_operators(target))),
        rounding_images=len(looked_at),
    )


class _Named(Sequence[dict[str, Any]]):
    """Images by the name of the input, as the quantiser takes them; each is read when it is needed."""

    def __init__(self, images: Sequence[np.ndarray]):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        return {INPUT: self.images[index]}


def feature_maps(strides: Sequence[int]) -> list[str]:
    """Return the names of the feature maps that a head reads: ``P3`` has stride 8 = 2³, a second one ``P3-2``.

    Args:
        strides: pixels of the input per cell, powers of two (`workflow.evo.models.network.IMAGE` is one).
    """
    names: list[str] = []
    for stride in strides:
        name = f"P{stride.bit_length() - 1}"
        earlier = sum(other.partition("-")[0] == name for other in names)
        names.append(f"{name}-{earlier + 1}" if earlier else name)
    return names


def raw_heads(model: DetectionModel) -> nn.Module:
    """Return a fused copy of a network that ends with the convolutions of its head.

    Its outputs are a box map and a class map, NCHW, of each feature map that the head reads: nothing is decoded.
    """
    from torch import nn
    from ultralytics.nn.modules import Detect
    from ultralytics.nn.modules.block import C2f

    network = copy.deepcopy(model).float().cpu().eval()
    if network.end2end:
        network.end2end = False  # as validation does: its figures are of the one-to-many head and NMS
    network = network.fuse(verbose=False)
    network.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, Detect):
            module.export, module.format, module.dynamic = True, "litert", False
        elif isinstance(module, C2f):
            module.forward = module.forward_split

    class RawHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> tuple[Any, ...]:
            saved: list[Any] = []
            for layer in self.network.model[:-1]:
                image = layer(_inputs(layer, image, saved))
                saved.append(image if layer.i in self.network.save else None)
            detect = self.network.model[-1]
            features, heads = _inputs(detect, image, saved), detect.one2many
            return tuple(
                heads[kind][index](features[index]) for index in range(detect.nl) for kind in ("box_head", "cls_head")
            )

    return RawHeads().eval()


def _inputs(layer: Any, previous: Any, saved: list[Any]) -> Any:
    """Return what a layer reads, by its ``f`` (`BaseModel._predict_once`)."""
    if layer.f == -1:
        return previous
    if isinstance(layer.f, int):
        return saved[layer.f]
    return [previous if index == -1 else saved[index] for index in layer.f]


def _output_order(path: Path, count: int) -> list[int]:
    """Return which traced output each output of the model is: its signature names them ``output_0``, ``output_1``, …

    Raises:
        EvoError: the signature does not name every output.
    """
    model = read_model(path)
    (signature,) = model.signatureDefs
    number = {int(item.tensorIndex): int(item.name.decode().removeprefix("output_")) for item in signature.outputs}
    order = [number.get(int(tensor), -1) for tensor in model.subgraphs[0].outputs]  # -1: it has no name
    if sorted(order) != list(range(count)):
        raise EvoError(f"the outputs of the exported model are {order}, not 0 to {count - 1}", where=path)
    return order


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converters' progress bars and notices out of the log; their errors are raised."""
    for name in (None, "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # jax, below the converter, warns of every later fork; the children here (Vela) start a program at once.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
