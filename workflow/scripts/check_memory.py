"""Try a few real training steps on the GPU, with the dataset's densest images, and report which batch fits.

Writes results/{session}/{variant}/check/memory.json, which `train` begins with. Without a GPU there is nothing to try.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from workflow.evo.config.session import Session
from workflow.evo.config.variants import Variant
from workflow.evo.data.source import checked_hashes
from workflow.evo.errors import EvoError
from workflow.evo.files import write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.console import Console
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host.gpu import lease
from workflow.evo.host.process import die_with_parent
from workflow.evo.models.checkpoint_loader import guard_ultralytics
from workflow.evo.models.definition import load_definition
from workflow.evo.session.command_line import parse_variant
from workflow.evo.training import memory, tracking
from workflow.evo.training.recipe import recipe_document, standing_recipe
from workflow.evo.training.run import trainer_arguments


def main() -> None:
    die_with_parent()
    session, variant = parse_variant("check_memory", __doc__)
    console = Console(variant.name)
    try:
        with lease(session.train.device, console.log) as gpu, ultralytics_env.offline():
            guard_ultralytics()
            tracking.allow(())
            document = check(session, variant, console, leased=gpu is not None)
    except EvoError:
        console.give_back()
        raise
    layout = session.layout.variant(variant.name)
    write_json(layout.memory, "memory", {"variant": variant.name, **document})
    console.log(summary(document))


def check(session: Session, variant: Variant, console: Console, *, leased: bool) -> dict[str, Any]:
    """Return the facts of ``memory.schema.json``.

    Raises:
        EvoError: not even one image fits.
    """
    data = checked_hashes(session)
    recipe = recipe_document(session, variant, data.training, len(data.names))
    identity = standing_recipe(session, variant, recipe)
    nothing = dict.fromkeys(("device", "total_mib", "free_mib", "objects", "fitting_batch"))
    gpu = memory.gpu() if session.may_use_gpu else None
    if gpu is None:
        return {"recipe": identity, "skipped": "no GPU to try it on", **nothing, "tried": []}
    arguments = trainer_arguments(
        session, variant, batch=session.train.batch, save_dir=session.layout.root, leased=leased
    )
    train = memory.train_one_epoch(load_definition(variant.yaml), console.log)
    tried = memory.probe(arguments, train, session.layout.view)
    if not tried[-1]["fits"]:
        raise EvoError(
            f"not even one image of {session.train.imgsz} px fits into the memory of "
            f"{gpu.device}: {tried[-1]['error']}",
            where=variant.name,
            hint="lower train.imgsz, use a GPU with more memory, or end what else uses this one (see nvidia-smi)",
        )
    return {
        "recipe": identity,
        "skipped": None,
        **asdict(gpu),
        "objects": memory.most_objects(session.layout.view),
        "fitting_batch": tried[-1]["batch"],
        "tried": tried,
    }


def summary(document: dict[str, Any]) -> str:
    """Return one line for people."""
    if document["skipped"]:
        return f"memory is not checked: {document['skipped']}"
    last = document["tried"][-1]
    words = f"batch {last['batch']} takes {last['reserved_mib']:,.0f} MiB of {document['total_mib']:,.0f} on the GPU"
    if len(document["tried"]) > 1:
        words += f"; batch {document['tried'][0]['batch']} does not fit, so training begins at {last['batch']}"
    return words


if __name__ == "__main__":
    entry_point(main)
