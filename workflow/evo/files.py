"""Writing files so that a reader never sees half of one, and reading the workflow's own JSON."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from .document_readers import reads
from .errors import DiskFull, EvoError, UserError

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"
FULL = {
    errno.ENOSPC: ("no space left", "free disk space"),
    errno.EDQUOT: ("the disk quota is used up", "free disk space"),
    errno.EFBIG: ("the limit on the size of a file (ulimit -f) is reached", "raise that limit"),
}
"""Why nothing more can be written, and what to do."""

OBSTRUCTED = {
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file, or a link to nothing, stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ELOOP: "a link leads to itself",
}
"""What may lie in the way of a file."""

MAX_JSON_BYTES = 256 << 20
"""Most that is read of a JSON document of this workflow; the largest, of a long training, has a few MiB."""


@contextlib.contextmanager
def explain_os_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn a full disk or a missing permission while ``doing`` something to ``path`` into an explanation.

    Raises:
        DiskFull: no space, quota or allowed file size is left.
        UserError: the folder is not writable, or something lies in the way.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            what, remedy = FULL[error.errno]
            hint = f"{remedy}, then run the same command again"
            raise DiskFull(f"{what} while {doing}", where=path, hint=hint) from error
        if error.errno in OBSTRUCTED:
            raise UserError(
                OBSTRUCTED[error.errno],
                where=_obstacle(error, path),
                hint="move it out of the way, then run the same command again",
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise UserError(
                f"not allowed to write while {doing}",
                where=path,
                hint="make the folder writable, or run in another one with `snakemake -s …/Snakefile -d FOLDER`",
            ) from error
        raise


def _obstacle(error: OSError, path: Path) -> Path:
    """Return what lies in the way of ``path``: the path itself or the first of its parents that is not a folder."""
    path = Path(error.filename2 or path) if error.errno == errno.EISDIR else Path(path)
    parents = [folder for folder in reversed(path.absolute().parents) if os.path.lexists(folder)]
    return next((folder for folder in parents if not folder.is_dir()), path)


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file, or a link to one, to read its bytes.

    A pipe or a device, which may have no end or never answer, is neither waited for nor read.

    Raises:
        OSError: the file cannot be read, or is not a regular one.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "a pipe, socket or device, not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: it cannot be read, is not a regular file, or is larger (``EFBIG``).
    """
    with open_regular(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit:,} bytes", str(path))
    return content


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

    return jsonschema.Draft202012Validator(load_schema(name), registry=_registry())


@cache
def _registry() -> Any:
    """Return all schemas by the name of their file, which is how they refer to one another."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    names = [path.name for path in SCHEMAS.glob("*.schema.json")]
    return Registry().with_resources(
        (name, DRAFT202012.create_resource(load_schema(name.removesuffix(".schema.json")))) for name in names
    )


def dump_json(schema: str, document: dict[str, Any]) -> str:
    """Validate ``document`` (without its ``schema_version``) against ``schema`` and return it as text.

    Raises:
        jsonschema.ValidationError: the document breaks the results contract: a defect of this program.
    """
    document = {"schema_version": schema_version(schema), **document}
    _validator(schema).validate(document)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def violates(schema: str, document: dict[str, Any]) -> bool:
    """Return whether ``document`` (without its ``schema_version``) breaks ``schema``."""
    return not _validator(schema).is_valid({"schema_version": schema_version(schema), **document})


def schema_version(schema: str) -> int:
    """Return the version that documents of ``schema`` are written in: the first one where it reads earlier ones too."""
    version = load_schema(schema)["properties"]["schema_version"]
    return version["const"] if "const" in version else version["enum"][0]


def write_json(path: Path, schema: str, document: dict[str, Any], *, durable: bool = True) -> None:
    """Write what `dump_json` returns as `write_atomically` does."""
    write_atomically(path, dump_json(schema, document), durable=durable)


@reads
def read_json(path: Path, schema: str) -> Any:
    """Read a JSON document of this workflow and check it against its schema.

    Raises:
        EvoError: the file is missing, damaged or of another schema version.
    """
    import jsonschema

    try:
        document = json.loads(read_regular(path, MAX_JSON_BYTES))
        _validator(schema).validate(document)
    except FileNotFoundError as error:
        raise EvoError("file not found", where=Path(path).resolve(), hint="run the rule that makes it") from error
    except OSError as error:
        raise EvoError(f"cannot be read ({error.strerror})", where=path, hint="make it readable") from error
    except (ValueError, RecursionError, jsonschema.ValidationError) as error:
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
