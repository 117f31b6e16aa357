"""Check of the files of the grid against their names, which the report shows."""

from __future__ import annotations

import re

from ..config.variants import ACTIVATIONS, LEVEL_NAMES
from ..errors import did_you_mean
from . import expressions
from .expressions import SILU, Activation
from .header import HeaderReader

_GRID_FILE = re.compile(r"npu_level(?P<level>[^_]*)_(?P<name>.+)_(?P<activation>[^_]+)")


def check_name(
    header: HeaderReader, level: int | None, activation: Activation | None, reg_max: int, max_channels: float
) -> None:
    """Add a problem where a file with a name of the grid is not what its name says.

    Args:
        header: of the file.
        level: as its ``npu`` block has it.
        activation: as the file has it.
        reg_max: bins of the box distribution.
        max_channels: upper limit of channels before the width.
    """
    path, problems = header.path, header.problems
    if not path.stem.startswith("npu_level"):
        return
    stems = [f"npu_level{n}_{LEVEL_NAMES[n]}_{a}" for n in LEVEL_NAMES for a in ACTIVATIONS]
    if path.stem not in stems:
        problems.add(0, f"no model of the grid is named '{path.name}', {did_you_mean(path.stem, stems)}")
    match = _GRID_FILE.fullmatch(path.stem)
    if match is None:
        return
    named = int(match["level"]) if match["level"] in {str(n) for n in LEVEL_NAMES} else None
    if named is not None and named != level:
        said = "no level" if level is None else f"level {level}"
        problems.add(header.line("npu"), f"the file name says level {named}, 'npu' says {said}")
    wanted = ACTIVATIONS.get(match["activation"])
    if wanted is not None and (activation or SILU) != expressions.parse(wanted.expression):
        said = str(activation) if activation else "SiLU (no valid key 'activation')"
        problems.add(
            header.line("activation"),
            f"the file name says {match['activation']}, which is {wanted.expression}, the file says {said}",
        )
    if named is not None and named >= 2 and max_channels > 512:
        problems.add(header.line("scales"), f"level {named} limits max_channels to 512, not {max_channels:g}")
    if named is not None and named >= 3 and reg_max != 1:
        problems.add(header.line("reg_max"), f"level {named} has no box distribution: reg_max must be 1")
