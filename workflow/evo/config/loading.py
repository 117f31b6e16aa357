"""From configuration files and command-line overrides to a checked `Session`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError, did_you_mean, nearest
from ..files import load_schema
from ..layout import SessionLayout
from . import train_arguments
from .boards import load_board
from .session import FOLDERS, Goal, NpuSettings, Session, TrainSettings
from .strict_yaml import read_table, refuse_excess
from .variants import ACTIVATIONS, LEVEL_NAMES, REFERENCE, Variant, model_file, variant_name
from .violations import explain, violations

DEMO = "demo"

MAX_BYTES = 4_000_000
"""Size limit of a configuration file."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file (YAML, or JSON, which is YAML).

    Raises:
        UserError: see `read_table`.
    """
    return read_table(Path(path), "configuration", MAX_BYTES, aliases=True)


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``overlay`` over ``base`` key by key, tables within tables, as Snakemake does with ``--configfile``."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def convert_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of ``--config`` the types of the schema.

    Snakemake hands nested values over as text: ``--config 'train={epochs: 3}'`` arrives as ``{'epochs': '3'}``.
    """
    converted = _convert(overrides, load_schema("config"))
    if isinstance(converted.get("train"), dict):
        converted["train"] = {k: train_arguments.convert(k, v) for k, v in converted["train"].items()}
    return converted


def _convert(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(value, Mapping):
        further = schema.get("additionalProperties")
        further = further if isinstance(further, Mapping) else {}
        properties = schema.get("properties", {})
        return {key: _convert(item, properties.get(key, further)) for key, item in value.items()}
    if isinstance(value, list):
        return [_convert(item, schema.get("items", {})) for item in value]
    kinds = kind if isinstance(kind, list) else [kind]
    if isinstance(value, str) and "null" in kinds and value.lower() in {"null", "none", "~"}:
        return None
    if isinstance(value, str):
        for number, read in (("integer", int), ("number", float)):
            if number in kinds:
                try:
                    return read(value)
                except ValueError:
                    return value
    if kind == "string" and value is not None and not isinstance(value, str):
        return str(value)
    return value


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, Mapping) or "properties" not in schema:
        return value
    completed = {
        key: _with_defaults(value.get(key, sub.get("default")), sub)
        for key, sub in schema["properties"].items()
        if key in value or "default" in sub
    }
    return {**value, **completed}


def load_session(config: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Session:
    """Check a configuration and complete it.

    Args:
        config: the merged configuration files (and overrides, when Snakemake merged them).
        overrides: what stood on the command line, whose values may be text.

    Raises:
        UserError: a key, level, activation, argument or file is wrong; the message names the nearest valid one.
    """
    for given in (config, overrides or {}):
        refuse_excess(given, "configuration")
    config = merge(config, convert_overrides(overrides or {}))
    refuse_excess(config, "configuration")
    schema = load_schema("config")
    if errors := violations(config, schema):
        raise UserError("; ".join(explain(error) for error in errors), where="configuration")
    document = _with_defaults(config, schema)
    train_arguments.check(document["train"])
    if weights := document["train"]["pretrained"]:
        _existing(weights, "train.pretrained", "weights file")
    data = None if document["data"] == DEMO else _existing(document["data"], "data", "dataset YAML", "demo")
    boards = document["npu"]["boards"]
    for name in boards:
        load_board(name)
    if table := document["npu"]["measurements"]:
        document["npu"]["measurements"] = str(_existing(table, "npu.measurements", "table of measurements"))
    if (board := document["ship"]["board"]) and board not in boards:
        raise UserError(
            f"board '{board}' is not in npu.boards",
            where="configuration key 'ship.board'",
            hint=did_you_mean(board, boards),
        )
    return _session(document, Path("results") / document["session"], data, _variants(document, _existing))


def recorded_session(root: Path) -> Session:
    """Return the session whose results lie in ``root``, as its ``config.json`` says; no other file has to exist.

    Raises:
        UserError: ``config.json`` is missing, or not of this version.
    """
    path = SessionLayout(root).config
    document = read_yaml(path)
    if errors := violations(document, load_schema("config")):
        hint = "run the session's snakemake command again"
        raise UserError("; ".join(explain(error) for error in errors), where=path, hint=hint)
    document = _with_defaults(document, load_schema("config"))
    data = None if document["data"] == DEMO else Path(document["data"])
    return _session(document, Path(root), data, _variants(document, lambda path, *_: Path(path)))


def _session(document: Mapping[str, Any], root: Path, data: Path | None, variants: tuple[Variant, ...]) -> Session:
    boards = tuple(document["npu"]["boards"])
    return Session(
        name=document["session"],
        root=root,
        data=data,
        digits=document["digits"],
        variants=variants,
        train=TrainSettings.of(document["train"]),
        splits=tuple(document["evaluate"]["splits"]),
        npu=NpuSettings(
            **{
                **document["npu"],
                "boards": boards,
                "measurements": Path(measurements) if (measurements := document["npu"]["measurements"]) else None,
            }
        ),
        goal=Goal(**{**document["ship"], "board": document["ship"]["board"] or boards[0]}),
        language=document["report"]["language"],
        document=document,
        track=tuple(document["track"]),
        replicates=document["replicates"],
    )


def load_session_files(paths: Iterable[Path]) -> Session:
    """Check and complete the configuration that is spread over ``paths``, each laid over the one before."""
    config: dict[str, Any] = {}
    for path in paths:
        config = merge(config, read_yaml(path))
    return load_session(config)


def _existing(path: str, key: str, what: str, *further: str) -> Path:
    """Return the absolute path of an existing file, or refuse with the absolute path tried and its nearest sibling."""
    key = f"configuration key '{key}'"
    try:
        absolute = Path(path).resolve()
        if absolute.is_file():
            return absolute
    except (OSError, RuntimeError, ValueError) as error:
        # Python 3.11 and 3.12 raise RuntimeError for links in a circle.
        reason = "is a link to itself" if isinstance(error, RuntimeError) else f"cannot be read ({_reason(error)})"
        raise UserError(f"{what}: {Path(path).absolute()} {reason}", where=key, hint="fix the path") from error
    if absolute.is_dir():
        raise UserError(f"{what}: {absolute} is a folder", where=key, hint="name a file in it")
    if absolute.exists():
        raise UserError(f"{what}: {absolute} is a pipe, socket or device", where=key, hint="name a regular file")
    pattern = "*.pt" if absolute.suffix == ".pt" else "[!.]*.y*ml"
    siblings = (
        sorted(item.name for item in absolute.parent.glob(pattern)) if os.access(absolute.parent, os.R_OK) else []
    )
    close = nearest(absolute.name, [*siblings, *further])
    if close is not None:
        hint = f"did you mean '{close}'?"
    else:
        hint = f"paths in the configuration are relative to the working directory {Path.cwd()}"
    raise UserError(f"{what} not found: {absolute}", where=key, hint=hint)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _variants(document: Mapping[str, Any], find: Callable[..., Path]) -> tuple[Variant, ...]:
    grid, variants = document["grid"], []
    for level in grid["levels"]:
        for activation in (REFERENCE,) if level == 1 else grid["activations"]:
            path = model_file(level, activation)
            if not path.is_file():
                siblings = sorted(item.name for item in path.parent.glob("*.yaml"))
                raise UserError(
                    f"model file not found: {path}",
                    where=f"grid level {level} ({LEVEL_NAMES[level]}), activation {activation}",
                    hint=did_you_mean(path.name, siblings),
                )
            variants.append(Variant(variant_name(level, activation), path, level, activation))
    reserved = {variant_name(level, activation) for level in LEVEL_NAMES for activation in ACTIVATIONS}
    reserved |= FOLDERS
    for name, entry in document["models"].items():
        if name in reserved:
            raise UserError(f"the name '{name}' belongs to the workflow", where="configuration key 'models'")
        path = find(entry["yaml"], f"models.{name}.yaml", "model file")
        variants.append(Variant(name, path))
    if not variants:
        raise UserError("no variant is left", where="configuration", hint="name levels and activations, or 'models'")
    everything = [one for variant in variants for one in variant.replicates(document["replicates"])]
    names = Counter(variant.name for variant in everything)
    if twice := [name for name, number in names.items() if number > 1]:
        hint = "rename that model: further replicates are named after the variant, with _s1, _s2, …"
        raise UserError(f"two variants are named '{twice[0]}'", where="configuration key 'models'", hint=hint)
    return tuple(everything)
