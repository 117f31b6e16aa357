"""What decides whether a finished job of a session runs again, found out once per session.

A job on another machine plans anew, for itself alone. It takes what the session that submitted it wrote when it
started, and neither reads nor looks at the dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..config.session import Session
from ..data.hashes import DatasetHashes
from ..data.source import CACHE, session_hashes
from ..errors import EvoError
from ..files import read_json, sha256_json, write_json
from ..models.graph import identity
from ..remembered import FileMemory
from ..training.recipe import pretrained_hash, recipe_document, standing_recipe
from .code import module_hash


@dataclass(frozen=True)
class Identities:
    """Hashes of what a session is made from.

    Attributes:
        data: of the dataset.
        models: of the networks, by variant.
        recipes: of the trainings, by variant.
        pretrained: of the weights that trainings start from; None for random ones.
    """

    data: DatasetHashes
    models: Mapping[str, str]
    recipes: Mapping[str, str]
    pretrained: str | None


def identities(session: Session, *, recorded: bool = False) -> Identities:
    """Return the identities of a session.

    Args:
        session: the session.
        recorded: whether those suffice that the session wrote when it started. They are found out where there are none,
            or where they are of another configuration.

    Raises:
        UserError: the dataset or a file of it cannot be read.
    """
    found = _recorded(session) if recorded else None
    return found or _found_out(session)


def _found_out(session: Session) -> Identities:
    data = session_hashes(session)
    nc = len(data.names)
    models = _models(session, nc)
    recipes = {}
    for variant in session.variants:
        document = recipe_document(session, variant, data.training, nc, models[variant.name])
        recipes[variant.name] = standing_recipe(session, variant, document)
    return Identities(data, models, recipes, pretrained_hash(session))


def _models(session: Session, nc: int) -> dict[str, str]:
    """Return the identity of each variant's network. A model file is parsed once, however many starts follow."""
    read_by = sha256_json([module_hash("workflow.evo.models.graph"), nc])
    memory = FileMemory(CACHE / "networks.json", read_by)
    found = {}
    for variant in session.variants:
        try:
            found[variant.name] = memory.ask(variant.yaml, lambda path: identity(path, nc))
        except OSError:  # it has been taken away just now
            found[variant.name] = identity(variant.yaml, nc)
    memory.save()
    return found


def record(session: Session, found: Identities) -> None:
    """Write the identities for the session's jobs on other machines.

    Raises:
        EvoError: they cannot be written.
    """
    document = {"configuration": sha256_json(session.document), **asdict(found)}
    document["data"] = {"splits": dict(found.data.splits), "names": list(found.data.names)}
    write_json(session.layout.identities, "identities", document)


def _recorded(session: Session) -> Identities | None:
    try:
        document = read_json(session.layout.identities, "identities")
    except (EvoError, OSError):
        return None
    if document["configuration"] != sha256_json(session.document):
        return None
    data = DatasetHashes(document["data"]["splits"], tuple(document["data"]["names"]))
    return Identities(data, document["models"], document["recipes"], document["pretrained"])
