"""The dataset of a session, and the hashes of its content."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..config.session import Session
from ..files import read_json
from .dataset import load_dataset
from .digits import CLASSES, split_identities
from .hashes import DatasetHashes, dataset_hashes
from .listing import list_images

CACHE = Path(".snakemake") / "evo"


def dataset_yaml(session: Session) -> Path:
    """Return the dataset YAML of a session: the configured one, or that of the embedded digits."""
    return session.data or session.layout.digits_yaml


def hash_cache(session: Session) -> Path:
    """Return where the hashes of the dataset's files are kept, relative to the working directory."""
    digest = hashlib.sha256(os.fsencode(dataset_yaml(session).resolve())).hexdigest()
    return CACHE / f"hashes-{digest[:12]}.json"


def session_hashes(session: Session, progress: bool = False) -> DatasetHashes:
    """Return the hashes of a session's dataset. Cheap: unchanged files are not read again.

    The embedded digits need not be drawn for it.

    Raises:
        UserError: the configured dataset is not valid, or a file of it cannot be read.
    """
    if session.data is None:
        return DatasetHashes(split_identities(session.digits), dataset_names(session))
    return dataset_hashes(load_dataset(session.data), hash_cache(session), progress)


def checked_hashes(session: Session) -> DatasetHashes:
    """Return the hashes of the dataset as it was checked; the present ones where the check did not record them, as in
    version 0.1.0.

    Raises:
        EvoError: fingerprint.json is damaged.
    """
    path = session.layout.fingerprint
    fingerprint = read_json(path, "fingerprint") if path.is_file() else None
    if fingerprint is None or "hashes" not in fingerprint:
        return session_hashes(session)
    return DatasetHashes(fingerprint["hashes"], tuple(fingerprint["names"]))


def dataset_names(session: Session) -> tuple[str, ...]:
    """Return the class names of a session's dataset, in the order of their ids. The digits need not be drawn for it."""
    return tuple(map(str, range(CLASSES))) if session.data is None else load_dataset(session.data).names


def training_images(session: Session) -> int:
    """Return how many images the training split has. The digits need not be drawn for it."""
    if session.data is None:
        return session.digits["train"]
    return len(list_images(load_dataset(session.data), "train"))
