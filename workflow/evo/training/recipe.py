"""The identity of a training: a hash of everything its result depends on.

Snakemake gets it as a parameter of the rule `train`, so a run is repeated when, and only when, it changes: not for a
touched file, a comment or another report template. The same hash stamps the checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config import Session
from ..data.source import CACHE
from ..files import sha256_json
from ..models.graph import identity
from ..remembered import sha256_remembered, version
from ..train_arguments import RUNTIME, ultralytics_version, with_defaults
from ..variants import Variant


def arguments_of(session: Session) -> dict[str, Any]:
    """Return the training arguments that the result depends on, Ultralytics' defaults included.

    Without ``pretrained``, which is a path: what counts of it is its content.
    """
    omitted = {*RUNTIME, "pretrained"}
    return {name: value for name, value in with_defaults(dict(session.train)).items() if name not in omitted}


def pretrained_hash(session: Session) -> str | None:
    """Return the SHA-256 of the pretrained weights; None when training starts from random ones."""
    pretrained = session.train["pretrained"]
    return sha256_remembered(Path(pretrained), CACHE / "weights.json") if pretrained else None


def recipe_document(
    session: Session, variant: Variant, data_hash: str, nc: int, model: str | None = None
) -> dict[str, Any]:
    """Return what a training of ``variant`` depends on.

    Args:
        data_hash: content hash of the dataset.
        nc: number of classes of the dataset.
        model: `identity` of the variant's network, where it is known already.
    """
    return {
        "arguments": arguments_of(session),
        "model": model or identity(variant.yaml, nc),
        "data": data_hash,
        "pretrained": pretrained_hash(session),
        "ultralytics": ultralytics_version(),
        "torch": version("torch"),
    }


def recipe(session: Session, variant: Variant, data_hash: str, nc: int, model: str | None = None) -> str:
    """Return the SHA-256 of `recipe_document`."""
    return sha256_json(recipe_document(session, variant, data_hash, nc, model))
