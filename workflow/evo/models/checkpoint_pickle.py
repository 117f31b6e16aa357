"""The pickle of a checkpoint, read without creating its objects: the tree of them, or why it is refused.

A pickle is a program. torch's ``weights_only`` loader calls any class on its list of safe ones with any argument
(``REDUCE``), and Ultralytics lists some hundred, of which some download files when called. A real checkpoint never
calls a class: its modules are created empty (``NEWOBJ``) and filled (``BUILD``). So here only the instructions that
``torch.save`` writes are read, classes are names, and the few functions that real files call have their arguments
checked. Nothing of torch or Ultralytics is imported.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .checkpoint_parts import (
    CALLED,
    CLASSES,
    ITEM_SIZES,
    NETWORKS,
    NumpyType,
    Ordered,
    RefusedPickle,
    Storage,
    Tensor,
    Thing,
    is_numpy_state,
)

MAX_BYTES = 4 * 1024 * 1024
"""Size limit of the pickle, which has no weights in it; YOLOv9-E, the largest detection network, has 0.45 MiB."""

MAX_READS = 1_000_000
"""Limit of reads, about two per instruction; YOLOv9-E takes 0.4 million."""


@dataclass(frozen=True)
class _Name:
    """A class or function that the pickle mentions."""

    full: str


def read(data: bytes, records: Mapping[str, int]) -> tuple[Any, list[Tensor]]:
    """Read the pickle of a checkpoint.

    Args:
        data: ``data.pkl`` of the archive.
        records: size in bytes of every storage record, by key.

    Returns:
        The tree (dicts, lists, tuples, plain values, `Thing`, `Tensor`), and every tensor in it.

    Raises:
        RefusedPickle: it names, calls or claims anything that no detection checkpoint needs.
    """
    if len(data) > MAX_BYTES:
        raise RefusedPickle(f"a pickle of {len(data):,} bytes, the limit is {MAX_BYTES:,}")
    reader = _Reader(_Metered(data), records)
    try:
        tree = reader.load()
    except RefusedPickle:
        raise
    except (pickle.UnpicklingError, EOFError) as error:
        raise RefusedPickle(f"the pickle is damaged: {error}") from error
    except Exception as error:  # the stack machine meets what no pickler writes: an empty stack, a missing memo
        raise RefusedPickle(f"the pickle is damaged ({type(error).__name__})") from error
    return tree, reader.tensors


class _Metered:
    """The bytes of the pickle, with a limit of reads."""

    def __init__(self, data: bytes):
        self._stream = io.BytesIO(data)
        self._left = MAX_READS
        self.readline = self._stream.readline

    def read(self, count: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise RefusedPickle(f"the pickle has more than {MAX_READS:,} parts")
        return self._stream.read(count)


_READ = (
    "PROTO", "STOP", "GLOBAL", "NEWOBJ", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK",
    "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST",
    "EMPTY_DICT", "BINPERSID", "BININT", "BININT1", "BININT2", "BINFLOAT", "BINGET", "LONG_BINGET", "BINPUT",
    "LONG_BINPUT", "BINUNICODE", "LONG1",
)  # fmt: skip
_OPCODES = {getattr(pickle, name)[0] for name in _READ}
"""What torch.save writes (protocol 2), and no more: torch's restricted loader reads these in the same way."""


# Python's own unpickler in Python, whose instructions can be replaced one by one; its types are not published.
_Unpickler: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _Table(dict[int, Any]):
    def __missing__(self, opcode: int) -> Any:
        raise RefusedPickle(f"the pickle has the instruction {opcode:#04x}, which torch.save never writes")


class _Reader(_Unpickler):
    dispatch = _Table({opcode: _Unpickler.dispatch[opcode] for opcode in _OPCODES})

    def __init__(self, stream: _Metered, records: Mapping[str, int]):
        super().__init__(stream)
        self.records, self.storages = records, dict[str, Storage]()
        self.tensors: list[Tensor] = []

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if module == "ultralytics.nn.tasks" and full not in NETWORKS:
            raise RefusedPickle(f"not a detector, but a {name[:60]}")
        if full not in CLASSES and full not in CALLED and full.removeprefix("torch.") not in ITEM_SIZES:
            raise RefusedPickle(f"it holds objects that no detection network needs: {full[:120]}")
        return _Name(full)

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) != 5 or not isinstance(pid[1], _Name):
            raise RefusedPickle("a storage is described in a way that torch.save never writes")
        word, named, key, location, count = pid
        kind = named.full.removeprefix("torch.")
        if word != "storage" or kind not in ITEM_SIZES or type(key) is not str or type(location) is not str:
            raise RefusedPickle("a storage is described in a way that torch.save never writes")
        if type(count) is not int or self.records.get(key) != count * ITEM_SIZES[kind]:
            found = f"{self.records[key]:,} bytes are there" if key in self.records else "it is not in the file"
            raise RefusedPickle(f"storage '{key[:40]}' claims {_shown(count)} {kind[:-7]} values, {found}")
        storage = self.storages.setdefault(key, Storage(key, kind, count))
        if storage.kind != kind:
            raise RefusedPickle(f"storage '{key}' is of two types")
        return storage

    def _newobj(self) -> None:
        arguments, named = self.stack.pop(), self.stack.pop()
        if not isinstance(named, _Name) or named.full not in CLASSES or arguments != ():
            raise RefusedPickle(f"it makes {_title(named)} in a way that no checkpoint needs")
        self.append(Thing(named.full))

    def _reduce(self) -> None:
        arguments, named = self.stack.pop(), self.stack[-1]
        if not isinstance(named, _Name) or named.full not in CALLED:
            raise RefusedPickle(f"it calls {_title(named)}, which no checkpoint needs")
        if type(arguments) is not tuple:
            raise RefusedPickle(f"it calls {_title(named)} without arguments")
        made = CALLED[named.full](*arguments)
        if isinstance(made, Tensor) and not named.full.endswith("_parameter"):
            self.tensors.append(made)
        self.stack[-1] = made

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Thing) and not target.filled and type(state) is dict:
            target.attributes, target.filled = state, True
        elif isinstance(target, Ordered) and type(state) is dict and set(state) <= {"_metadata"}:
            return
        elif not isinstance(target, NumpyType) or not is_numpy_state(state):
            raise RefusedPickle(f"it fills {_title(target)} in a way that no checkpoint needs")

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def _setitems(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        # Hashing a deeply nested tuple overflows the stack of the interpreter itself.
        if type(key) not in (str, int) or not isinstance(self.stack[-1], dict):
            raise RefusedPickle("a table has keys that are neither words nor whole numbers")
        self.stack[-1][key] = value

    def _append(self) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def _appends(self) -> None:
        values = self.pop_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise RefusedPickle("it appends to what is not a list")
        return self.stack[-1]

    def _proto(self) -> None:
        version = self.read(1)
        if version != b"\x02":
            raise RefusedPickle("its pickle is not of protocol 2, which torch.save writes")

    dispatch.update(
        {
            pickle.PROTO[0]: _proto,
            pickle.NEWOBJ[0]: _newobj,
            pickle.REDUCE[0]: _reduce,
            pickle.BUILD[0]: _build,
            pickle.SETITEM[0]: _setitem,
            pickle.SETITEMS[0]: _setitems,
            pickle.APPEND[0]: _append,
            pickle.APPENDS[0]: _appends,
        }
    )


def _title(value: Any) -> str:
    return value.full if isinstance(value, _Name) else value.kind if isinstance(value, Thing) else type(value).__name__


def _shown(value: Any) -> str:
    return f"{value:,}" if type(value) is int and abs(value) < 2**63 else "an impossible number of"
