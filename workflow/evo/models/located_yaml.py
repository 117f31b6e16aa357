"""Reading an untrusted YAML file into a tree whose nodes know their lines.

The tree is built from parser events, without recursion and without PyYAML's constructors of objects: aliases are not
expanded, tags are ignored and reported, and the limits are checked before anything large is built.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..config.strict_yaml import Loader
from ..files import read_regular
from .problems import Problems

MAX_BYTES = 256 * 1024
"""Size limit of a model file; a real one has 2 to 5 KiB."""

MAX_DEPTH = 8
"""Nesting limit; a real one needs 5 (file, head, layer, arguments, list of kernel sizes)."""

MAX_NODES = 10_000
MAX_SCALAR = 200
"""Length limit of one value in characters."""

_SCALARS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str"))
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_NO_FILE = {errno.EISDIR, errno.EINVAL}  # a folder; a pipe or a device, see `read_regular`


@dataclass(frozen=True)
class Node:
    """One value of the file.

    Attributes:
        kind: ``scalar``, ``sequence``, ``mapping``, or ``refused`` for what was reported while reading.
        value: str, int, float, bool or None; a tuple of nodes; a dict of nodes by key; None.
        line: where it starts, from 1.
    """

    kind: str
    value: Any
    line: int

    @property
    def refused(self) -> bool:
        return self.kind == "refused"

    @property
    def valid(self) -> bool:
        """Whether nothing in it was refused."""
        inner = self.value.values() if self.kind == "mapping" else self.value if self.kind == "sequence" else ()
        return not self.refused and all(item.valid for item in inner)

    def plain(self) -> Any:
        """Return the value as plain lists, dicts and scalars."""
        if self.kind == "sequence":
            return [item.plain() for item in self.value]
        if self.kind == "mapping":
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def describe(self) -> str:
        """Return the value for a message."""
        if self.kind == "scalar":
            text = "null" if self.value is None else repr(self.value)
            return text if len(text) <= 80 else f"{text[:77]}…"
        return {"sequence": "a list", "mapping": "a table"}.get(self.kind, "this")


def read(path: Path, problems: Problems) -> Node | None:
    """Read a YAML file of one document.

    Args:
        path: the file.
        problems: what is wrong with it as YAML is added.

    Returns:
        The root, or None where nothing can be read. Refused values are ``refused`` nodes.
    """
    text = _text(path, problems)
    if text is None:
        return None
    loader = None
    try:
        loader = Loader(text)
        return _Builder(loader, problems).root()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f" ({error.context})" if error.context else ""
        problems.add(mark.line + 1 if mark else 0, f"not valid YAML: {error.problem}{context}")
    except yaml.YAMLError as error:  # a character that YAML does not allow
        problems.add(0, f"not valid YAML: {str(error).splitlines()[0]}")
    finally:
        if loader is not None:
            loader.dispose()
    return None


def _text(path: Path, problems: Problems) -> str | None:
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        if error.errno in _NO_FILE:
            problems.add(0, "not a file")
        elif error.errno == errno.EFBIG:
            problems.add(0, f"{path.stat().st_size:,} bytes are too large for a model file (limit {MAX_BYTES:,})")
        else:
            raise
        return None
    if data[:2] in _BOMS:
        problems.add(0, f"the text is {_BOMS[data[:2]]}, save it as UTF-8")
    elif b"\0" in data:
        problems.add(data.count(b"\n", 0, data.index(b"\0")) + 1, "a binary file, not YAML text")
    else:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            problems.add(data.count(b"\n", 0, error.start) + 1, "not UTF-8 text: a binary file or another encoding")
    return None


class _Builder:
    """Turns the events of one document into nodes. ``stack`` holds the open collections: (kind, line, items)."""

    def __init__(self, loader: Any, problems: Problems):
        self.loader, self.problems = loader, problems
        self.stack: list[tuple[str, int, list[Node]]] = []
        self.documents: list[Node] = []
        self.count = 0

    def root(self) -> Node | None:
        while self.loader.check_event():
            event = self.loader.get_event()
            if not self._take(event, event.start_mark.line + 1):
                return None
        if not self.documents:
            self.problems.add(0, "the file is empty")
            return None
        for further in self.documents[1:]:
            self.problems.add(further.line, "a second YAML document: a model file has one")
        return self.documents[0]

    def _take(self, event: Any, line: int) -> bool:
        """Take one event; return False when a limit is reached and reading has to stop."""
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent, yaml.ScalarEvent, yaml.AliasEvent)):
            self.count += 1
            if self.count > MAX_NODES:
                self.problems.add(line, f"more than {MAX_NODES:,} values")
                return False
            self._refuse_tag_and_anchor(event, line)
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if len(self.stack) >= MAX_DEPTH:
                self.problems.add(line, f"nested more than {MAX_DEPTH} deep")
                return False
            self.stack.append(("sequence" if isinstance(event, yaml.SequenceStartEvent) else "mapping", line, []))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            kind, start, items = self.stack.pop()
            self._put(Node(kind, tuple(items) if kind == "sequence" else self._mapping(items), start))
        elif isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event, line))
        elif isinstance(event, yaml.AliasEvent):
            self._put(Node("refused", None, line))
        return True

    def _put(self, node: Node) -> None:
        (self.stack[-1][2] if self.stack else self.documents).append(node)

    def _refuse_tag_and_anchor(self, event: Any, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            self.problems.add(line, f"alias '*{event.anchor}': write the value out, model files have no aliases")
            return
        if event.anchor is not None:
            self.problems.add(line, f"anchor '&{event.anchor}': model files have no anchors")
        if event.tag is not None:
            self.problems.add(line, f"tag '{event.tag[:80]}': model files have no explicit types")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Node:
        refused = Node("refused", None, line)
        if event.tag is not None:
            return refused
        if len(event.value) > MAX_SCALAR:
            self.problems.add(line, f"a value of {len(event.value):,} characters (limit {MAX_SCALAR})")
            return refused
        tag = self.loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _SCALARS:
            self.problems.add(line, f"'{event.value}' reads as a {tag.rpartition(':')[2]}: use numbers and words")
            return refused
        try:
            value = self.loader.construct_object(yaml.ScalarNode(tag, event.value))
        except yaml.YAMLError:
            self.problems.add(line, f"'{event.value[:80]}' is not a number")
            return refused
        return Node("scalar", value, line)

    def _mapping(self, items: list[Node]) -> dict[str, Node]:
        table: dict[str, Node] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if key.refused:
                continue
            if key.kind != "scalar" or not isinstance(key.value, str):
                self.problems.add(key.line, f"{key.describe()} as a key: keys are words")
            elif key.value in table:
                first = table[key.value].line
                self.problems.add(key.line, f"duplicate key '{key.value}', first on line {first}")
            else:
                table[key.value] = value
        return table
