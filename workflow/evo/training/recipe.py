"""The identity of a training: a hash of everything its weights depend on.

Snakemake gets it as a parameter of the rule `train`, so a run is repeated when, and only when, it changes: not for a
touched file, a comment or another report template. The same hash stamps the checkpoints.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..config.session import Session, TrainSettings
from ..config.train_arguments import NEUTRAL, UNSUPPORTED, ultralytics_version, with_defaults
from ..config.variants import Variant
from ..data.source import CACHE
from ..files import sha256_json
from ..layout import VariantLayout
from ..models.graph import identity
from ..remembered import sha256_remembered, version
from ..results.journal import Journal
from .checkpoints import CheckpointStore
from .legacy import recipes_0_1_0

TRAINING_VERSION = 1
"""Goes up with a change of this project's own code that makes the same recipe train to other weights: the order of
augmentations, how gradients accumulate, how a network is initialised. Every training of every user is then repeated, so
not for a change that only concerns what is written about a training, how it recovers, or bits."""


def arguments_of(train: TrainSettings) -> dict[str, Any]:
    """Return the training arguments that the weights depend on, Ultralytics' defaults included.

    Without ``pretrained``, which is a path: what counts of it is its content.
    """
    omitted = {*NEUTRAL, *UNSUPPORTED, "pretrained"}
    return {name: value for name, value in with_defaults(dict(train.arguments)).items() if name not in omitted}


def pretrained_hash(session: Session) -> str | None:
    """Return the SHA-256 of the pretrained weights; None when training starts from random ones."""
    pretrained = session.train.pretrained
    return sha256_remembered(Path(pretrained), CACHE / "weights.json") if pretrained else None


def recipe_document(
    session: Session, variant: Variant, data_hash: str, nc: int, model: str | None = None
) -> dict[str, Any]:
    """Return what a training of ``variant`` depends on.

    Args:
        data_hash: of the splits that are trained and validated on: `DatasetHashes.training`.
        nc: number of classes of the dataset.
        model: `identity` of the variant's network, where it is known already.
    """
    return {
        "arguments": arguments_of(session.training_of(variant)),
        "model": model or identity(variant.yaml, nc),
        "data": data_hash,
        "pretrained": pretrained_hash(session),
        "ultralytics": ultralytics_version(),
        "torch": version("torch"),
        "albumentations": _albumentations(),
        "training": TRAINING_VERSION,
    }


@cache
def _albumentations() -> str | None:
    """Return the installed version of a package that Ultralytics augments with where it finds it."""
    try:
        return importlib.metadata.version("albumentations")
    except importlib.metadata.PackageNotFoundError:
        return None


def recipe(session: Session, variant: Variant, data_hash: str, nc: int, model: str | None = None) -> str:
    """Return the SHA-256 of `recipe_document`."""
    return sha256_json(recipe_document(session, variant, data_hash, nc, model))


def standing_recipe(session: Session, variant: Variant, document: Mapping[str, Any]) -> str:
    """Return the recipe under which a training stands: that of ``document``, or the name that version 0.1.0 gave it.

    A result or checkpoint of that version is of the same training, and goes on under its old name. Files are looked at
    only where one of an unknown recipe is there.

    Args:
        session: the session.
        variant: the variant.
        document: `recipe_document` of the variant.
    """
    current = sha256_json(document)
    layout = session.layout.variant(variant.name)
    known = _published(layout)
    found = [{known} if known else set(), CheckpointStore(layout.checkpoints).recipes() | _begun(layout)]
    for recipes in found:
        if current in recipes:
            return current
        if recipes and TRAINING_VERSION == 1:
            for old in recipes_0_1_0(session, variant, document, _trained_arguments(layout)):
                if old in recipes:
                    return old
    return current


def is_published(layout: VariantLayout, recipe: str) -> bool:
    """Return whether the weights of a training by ``recipe`` are handed over."""
    return layout.best.is_file() and _published(layout) == recipe


def _begun(layout: VariantLayout) -> set[str]:
    begun = Journal(layout.checkpoints).run.get("recipe")
    return {begun} if isinstance(begun, str) else set()


def _published(layout: VariantLayout) -> str | None:
    found = _training(layout).get("recipe")
    return found if isinstance(found, str) else None


def _trained_arguments(layout: VariantLayout) -> Mapping[str, Any]:
    found = _training(layout).get("arguments")
    return found if isinstance(found, dict) else {}


def _training(layout: VariantLayout) -> dict[str, Any]:
    """Return ``training.json`` as it is: of any version, since a new one of this program trains nothing again."""
    try:
        document = json.loads(layout.training.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
