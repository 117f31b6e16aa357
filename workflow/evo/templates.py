"""Jinja2 as this project uses it: an unknown name is an error, and a line of template code leaves no line behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def environment(folder: Path, **settings: Any) -> Any:
    """Return a `jinja2.Environment` over the templates of ``folder``; ``settings`` as it takes them."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **settings,
    )
