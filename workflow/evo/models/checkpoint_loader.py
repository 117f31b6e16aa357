"""The only module that opens ``.pt`` files: checked first, loaded afterwards.

The file is read as an archive by `checkpoint_archive`, its pickle by `checkpoint_pickle`, its tree is checked by
`checkpoint_tree`, and only then torch's restricted loader creates the objects, from the same open file. Call
`workflow.evo.host.ultralytics_env.prepare` before anything that returns a network.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from . import checkpoint_tree
from .checkpoint_archive import Archive, archive_of
from .checkpoint_parts import CLASSES, NUMPY, RefusedPickle, Tensor

if TYPE_CHECKING:
    import torch
    from ultralytics.nn.tasks import DetectionModel

_ALIASES = {  # classes that older files name, as ultralytics.nn.tasks.torch_safe_load maps them
    "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
    "ultralytics.nn.modules.Silence": "torch.nn.modules.linear.Identity",
    "ultralytics.nn.tasks.YOLOv10DetectionModel": "ultralytics.nn.tasks.DetectionModel",
    "ultralytics.utils.loss.v10DetectLoss": "ultralytics.utils.loss.E2EDetectLoss",
    "ultralytics.yolo.utils.IterableSimpleNamespace": "ultralytics.utils.IterableSimpleNamespace",
}


class RefusedCheckpoint(UserError):
    """The file is not a checkpoint that may be loaded; no object of it was created, no code was run."""


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a detector by the names of its ``state_dict``: only tensors are created, no network.

    Raises:
        UserError: the file is missing, damaged, or not a detection checkpoint, or weights are NaN or infinite.
    """
    with _opened(path) as archive:
        named = checkpoint_tree.named_tensors(checkpoint_tree.network_of(archive.tree))
        weights = _tensors(archive, named)
        _require_finite(weights)
        return weights


def load_network(path: Path) -> DetectionModel:
    """Return the network of a checkpoint (its moving average where it has one), float32, on the CPU.

    Raises:
        UserError: the file is missing, damaged, or not a detection checkpoint, or weights are NaN or infinite.
    """
    checkpoint = load_checkpoint(path)
    return (checkpoint.get("ema") or checkpoint["model"]).float()


def load_checkpoint(path: Path, entries: Iterable[str] = ()) -> dict[str, Any]:
    """Return a detection checkpoint as Ultralytics saves it, on the CPU.

    Args:
        path: the file.
        entries: keys that it must have.

    Raises:
        UserError: the file is missing, damaged, or not a detection checkpoint, or weights are NaN or infinite.
    """
    with _opened(path) as archive:
        checkpoint_tree.network_of(archive.tree)
        _require_entries(archive.tree, entries)
        checkpoint = _make(archive)
        network = checkpoint.get("ema") or checkpoint["model"]
        _require_methods(network)
        _require_finite(network.state_dict())
        return checkpoint


def load_plain(path: Path, entries: Iterable[str] = ()) -> dict[str, Any]:
    """Return a checkpoint of tensors and plain values, on the CPU.

    Args:
        path: the file.
        entries: keys that it must have.

    Raises:
        UserError: the file is missing or damaged, or has anything else.
    """
    with _opened(path) as archive:
        if not isinstance(archive.tree, dict):
            raise RefusedPickle("it is not a table")
        if kinds := {thing.kind for thing in checkpoint_tree.things_of(archive.tree)}:
            raise RefusedPickle(f"it has objects where only tensors and plain values are expected: {min(kinds)}")
        _require_entries(archive.tree, entries)
        return _make(archive)


def guard_ultralytics() -> None:
    """Make Ultralytics open its checkpoints here too, in ``YOLO(path)``, trainers and validators.

    Its own loader also looks for missing files on the internet, and drops apostrophes from paths.
    """
    from ultralytics.nn import tasks

    def load(weight: Any, safe_only: bool | None = None) -> tuple[dict[str, Any], str]:
        return load_checkpoint(Path(weight)), str(weight)

    tasks.torch_safe_load = load


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Archive]:
    """Open and check a file; every failure until the block ends becomes a `RefusedCheckpoint`."""
    path = Path(path)
    try:
        # Not blocking: the open of a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"checkpoint not found: {path.absolute()}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"checkpoint cannot be read ({reason})", where=path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RefusedCheckpoint("not a checkpoint, but a folder, a pipe or a device", where=path)
    with os.fdopen(descriptor, "rb") as stream:
        try:
            with archive_of(stream) as archive:
                yield archive
        except UserError:
            raise
        except Exception as error:  # torch raises all kinds of errors on damaged and hostile files
            reason = str(error) if isinstance(error, RefusedPickle) else f"{type(error).__name__}: {error}"
            reason = "".join(c if c.isprintable() else " " for c in reason)
            raise RefusedCheckpoint(
                f"not a checkpoint that the restricted loader accepts ({' '.join(reason.split())[:200]})", where=path
            ) from error


def _require_entries(tree: dict[str, Any], entries: Iterable[str]) -> None:
    if missing := [entry for entry in entries if entry not in tree]:
        raise RefusedPickle(f"it has no '{missing[0]}'")


def _make(archive: Archive) -> Any:
    """Create the objects of a checked archive."""
    import torch

    archive.stream.seek(0)
    with torch.serialization.safe_globals(_known(archive.tree)), _no_module_is_called():
        return torch.load(archive.stream, map_location="cpu", weights_only=True)


def _known(tree: Any) -> list[Any]:
    """Return the classes of a tree for torch's loader, each under the name that the file gives it."""
    import numpy as np

    kinds = {thing.kind for thing in checkpoint_tree.things_of(tree)}
    known: list[Any] = [(_class(kind), kind) for kind in sorted(kinds)]
    scalar = np.float64(0).__reduce__()[0]
    known += [np.dtype, *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core"))]
    known += [type(np.dtype(code)) for code in sorted(NUMPY)]
    paths = [f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")]
    return [*known, *((type(Path()), name) for name in paths)]


def _class(kind: str) -> type:
    if kind not in CLASSES:
        raise RefusedPickle(f"it holds objects that no detection network needs: {kind}")
    module, _, name = _ALIASES.get(kind, kind).rpartition(".")
    found = getattr(importlib.import_module(module), name, None)
    if not isinstance(found, type):
        raise RefusedPickle(f"this version of Ultralytics has no {kind}")
    return found


@contextlib.contextmanager
def _no_module_is_called() -> Iterator[None]:
    """Second defence: modules of a real checkpoint are created without a call of their constructor."""
    from torch import nn

    def refuse(*_: Any, **__: Any) -> None:
        raise RefusedPickle("it calls a module")

    before, nn.Module.__init__ = nn.Module.__init__, refuse
    try:
        yield
    finally:
        nn.Module.__init__ = before


def _tensors(archive: Archive, named: dict[str, Tensor]) -> dict[str, torch.Tensor]:
    import torch

    types = {
        "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
        "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
        "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    }  # fmt: skip
    made: dict[str, torch.Tensor] = {}
    for name, tensor in named.items():
        if not tensor.storage.count:
            made[name] = torch.empty(tensor.size, dtype=types[tensor.storage.kind])
            continue
        content = bytearray(archive.records.read(f"{archive.prefix}data/{tensor.storage.key}"))
        flat = torch.frombuffer(content, dtype=types[tensor.storage.kind])
        made[name] = flat.as_strided(tensor.size, tensor.stride, tensor.offset)
    return made


def _require_finite(weights: dict[str, torch.Tensor]) -> None:
    import torch

    bad = [name for name, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise RefusedPickle(f"{len(bad)} of {len(weights)} tensors hold NaN or infinity, {bad[0]} first")


def _require_methods(network: Any) -> None:
    """Refuse modules whose attributes hide methods of their class."""
    for module in network.modules():
        for name in vars(module):
            if name != "type" and inspect.isroutine(getattr(type(module), name, None)):  # `type`: set by parse_model
                raise RefusedPickle(f"'{name[:40]}' of a {type(module).__name__} hides a method")
