"""The recipe as version 0.1.0 formed it, so that what was trained then is not trained again.

It counted more: class names, the split test, line ends of label files, and arguments that change no weight. Of
the latter the values of the finished training are taken where it tells them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..config.session import Session
from ..config.train_arguments import NEUTRAL, UNSUPPORTED, with_defaults
from ..config.variants import Variant
from ..data.dataset import load_dataset
from ..data.digits import identity
from ..data.hashes import image_hashes
from ..data.listing import label_of
from ..data.source import hash_cache
from ..files import sha256_file, sha256_json

RUNTIME = frozenset({"device", "verbose", "plots", "save_period", "profile", "cache"})


def recipes_0_1_0(
    session: Session, variant: Variant, document: Mapping[str, Any], trained: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what version 0.1.0 may have called a training.

    Args:
        session: the session.
        variant: the variant.
        document: `workflow.evo.training.recipe.recipe_document`.
        trained: the arguments of ``training.json``; empty without one.
    """
    omitted = {*RUNTIME, "pretrained"}
    chosen = with_defaults(dict(session.training_of(variant).arguments))
    arguments = {name: value for name, value in chosen.items() if name not in omitted}
    neutral = (NEUTRAL | UNSUPPORTED.keys()) - omitted
    arguments |= {name: trained[name] for name in neutral if name in trained}
    kept = {key: document[key] for key in ("model", "pretrained", "ultralytics", "torch")}
    if session.data is None:
        yield sha256_json({**kept, "arguments": arguments, "data": identity(session.digits)})
        return
    for as_they_are in (False, True):
        data = _data(session.data, hash_cache(session), document["data"], as_they_are)
        yield sha256_json({**kept, "arguments": arguments, "data": data})


@cache
def _data(yaml: Path, cache_file: Path, _content: str, as_they_are: bool) -> str:
    """Return the data hash of version 0.1.0, once for all variants.

    Args:
        as_they_are: hash label files with their line ends, as it did; where they are those of Unix, that is the same.
    """
    dataset = load_dataset(yaml)
    rows = {}
    for split, entries in image_hashes(dataset, cache_file).items():
        labels = [_plain(path) if as_they_are and label else label for _, path, _, label in entries]
        rows[split] = [[entry[0], entry[2], label] for entry, label in zip(entries, labels, strict=True)]
    return sha256_json({"names": dataset.names, "splits": rows})


def _plain(image: str) -> str:
    return sha256_file(Path(label_of(image)))
