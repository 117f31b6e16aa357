"""Checkpoints that try to run code, to exhaust memory or to break what reads them; written opcode by opcode.

torch is not needed: an archive of ``torch.save`` is a zip file of a pickle and of raw storages.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

NETWORK = "ultralytics.nn.tasks.DetectionModel"
CONV = "ultralytics.nn.modules.conv.Conv"
SEQUENTIAL = "torch.nn.modules.container.Sequential"
DISTILLATION = "ultralytics.nn.distill_model.DistillationModel"


class Raw(bytes):
    """Opcodes that stand for a value as they are."""


def name(full: str) -> Raw:
    module, _, last = full.rpartition(".")
    return Raw(b"c" + module.encode() + b"\n" + last.encode() + b"\n")


def new(full: str, state: Any = None, arguments: Any = ()) -> Raw:
    """An object made bare and filled, as ``torch.save`` writes a module."""
    made = name(full) + value(arguments) + b"\x81"
    return Raw(made if state is None else made + value(state) + b"b")


def call(full: str, *arguments: Any) -> Raw:
    return Raw(name(full) + value(arguments) + b"R")


def ordered(table: dict[str, Any] | None = None) -> Raw:
    made = call("collections.OrderedDict")
    for key, item in (table or {}).items():
        made += value(key) + value(item) + b"s"
    return Raw(made)


def storage(kind: str, key: str, count: int, location: str = "cpu") -> Raw:
    return Raw(value(("storage", name(f"torch.{kind}"), key, location, count)) + b"Q")


def tensor(
    key: str = "0", count: int = 4, size: Any = (4,), stride: Any = (1,), offset: int = 0, **options: Any
) -> Raw:
    held = options.get("held") or storage(options.get("kind", "FloatStorage"), key, count)
    return call("torch._utils._rebuild_tensor_v2", held, offset, size, stride, False, options.get("hooks", ordered()))


def value(item: Any) -> bytes:
    if isinstance(item, Raw):
        return item
    if item is None or isinstance(item, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[item]
    if isinstance(item, int):
        raw = item.to_bytes(item.bit_length() // 8 + 1, "little", signed=True)
        return b"J" + struct.pack("<i", item) if -(2**31) <= item < 2**31 else b"\x8a" + bytes([len(raw)]) + raw
    if isinstance(item, float):
        return b"G" + struct.pack(">d", item)
    if isinstance(item, str):
        return b"X" + struct.pack("<I", len(item.encode())) + item.encode()
    if isinstance(item, tuple):
        return b"(" + b"".join(map(value, item)) + b"t"
    if isinstance(item, list):
        return b"](" + b"".join(map(value, item)) + b"e"
    if isinstance(item, dict):
        return b"}(" + b"".join(value(key) + value(held) for key, held in item.items()) + b"u"
    raise TypeError(item)


def module(full: str = NETWORK, modules: Any = None, parameters: Any = None, **more: Any) -> Raw:
    state = {
        "training": False,
        "_parameters": ordered(parameters),
        "_buffers": ordered(),
        "_non_persistent_buffers_set": call("__builtin__.set", []),
        "_modules": ordered(modules),
        **more,
    }
    return new(full, state)


def network(layer: Raw | None = None, **more: Any) -> Raw:
    """A network of one layer, which the loader accepts when nothing hostile is put into it."""
    layer = module(CONV, parameters={"weight": tensor()}) if layer is None else layer
    return module(**{"modules": {"model": module(SEQUENTIAL, {"0": layer})}, "yaml": {"channels": 3}, **more})


def pickled(tree: Any, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + value(tree) + b"."


def archive(data: bytes, records: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive of a pickle; ``records`` are further ones, or replace the storage of four float32 zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as target:
        parts = {"data.pkl": data, "byteorder": b"little", "data/0": bytes(16), "version": b"3\n", **(records or {})}
        for record, content in parts.items():
            target.writestr(f"archive/{record}", content)
    return stream.getvalue()


def checkpoint(tree: Any, **options: Any) -> bytes:
    return archive(pickled(tree), **options)


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
