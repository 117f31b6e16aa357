"""Reading YAML and JSON from users as data, within limits on size and depth and without duplicate keys."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import UserError
from ..files import read_regular
from ..printable import printable, quoted

MAX_DEPTH = 20
MAX_VALUES = 400_000
MAX_TEXT = 4096
"""Characters of one value; the longest path that Linux takes has as many bytes."""

MAX_DIGITS = 100
"""Characters of one number. Python reads ``1:1:1…`` (base 60) in quadratic time."""

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float")}
_MERGE = "tag:yaml.org,2002:merge"


class Loader(_Base):
    """PyYAML's safe loader, whose constructors raise nearly anything: ``!!bool abc`` a KeyError."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            raise _refused("a number is too long", node)
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            kind = node.tag.rpartition(":")[2]
            raise _refused(f"{quoted(node.value)} cannot be read as {kind}", node) from error


def read_table(path: Path, what: str, limit: int, *, aliases: bool = False) -> dict[str, Any]:
    """Read a file that is one table of keys and values: YAML, or JSON by its suffix; an empty file is an empty table.

    Args:
        path: the file.
        what: what it is, for messages: ``board``.
        limit: bytes that it may have.
        aliases: see `parse`.

    Raises:
        UserError: it cannot be read, is larger, is not a table, or `parse` or `refuse_excess` refuses it.
    """
    try:
        content = read_regular(path, limit)
    except FileNotFoundError as error:
        raise UserError(f"{what} file not found", where=path.absolute()) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{what} file cannot be read ({reason})", where=path.absolute()) from error
    document = parse_json(content, path) if path.suffix == ".json" else parse(content, path, aliases=aliases)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UserError(f"a {what} is a table of keys and values", where=path)
    refuse_excess(document, path)
    return document


def parse(content: bytes, where: Path, *, aliases: bool = False, depth: int = MAX_DEPTH) -> Any:
    """Read one YAML document.

    Args:
        content: UTF-8.
        where: the file, for messages.
        aliases: whether ``*name`` is allowed; aliases are not expanded here.
        depth: how deep tables and lists may be nested.

    Raises:
        UserError: it is not UTF-8, not YAML, nested too deep, or has a duplicate key.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8", where=where, hint="save it as YAML in UTF-8") from error
    loader = None
    try:
        _look_through(text, where, aliases, depth)
        loader = Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeated_keys(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise UserError(f"not valid YAML ({_reason(error)})", where=where) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid YAML ({printable(error, 200)})", where=where) from error
    finally:
        if loader is not None:
            loader.dispose()


def parse_json(content: bytes, where: Path) -> Any:
    """Read a JSON document as `parse` does YAML.

    Raises:
        UserError: it is not JSON, nested too deep, or has a duplicate key.
    """

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise UserError(f"duplicate key {quoted(key)}", where=where, hint="remove one")
            found[key] = value
        return found

    try:
        return json.loads(content, object_pairs_hook=table)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not valid JSON ({printable(error, 200)})", where=where) from error


def refuse_excess(document: Any, where: object) -> None:
    """Refuse values that are never meant, before anything computes with them or shows them.

    Raises:
        UserError: a text is too long or has a NUL, a number has more than 63 bits or is not finite, tables are nested
            too deep or have too many values (those of an alias count at each use).
    """
    stack: list[tuple[str, Any, int]] = [("", document, 0)]
    count = 0
    while stack:
        key, value, level = stack.pop()
        count += 1
        problem = _excess(value)
        if count > MAX_VALUES:
            raise UserError(f"more than {MAX_VALUES:,} values", where=where)
        if level > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep"
        if problem:
            raise UserError(f"{problem} in '{key}'" if key else problem, where=where)
        prefix = f"{key}." if key else ""
        if isinstance(value, Mapping):
            for name, item in value.items():
                if problem := _excess(name):
                    raise UserError(f"{problem} as a key", where=where)
                stack.append((f"{prefix}{name}", item, level + 1))
        elif isinstance(value, (list, tuple, set, frozenset)):
            stack += [(f"{prefix}{index}", item, level + 1) for index, item in enumerate(value)]


def _excess(value: Any) -> str | None:
    if isinstance(value, (str, bytes)):
        if len(value) > MAX_TEXT:
            return f"a text of {len(value):,} characters (limit {MAX_TEXT:,})"
        if (b"\0" in value) if isinstance(value, bytes) else ("\0" in value):
            return "a text with a NUL character"
    if isinstance(value, int) and value.bit_length() > 63:
        return "a number of more than 63 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{value}' is not a finite number"
    return None


def _look_through(text: str, where: Path, aliases: bool, depth: int) -> None:
    """Refuse what would be too deep for a recursive reader, from the events of the parser, which is not one."""
    level = 0
    for event in yaml.parse(text, Loader=_Base):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        assert event.start_mark is not None  # of an event that was parsed
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise UserError(
                f"alias '*{printable(event.anchor, 80)}' in line {line}", where=where, hint="write the value"
            )
        if level > depth:
            raise UserError(f"nested too deep in line {line} (limit {depth})", where=where)


def _refuse_repeated_keys(root: yaml.Node) -> None:
    """Raise for a duplicate key: in YAML the last one wins, silently."""
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            stack += node.value
            continue
        first: dict[tuple[str, str], yaml.Node] = {}
        for key, value in node.value:
            stack += [key, value]
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                earlier = first.setdefault((key.tag, key.value), key)
                if earlier is not key:
                    line = earlier.start_mark.line + 1
                    raise _refused(f"duplicate key {quoted(key.value)}, first in line {line}", key)


def _refused(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _reason(error: yaml.YAMLError) -> str:
    """Return what a parser says, and the line: without its name for the text, and bounded."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem:
        mark = error.problem_mark or error.context_mark
        context = f"{error.context}: " if error.context else ""
        return (f"line {mark.line + 1}: " if mark else "") + printable(f"{context}{error.problem}", 300)
    return printable(" ".join(str(error).split()), 300)
