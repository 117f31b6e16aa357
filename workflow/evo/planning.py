"""Small answers that the rules need while Snakemake plans: cheap, and without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from .config import Session
from .environment import cpu_count
from .errors import UserError, did_you_mean
from .files import sha256_file, sha256_json


def unknown_targets(session: Session, arguments: Iterable[str]) -> None:
    """Refuse a file on the command line that belongs to a variant or a session which is not configured.

    Raises:
        UserError: naming the nearest variant.
    """
    known = {"data", "logs", "benchmarks", *session.variant_names}
    for target in arguments:
        path = PurePosixPath(target)
        if path.is_relative_to(session.root) and len(path.parts) > len(session.root.parts) + 1:
            name = path.parts[len(session.root.parts)]
            if name not in known:
                raise UserError(
                    f"unknown variant '{name}'", where=target, hint=did_you_mean(name, session.variant_names)
                )
        elif path.parts[:1] == ("results",) and len(path.parts) > 2 and not path.is_relative_to(session.root):
            raise UserError(
                f"the session is '{session.name}', not '{path.parts[1]}'",
                where=target,
                hint=f"name its configuration with --configfile, or ask for results/{session.name}/…",
            )


def training_threads(session: Session) -> int:
    """Return the processors that one training occupies: its data loaders and itself on a GPU, all but one on a CPU.

    Ultralytics leaves one out (``NUM_THREADS``), and it is right: OpenMP threads that wait for a processor which
    another job holds made an epoch 25 times slower.
    """
    return max(cpu_count() - 1, 1) if str(session.train.get("device")) == "cpu" else int(session.train["workers"]) + 1


def evaluation_gpus(session: Session) -> int:
    """Return the GPU tokens of an evaluation: it leases a GPU as a training does, unless all runs on the CPU."""
    return int(str(session.train.get("device")) != "cpu")


def tree_hash(subject: str) -> str:
    """Return a hash of all files of one subject of this library, such as ``reporting``: its code and templates."""
    root = Path(__file__).parent / subject
    files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sha256_json({path.relative_to(root).as_posix(): sha256_file(path) for path in files})
