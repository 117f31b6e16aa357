"""Build one variant as for training, and verify the activations that it has and executes."""

from __future__ import annotations

import os
from pathlib import Path

from workflow.evo.config.variants import PARTS
from workflow.evo.data.source import dataset_names
from workflow.evo.errors import UserError
from workflow.evo.files import read_json, write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.models import graph
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_variant


def main() -> None:
    session, variant = parse_variant(
        "verify_activations",
        "Build a variant exactly as training will, count the activations of every part, shared ones once "
        "per place, and those that a forward pass executes, and compare with those of the model file. "
        "Writes results/{session}/{variant}/check/activations.json.",
    )
    nc = len(dataset_names(session))
    definition, resolved = graph.load(variant.yaml, nc)
    layout = session.layout.variant(variant.name)
    if read_json(layout.model, "model")["fingerprint"] != graph.fingerprint(resolved):
        raise UserError(
            "the model file changed after it was checked", where=variant.yaml, hint="run validate_model again"
        )
    os.environ["YOLO_VERBOSE"] = "false"
    with ultralytics_env.offline():
        from workflow.evo.models.activations import verify
        from workflow.evo.models.build import build
        from workflow.evo.models.checkpoint_loader import load_weights
        from workflow.evo.models.transfer import transfer

        model = build(definition, nc)
        if pretrained := session.train.pretrained:
            matched, total = transfer(model, load_weights(Path(pretrained)))
            log_line(f"verify_activations: {variant.name}: {matched} of {total} tensors match those of {pretrained}")
            if not matched:
                raise UserError(
                    f"no tensor of the pretrained weights fits {variant.name}",
                    where=Path(pretrained).resolve(),
                    hint="use weights of a network of this scale, or set train.pretrained to false",
                )
        document = verify(model, definition, nc)
    target = layout.activations
    write_json(target, "activations", document)
    for part in PARTS:
        sites = ", ".join(f"{count} {name}" for name, count in document["found"][part].items())
        calls = ", ".join(f"{count} {name}" for name, count in document["executed"][part].items())
        log_line(f"verify_activations: {variant.name}: {part}: {sites} (executed: {calls})")
    log_line(f"verify_activations: wrote {target}")


if __name__ == "__main__":
    entry_point(main)
