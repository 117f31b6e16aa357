"""The `train:` block: every Ultralytics training argument by name and type, except those that the workflow owns.

The names, defaults, types and ranges are read from the installed Ultralytics package (``cfg/default.yaml`` and the
literal tables in ``cfg/__init__.py``) as text: importing it would import torch, and every dry run would wait for it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError, did_you_mean
from ..printable import quoted
from ..remembered import version
from .strict_yaml import parse

OWNED = {
    "resume": "a run resumes from its own checkpoint by itself",
    "project": "results go to results/{session}/{variant}/train",
    "name": "results go to results/{session}/{variant}/train",
    "exist_ok": "results go to results/{session}/{variant}/train",
    "save_dir": "results go to results/{session}/{variant}/train",
    "model": "the grid and the 'models' table say which networks are trained",
    "data": "the top-level key 'data' names the dataset",
    "task": "the workflow trains detectors",
    "mode": "the workflow calls train and val itself",
    "cfg": "put the arguments themselves under 'train'",
    "save": "checkpoints are what a run resumes from",
    "split": "use 'evaluate: {splits: […]}'",
    "quantize": "the shipped file is quantised after training, quantisation-aware training is not supported",
}
"""Arguments that the workflow sets itself, and why."""

CHOICES = {"amp": (True, False, "fp16", "bf16", "fp32"), "cache": (True, False, "ram", "disk")}
"""Values of these arguments. Ultralytics treats any other text as True, ``amp: 'false'`` too."""

UNSUPPORTED = {
    "distill_model": "a distillation that is interrupted cannot be continued",
    "dis": "it weighs the loss of a distillation, which is not supported",
}
"""Arguments that may only have their default, and why."""

RUNTIME = frozenset({"device", "verbose", "plots", "save_period", "profile", "cache", "workers", "deterministic"})
"""Arguments that decide where and how a training runs. The number of data loader processes and nondeterministic
operations change bits, as another processor does, but no distribution.
`training.determinism.Conditions` records them."""

OTHER_TASKS = frozenset(
    {
        "overlap_mask",  # masks of segmentation: loss.py, `v8SegmentationLoss`
        "mask_ratio",
        "dropout",  # classification: models/yolo/classify/train.py
        "auto_augment",  # classification: `ClassificationDataset`
        "erasing",
        "pose",  # gains of the losses of pose, oriented boxes and depth: loss.py
        "kobj",
        "rle",
        "angle",
        "dlog",
        "dgrad",
        "dlam",
    }
)
"""Arguments that Ultralytics 8.4.190 reads only for tasks other than detection."""

UNREAD = frozenset(
    {
        "save_json",  # adds accuracies by object size to the metrics: the choice of the best epoch does not read them
        "dnn",  # OpenCV for ONNX files
        "cls_remap",  # how Ultralytics loads pretrained weights: `workflow.evo.models.transfer` does it here
    }
)
"""Arguments that do not affect the weights of a detector."""

NEUTRAL = RUNTIME | OTHER_TASKS | UNREAD
"""Arguments that are left out of a recipe. The thresholds of validation (``conf``, ``iou``, ``max_det``, ``nms``)
are in it: they decide which epoch is the best."""

SECTIONS = ("Train settings", "Val/Test settings", "Hyperparameters")
"""Sections of Ultralytics' table whose arguments its trainer reads."""

STRIDE = 32
"""Largest stride of the networks of the grid, in pixels: the network input is a multiple of it."""

_LINE = re.compile(r"^(?P<name>\w+):(?P<default>[^#]*)# \((?P<types>[^)]*)\) (?P<help>.*)$")
_TYPES = dict[str, type | tuple[type, ...]](
    int=int, float=(int, float), bool=bool, str=str, list=list, tuple=(list, tuple)
)


@dataclass(frozen=True)
class Argument:
    """One row of Ultralytics' table: ``types`` are names such as ``int``; ``optional`` allows null."""

    name: str
    default: Any
    types: tuple[str, ...]
    optional: bool
    section: str
    help: str


def ultralytics_folder() -> Path:
    """Return the folder of the installed Ultralytics package, without importing it, or raise a UserError."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise UserError("Ultralytics is not installed in this Python environment", hint="run `make setup`")
    return Path(spec.origin).parent


def ultralytics_version() -> str:
    """Return the installed version of Ultralytics, under either of its two distribution names."""
    for name in ("ultralytics-opencv-headless", "ultralytics"):
        try:
            return version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise UserError("Ultralytics is not installed in this Python environment", hint="run `make setup`")


@cache
def table() -> dict[str, Argument]:
    """Return every argument of Ultralytics' table by name, of all sections."""
    arguments, section = {}, ""
    for line in (ultralytics_folder() / "cfg" / "default.yaml").read_text().splitlines():
        if heading := re.match(r"^# (?P<name>[\w/. -]+?) -{5,}$", line):
            section = heading["name"]
        elif row := _LINE.match(line):
            types = [part.strip() for part in re.split(r"[|,]", row["types"])]
            names = tuple(re.sub(r"\[.*", "", kind) for kind in types if kind != "optional")
            name, default = row["name"], parse(row["default"].encode(), Path(row["name"]))
            arguments[name] = Argument(name, default, names, "optional" in types, section, row["help"])
    return arguments


@cache
def _literals() -> dict[str, Any]:
    """Return the tables of ranges in Ultralytics' ``cfg/__init__.py`` (``CFG_FRACTION_KEYS``, ``CFG_INT_MIN``)."""
    found = {}
    for node in ast.parse((ultralytics_folder() / "cfg" / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if name.startswith("CFG_"):
                if isinstance(value, ast.Call) and value.args:  # frozenset({...})
                    value = value.args[0]
                if isinstance(value, (ast.Set, ast.Dict)):
                    found[name] = ast.literal_eval(value)
    return found


def accepted() -> dict[str, Argument]:
    """Return the arguments that ``train:`` may have, by name."""
    return {name: arg for name, arg in table().items() if arg.section in SECTIONS and name not in OWNED}


def convert(name: str, value: Any) -> Any:
    """Give a command-line string the type of its argument; leave what does not fit for `check` to refuse."""
    if isinstance(value, list):
        return [convert(name, item) for item in value]
    argument = table().get(name)
    if not isinstance(value, str) or argument is None:
        return value
    try:
        parsed = parse(value.encode(), Path(name))
    except (UserError, UnicodeEncodeError):
        return value
    if isinstance(parsed, str) and "float" in argument.types:  # YAML 1.1 reads 1e-3 as text
        try:
            parsed = float(parsed)
        except ValueError:
            return value
    if parsed is None or isinstance(parsed, list):
        return parsed
    fits = any(_is(parsed, kind) for kind in argument.types)
    return parsed if fits or not isinstance(argument.default, str) else value


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, _TYPES[kind])


def check(arguments: dict[str, Any], where: str = "train") -> dict[str, Any]:
    """Check the ``train:`` block against Ultralytics' table.

    Args:
        arguments: the block, names and values as read from YAML.
        where: how messages name the block.

    Returns:
        The block, unchanged.

    Raises:
        UserError: an argument is unknown, owned by the workflow, of the wrong type or out of range. All findings are
            in one message.
    """
    problems = [problem for name, value in arguments.items() if (problem := _problem(name, value))]
    if problems:
        raise UserError("; ".join(problems), where=where)
    return arguments


def _problem(name: str, value: Any) -> str | None:
    argument = table().get(name)
    if name in OWNED:
        return f"'{name}' is set by the workflow: {OWNED[name]}"
    if argument is None:
        return f"unknown argument '{name}', {did_you_mean(name, accepted())}"
    if argument.section not in SECTIONS:
        return f"'{name}' is not a training argument ({argument.section})"
    if value is None:
        return None if argument.optional else f"'{name}' must not be empty ({argument.help})"
    if name in UNSUPPORTED and value != argument.default:
        return f"'{name}' is not supported: {UNSUPPORTED[name]}, leave it out"
    return _special(name, value) or _type_problem(argument, value) or _range_problem(name, value)


def _special(name: str, value: Any) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "batch" and not (isinstance(value, int) and number and value >= 1):
        return (
            f"'batch: {quoted(value)}' must be a whole number of images, 1 or more: with an automatic batch size a "
            "resumed training could differ (try 16)"
        )
    if name == "imgsz":
        if not (isinstance(value, int) and number and value >= STRIDE):
            return f"'imgsz: {quoted(value)}' must be one whole number of pixels, {STRIDE} or more"
        if value % STRIDE:
            below = value // STRIDE * STRIDE
            return f"'imgsz: {value}' is not a multiple of {STRIDE}, use {below} or {below + STRIDE}"
    if name == "device" and (isinstance(value, list) or "," in str(value)):
        return f"'device: {quoted(value)}' must be one device: each variant trains on one GPU"
    if name == "device" and str(value) == "-1":
        return "'device: -1' lets Ultralytics pick a GPU, leave it out: a free one is leased"
    if name == "time":
        return (
            f"'time: {quoted(value)}' must be left out: a training limited by time never gives the same weights twice"
        )
    if name == "workers" and number and value < 0:
        return f"'workers: {value}' must be 0 or more"
    if name == "pretrained" and value is not False and not str(value).endswith(".pt"):
        return f"'pretrained: {quoted(value)}' must be the path of a .pt file, or false"
    if name in CHOICES and isinstance(value, str) and value not in CHOICES[name]:
        return f"'{name}: {quoted(value)}' must be one of {', '.join(map(_yaml, CHOICES[name]))}"
    if name == "optimizer":
        valid = re.findall(r"\w+", table()[name].help.partition(":")[2].replace(" or ", " "))
        if str(value).lower() not in {item.lower() for item in valid}:
            return f"unknown optimizer {quoted(value)}, {did_you_mean(value, valid)}"
    return None


def _type_problem(argument: Argument, value: Any) -> str | None:
    if not any(_is(value, kind) for kind in argument.types):
        meant = convert(argument.name, value)
        fix = f" (write {argument.name}: {_yaml(meant)})" if not isinstance(meant, str) and meant != value else ""
        kinds = f"{' or '.join(argument.types)}, not {type(value).__name__}"
        return f"'{argument.name}: {quoted(value)}' must be {kinds}{fix}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, (list, tuple, dict, type(None))) for item in value):
        return f"'{argument.name}: {quoted(value)}' must be a list of numbers or words"
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{argument.name}: {value}' must be finite"
    return None


def _yaml(value: Any) -> str:
    """Return a value as YAML states it: ``true``, ``1.0e-05``."""
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _range_problem(name: str, value: Any) -> str | None:
    literals = _literals()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low = literals["CFG_INT_MIN"].get(name)
        if low is not None and value < low:
            return f"'{name}: {value}' must be {low} or more"
        if name in literals["CFG_FRACTION_KEYS"] and name != "fraction" and not 0 <= value <= 1:
            return f"'{name}: {value}' must be between 0 and 1"
        if name == "fraction" and (value <= 0 or (isinstance(value, float) and value > 1)):
            return f"'fraction: {value}' must be a fraction above 0 and up to 1, or a number of images above 1"
        if name in literals["CFG_FLOAT_KEYS"] and value < 0 and name not in {"degrees", "shear"}:
            return f"'{name}: {value}' must not be negative"
    return None


def with_defaults(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the block completed by Ultralytics' own defaults, sorted by name: what a run is trained with."""
    return dict(sorted({**{name: arg.default for name, arg in accepted().items()}, **arguments}.items()))
