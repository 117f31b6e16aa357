"""Why a stage has no result: the last error in the log of its rule."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 64 * 1024
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def logged_error(root: Path, rule: str, variant: str | None = None) -> str | None:
    """Return the last error line that ``rule`` logged below ``{root}/logs``, or None.

    A log belongs to the rule (and variant) whose names stand in its path: ``logs/train/level2_relu.log`` and
    ``logs/level2_relu/train.log`` alike.
    """
    wanted = {rule} | ({variant} if variant else set())
    for path in sorted((Path(root) / "logs").rglob("*.log")):
        words = {word for part in path.relative_to(root).with_suffix("").parts for word in part.split(".")}
        if wanted <= words and (variant or words == {"logs", rule}):
            return _last_error(path)
    return None


def _last_error(path: Path) -> str | None:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = [_CONTROL.sub("", line).strip() for line in stream.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    for line in reversed(lines):
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1]
    return None
