"""Jinja2 as this project uses it: an unknown name is an error, and a line of template code leaves no line behind."""

from __future__ import annotations

from collections.abc import Callable
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


def translate(environment: Any, gettext: Callable[[str], str], ngettext: Callable[[str, str, int], str]) -> None:
    """Give templates ``_("… %(name)s", name=…)``, ``ngettext`` and ``{% trans %}``.

    Args:
        environment: the `jinja2.Environment`.
        gettext: returns a text as the catalogue has it, without its parameters.
        ngettext: the same for a singular, a plural and a number.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(gettext, ngettext, newstyle=True)
