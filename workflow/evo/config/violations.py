"""Explaining how a document from a user violates its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import did_you_mean
from ..printable import printable, quoted

SHOWN = 20
"""Unknown keys that one message lists."""

KINDS = {
    "object": "a table of keys and values",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "null": "null",
}


def violations(document: Mapping[Any, Any], schema: Mapping[str, Any]) -> list[Any]:
    """Return the violations (`jsonschema.ValidationError`) in the order of the keys; of a wrong type, that one only."""
    import jsonschema

    def whole(_checker: object, value: object) -> bool:  # JSON Schema accepts 2.0 as an integer
        return isinstance(value, int) and not isinstance(value, bool)

    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", whole)
    validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)
    errors = sorted(validator(schema).iter_errors(document), key=lambda error: list(map(str, error.absolute_path)))
    mistyped = [error.absolute_path for error in errors if error.validator == "type"]
    return [error for error in errors if error.validator == "type" or error.absolute_path not in mistyped]


def where(error: Any) -> str:
    """Return the key that a violation is at, ``grid.levels.0``; empty for the document itself."""
    return ".".join(str(part) for part in error.absolute_path)


def kinds(error: Any) -> str:
    """Return what a violation of ``type`` asks for: ``a number or null``."""
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    return " or ".join(KINDS.get(kind, str(kind)) for kind in wanted)


def unknown_keys(error: Any) -> str:
    """Return a sentence for a violation of ``additionalProperties``, with the nearest known key for each."""
    known, prefix = error.schema.get("properties", {}), f"{where(error)}." if where(error) else ""
    unknown = [key for key in error.instance if key not in known]
    found = [f"unknown key '{prefix}{printable(key, 80)}', {did_you_mean(key, known)}" for key in unknown[:SHOWN]]
    return "; ".join([*found, *([f"… and {len(unknown) - SHOWN} more"] if unknown[SHOWN:] else [])])


def explain(error: Any) -> str:
    """Return one sentence for a schema violation: which key, what is wrong, the nearest valid answer."""
    at = f"'{where(error)}'" if where(error) else "the configuration"
    if "propertyNames" in error.absolute_schema_path:
        return f"the name {quoted(error.instance)} in {at}: letters, digits, '-' and '_' only, a letter first"
    if error.validator == "additionalProperties":
        return unknown_keys(error)
    if error.validator == "enum":
        nouns = {"levels": "level", "activations": "activation", "splits": "split"}
        nouns |= {"report": "language", "track": "tracker"}
        noun = nouns.get(str(error.absolute_path[0 if len(error.absolute_path) == 1 else -2]), "value")
        return f"unknown {noun} {quoted(error.instance)} in {at}, {did_you_mean(error.instance, error.validator_value)}"
    if error.validator == "type":
        return f"{at} must be {kinds(error)}, not {quoted(error.instance)}"
    if error.validator == "contains":
        return f"{at} must name {quoted(error.validator_value['const'])}, not only {quoted(error.instance)}"
    if error.validator == "minItems":
        return f"{at} is an empty list: name one at least"
    if error.validator == "pattern":
        return f"{at} is {quoted(error.instance)}: letters, digits, '-' and '_' only, a letter or digit first"
    return f"{at}: {error.message}"
