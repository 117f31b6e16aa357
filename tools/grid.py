"""Write what follows from the table of activations: ``python -m tools.grid``.

The model files of a level differ in the activation only: those of ReLU are written by hand, the others from them. The
schema of the configuration lists the names to choose from.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from workflow.evo.config.variants import ACTIVATIONS, CHOICES, LEVEL_NAMES, model_file
from workflow.evo.files import SCHEMAS
from workflow.evo.models.expressions import parse

WRITTEN = "relu"
"""The activation whose model files are written by hand."""

CONFIG = SCHEMAS / "config.schema.json"
NAMES = re.compile(r'("activations": \{[^}]*?"enum": )\[[^\]]*\]')


def files() -> dict[Path, str]:
    """Return the text of each file by its path."""
    found = {
        model_file(level, name): _with(model_file(level, WRITTEN).read_text(), name)
        for level in LEVEL_NAMES
        if level != 1
        for name in CHOICES
    }
    schema, count = NAMES.subn(lambda match: match[1] + json.dumps(list(CHOICES)), CONFIG.read_text())
    if count != 1:
        raise ValueError(f"{CONFIG}: {count} lists of activations, not one")
    return {**found, CONFIG: schema}


def _with(text: str, name: str) -> str:
    """Return a model file with another activation, in its comments too."""
    old, new = ACTIVATIONS[WRITTEN].expression, ACTIVATIONS[name].expression
    lines = text.replace(f"activation: {old}\n", f"activation: {new}\n").splitlines(keepends=True)
    named = re.compile(rf"\b{parse(old).name}\b")
    return "".join(named.sub(parse(new).name, line) if line.startswith("#") else line for line in lines)


def main() -> None:
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
