"""Parts of a checkpoint: the classes it may name, the functions it may call, and stand-ins for their results.

The stand-ins check their arguments and create no objects of torch, NumPy or Ultralytics.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_DIMENSIONS = 8

_NN = {
    "activation": "ReLU ReLU6 LeakyReLU ELU GELU SiLU Mish Hardswish Sigmoid",
    "batchnorm": "BatchNorm2d",
    "container": "ModuleList Sequential",
    "conv": "Conv2d ConvTranspose2d",
    "linear": "Identity",
    "loss": "BCEWithLogitsLoss",
    "padding": "ZeroPad2d",
    "pooling": "MaxPool2d",
    "upsampling": "Upsample",
}
_LAYERS = (
    "A2C2f", "AAttn", "ABlock", "AConv", "ADown", "Attention", "Bottleneck", "C2", "C2PSA", "C2f", "C2fCIB", "C3",
    "C3Ghost", "C3k", "C3k2", "CBFuse", "CBLinear", "CIB", "Concat", "Conv", "ConvTranspose", "DFL", "DWConv",
    "Detect", "ELAN1", "GhostBottleneck", "GhostConv", "PSA", "PSABlock", "RepBottleneck", "RepC3", "RepCSP",
    "RepConv", "RepNCSPELAN4", "RepVGGDW", "SCDown", "SPP", "SPPELAN", "SPPF", "Silence", "v10Detect",
)  # fmt: skip
_TASKS = ("DetectionModel", "YOLOv10DetectionModel")
_LOSSES = {
    "loss": "v8DetectionLoss E2EDetectLoss E2ELoss v10DetectLoss BboxLoss DFLoss",
    "tal": "TaskAlignedAssigner",
}

NETWORKS = frozenset(f"ultralytics.nn.tasks.{name}" for name in _TASKS)
MODULES = frozenset(
    {
        *NETWORKS,
        *(f"torch.nn.modules.{file}.{name}" for file, names in _NN.items() for name in names.split()),
        *(f"ultralytics.nn.modules{file}.{name}" for file in ("", ".block", ".conv", ".head") for name in _LAYERS),
    }
)
"""Classes of networks: every layer of the detection YAMLs that Ultralytics brings, YOLOv3 to YOLO26."""

_NAMESPACES = ("ultralytics.utils.IterableSimpleNamespace", "ultralytics.yolo.utils.IterableSimpleNamespace")
CLASSES = MODULES | {
    *(f"ultralytics.utils.{file}.{name}" for file, names in _LOSSES.items() for name in names.split()),
    *_NAMESPACES,
}
"""Classes whose objects may be created empty and filled: `MODULES`, their losses, and the training arguments."""

ITEM_SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
"""Bytes per element of the storages that a checkpoint may hold."""

NUMPY = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


class RefusedPickle(ValueError):
    """The pickle is refused; the message has the reason. No object of it was created."""


@dataclass(eq=False)
class Thing:
    """An object that the pickle would make: the full name of its class and its attributes."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)
    filled: bool = False


@dataclass(frozen=True, eq=False)
class Storage:
    """The record ``data/{key}`` of the archive: ``count`` elements of a key of `ITEM_SIZES`."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage; offset and strides in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.size)


class Ordered(dict[Any, Any]):
    """Stands for an ``OrderedDict``."""


@dataclass(eq=False)
class NumpyType:
    code: str


def is_numpy_state(state: Any) -> bool:
    return (
        type(state) is tuple
        and len(state) == 8
        and all(type(item) in (int, str, type(None)) for item in state)
        and (state[1:2] in (("<",), ("|",), (">",)))
        and state[2:] == (None, None, None, -1, -1, 0)
    )


def _whole(values: Any) -> bool:
    return (
        type(values) is tuple
        and len(values) <= MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value < 2**48 for value in values)
    )


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, metadata: Any = None
) -> Tensor:
    if not isinstance(storage, Storage) or not _whole((offset,)) or not _whole(size) or not _whole(stride):
        raise RefusedPickle("a tensor is described in a way that torch.save never writes")
    if len(size) != len(stride) or type(requires_grad) is not bool or hooks or metadata:
        raise RefusedPickle("a tensor is described in a way that torch.save never writes")
    tensor = Tensor(storage, offset, size, stride)
    last = offset + sum((edge - 1) * step for edge, step in zip(size, stride, strict=True))
    if tensor.count and (last >= storage.count or tensor.count > storage.count):
        raise RefusedPickle(f"a tensor of {tensor.count:,} values claims a storage of {storage.count:,}")
    return tensor


def _parameter(tensor: Any, requires_grad: Any, hooks: Any) -> Tensor:
    if not isinstance(tensor, Tensor) or type(requires_grad) is not bool or hooks:
        raise RefusedPickle("a parameter is described in a way that torch.save never writes")
    return tensor


def _ordered(*arguments: Any) -> Ordered:
    if arguments:
        raise RefusedPickle("an ordered table is made in a way that torch.save never writes")
    return Ordered()


def _set(items: Any = ()) -> frozenset[str]:
    if type(items) not in (list, tuple) or not all(type(item) is str for item in items):
        raise RefusedPickle("a set holds more than words")
    return frozenset(items)


def _size(items: Any) -> tuple[int, ...]:
    if not _whole(items):
        raise RefusedPickle("a size is not a few whole numbers")
    return items


def _device(kind: Any, index: Any = 0) -> str:
    if kind not in ("cpu", "cuda", "mps") or type(index) is not int or not 0 <= index < 1024:
        raise RefusedPickle("it names an unknown device")
    return kind


def _path(*parts: Any) -> str:
    if not all(type(part) is str and len(part) < 4096 for part in parts) or len(parts) > 256:
        raise RefusedPickle("a path is not made of words")
    return "/".join(parts)


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or len(text) > 16 or encoding != "latin1":
        raise RefusedPickle("it holds raw bytes")
    return text.encode("latin1")


def _numpy_type(code: Any, align: Any = False, copy: Any = True) -> NumpyType:
    if type(code) is not str or code not in NUMPY or type(align) not in (bool, int) or type(copy) not in (bool, int):
        raise RefusedPickle("it holds a NumPy type that is not a number's")
    return NumpyType(code)


def _numpy_scalar(kind: Any, content: Any) -> float:
    if not isinstance(kind, NumpyType) or type(content) is not bytes or len(content) != int(kind.code[1]):
        raise RefusedPickle("it holds a NumPy value that is not a number")
    return 0.0


def _namespace(kind: str, *arguments: Any) -> Thing:
    if arguments:
        raise RefusedPickle("training arguments are made in a way that torch.save never writes")
    return Thing(kind)


CALLED: dict[str, Callable[..., Any]] = {
    **{kind: functools.partial(_namespace, kind) for kind in _NAMESPACES},
    "collections.OrderedDict": _ordered,
    "__builtin__.set": _set,
    "builtins.set": _set,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "_codecs.encode": _encode,
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    **{f"{module}.{name}": _path for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")},
}
"""The functions that real checkpoints call. Each stand-in checks the arguments."""
