"""Write the types of the result documents from their JSON Schemas: ``python -m tools.documents``.

Each schema in ``workflow/schemas`` whose documents are read becomes a ``TypedDict``, and so does each object within it.
What schemas share has one type. The functions that read a document get one signature per schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[1] / "workflow" / "schemas"
FOLDER = SCHEMAS.parent / "evo"
MADE = "Made by `make documents` from workflow/schemas: do not edit."
WIDTH = 120

TYPES = f'''\
"""Types of the JSON documents of a session, by schema. {MADE}"""
# fmt: off
# ruff: noqa: E501, UP013

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

'''
READERS = f'''\
"""What reading a document returns, by schema. {MADE}"""
# fmt: off
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, cast, overload

from . import documents
'''
READER = '''

class {name}(Protocol):
{signatures}

def {decorator}(function: Callable[[Path, str], Any]) -> {name}:
    """Give a function that reads a document by path and schema the types of the documents."""
    return cast({name}, function)
'''
SIGNATURE = """\
    @overload
    def __call__(self, path: Path, schema: {schema}) -> {result}: ...
"""

SHARED = "shared"
TYPED_ELSEWHERE = frozenset({"board", "config", "monitor"})
"""Schemas without a type here: boards and configurations are dataclasses, and nothing reads a state of the monitor."""

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Types:
    """The types of documents, defined as they are asked for, those that others need first.

    Attributes:
        fields: annotation of each key of each type, both by name.
    """

    def __init__(self) -> None:
        self.fields: dict[str, dict[str, str]] = {}
        self._schemas = {path.name: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.schema.json"))}

    def names(self) -> list[str]:
        """Return the schemas whose documents have a type, sorted."""
        found = (file.removesuffix(".schema.json") for file in self._schemas)
        return [name for name in found if name not in TYPED_ELSEWHERE and name != SHARED]

    def document(self, name: str) -> str:
        """Return the name of the type of a schema's documents."""
        file = f"{name}.schema.json"
        return self._type(self._schemas[file], _camel(name), file)

    def _type(self, schema: dict[str, Any], name: str, file: str) -> str:
        """Return the annotation for a schema; an object in it is named ``name``."""
        if reference := schema.get("$ref"):
            return self._referred(reference, schema, name, file)
        if "const" in schema or "enum" in schema:
            values = schema.get("enum", [schema.get("const")])
            return f"Literal[{', '.join(json.dumps(value).replace('null', 'None') for value in values)}]"
        if "type" not in schema:
            parts = schema.get("anyOf") or schema["oneOf"]
            return " | ".join(self._type(part, name, file) for part in parts)
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return " | ".join(self._of_kind(kind, schema, name, file) for kind in kinds)

    def _referred(self, reference: str, schema: dict[str, Any], name: str, file: str) -> str:
        """Return the type of what a ``$ref`` points to, named after its own place, or that with further keys."""
        other, _, pointer = reference.partition("#/")
        owner = (other or file).removesuffix(".schema.json")
        target, parts = self._schemas[other or file], pointer.split("/")
        for part in parts:
            target = target[part]
        own = _camel(parts[-1]) if owner == SHARED else _camel(f"{owner}_{parts[-1]}")
        base = self._type(target, own, other or file)
        return self._object(name, schema, file, self.fields[base]) if "properties" in schema else base

    def _of_kind(self, kind: str, schema: dict[str, Any], name: str, file: str) -> str:
        if kind == "array":
            return f"list[{self._type(schema['items'], name.removesuffix('s'), file)}]"
        if kind != "object":
            return PLAIN[kind]
        if "properties" in schema:
            return self._object(name, schema, file, {})
        values = schema.get("additionalProperties")
        return f"dict[str, {self._type(values, name, file) if isinstance(values, dict) else 'Any'}]"

    def _object(self, name: str, schema: dict[str, Any], file: str, inherited: dict[str, str]) -> str:
        """Define the type of an object and return its name.

        Raises:
            ValueError: another object has that name, or the schema says nothing of a key that it requires.
        """
        required = set(schema.get("required", ()))
        if missing := required - set(schema["properties"]):
            raise ValueError(f"{file}: what is {', '.join(sorted(missing))} of {name}?")
        fields = dict(inherited)
        for key, value in schema["properties"].items():
            kind = self._type(value, name + _camel(key), file)
            fields[key] = kind if key in required else f"NotRequired[{kind}]"
        if self.fields.setdefault(name, fields) != fields:
            raise ValueError(f"{file}: two objects are named {name}: rename a key of $defs")
        return name


def modules() -> dict[Path, str]:
    """Return the text of each module by its path."""
    types = Types()
    found = {name: types.document(name) for name in types.names()}
    results = {f'Literal["{name}"]': f"documents.{kind}" for name, kind in found.items()} | {"str": "Any"}
    return {
        FOLDER / "documents.py": TYPES + "".join(_definition(name, fields) for name, fields in types.fields.items()),
        FOLDER / "document_readers.py": READERS
        + _reader("Read", "reads", results)
        + _reader(
            "ReadIfThere",
            "reads_if_there",
            {schema: f"tuple[{result} | None, str | None]" for schema, result in results.items()},
        ),
    }


def _definition(name: str, fields: dict[str, str]) -> str:
    """Return the definition of a type: in one line, or with as many keys in a line as fit."""
    start, items = f'{name} = TypedDict("{name}", {{', [f'"{key}": {kind},' for key, kind in fields.items()]
    short = f"{start}{' '.join(items).removesuffix(',')}}})\n"
    if len(short) <= WIDTH:
        return short
    lines = [""]
    for item in items:
        if len(lines[-1]) + 1 + len(item) > WIDTH - 3:
            lines.append("")
        lines[-1] += f" {item}"
    return "\n".join([start, *(f"   {line}" for line in lines), "})\n"])


def _reader(name: str, decorator: str, results: dict[str, str]) -> str:
    """Return the type of a function with what it returns by schema, and what gives a function that type."""
    signatures = "".join(SIGNATURE.format(schema=schema, result=result) for schema, result in results.items())
    return READER.format(name=name, decorator=decorator, signatures=signatures)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def main() -> None:
    for path, text in modules().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
