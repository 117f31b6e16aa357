"""Writing files so that a reader never sees half of one, and reading the workflow's own JSON."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .errors import DiskFull, EvoError, UserError

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
FULL = {
    errno.ENOSPC: ("no space left", "free disk space"),
    errno.EDQUOT: ("the disk quota is used up", "free disk space"),
    errno.EFBIG: ("the limit on the size of a file (ulimit -f) is reached", "raise that limit"),
}
"""Why nothing more can be written, and what to do."""


@contextlib.contextmanager
def explain_os_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn a full disk or a missing permission while ``doing`` something to ``path`` into an explanation.

    Raises:
        DiskFull: no space, quota or allowed file size is left.
        UserError: the folder is not writable.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            what, mend = FULL[error.errno]
            hint = f"{mend}, then run the same command again"
            raise DiskFull(f"{what} while {doing}", where=path, hint=hint) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise UserError(
                f"not allowed to write while {doing}",
                where=path,
                hint="make the folder writable, or run in another one with `snakemake -s …/Snakefile -d FOLDER`",
            ) from error
        raise


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write ``content`` to ``path`` through a temporary file beside it, fsync and rename.

    Args:
        path: the file.
        content: text is written as UTF-8.
        durable: whether it has to survive a power failure; False leaves out the fsync, which may take long.

    Raises:
        UserError: the folder is not writable.
        DiskFull: whatever was at ``path`` before is unchanged.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    with explain_os_errors(path, "writing a file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            draft.chmod(0o644)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@cache
def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema ``workflow/schemas/{name}.schema.json``."""
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text())


@cache
def _validator(name: str) -> Any:
    """One validator per schema: `jsonschema.validate` would check the schema itself with every document."""
    import jsonschema

    return jsonschema.Draft202012Validator(load_schema(name))


def dump_json(schema: str, document: dict[str, Any]) -> str:
    """Validate ``document`` (without its ``schema_version``) against ``schema`` and return it as text.

    Raises:
        jsonschema.ValidationError: the document breaks the results contract: a defect of this program.
    """
    document = {"schema_version": load_schema(schema)["properties"]["schema_version"]["const"], **document}
    _validator(schema).validate(document)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def violates(schema: str, document: dict[str, Any]) -> bool:
    """Return whether ``document`` (without its ``schema_version``) breaks ``schema``."""
    version = load_schema(schema)["properties"]["schema_version"]["const"]
    return not _validator(schema).is_valid({"schema_version": version, **document})


def write_json(path: Path, schema: str, document: dict[str, Any], *, durable: bool = True) -> None:
    """Write what `dump_json` returns as `write_atomically` does."""
    write_atomically(path, dump_json(schema, document), durable=durable)


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """Read a JSON document of this workflow and hold it against its schema.

    Raises:
        EvoError: the file is missing, damaged or of another schema version.
    """
    import jsonschema

    try:
        document = json.loads(Path(path).read_text())
        _validator(schema).validate(document)
    except FileNotFoundError as error:
        raise EvoError("file not found", where=Path(path).resolve(), hint="run the rule that makes it") from error
    except (ValueError, jsonschema.ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise EvoError(
            f"damaged or not of this version ({reason})", where=path, hint="delete it and run snakemake again"
        ) from error
    return document


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's content."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(document: Any) -> str:
    """Return the hexadecimal SHA-256 of a JSON document, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, allow_nan=False).encode()).hexdigest()
