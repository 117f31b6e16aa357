"""Build one variant as training will, and prove which activations it has and executes."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from workflow.evo.config.variants import PARTS
from workflow.evo.data.source import dataset_names
from workflow.evo.errors import UserError
from workflow.evo.files import write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.models import graph
from workflow.evo.session.command_line import parse_variant


def main() -> None:
    session, variant = parse_variant(
        "verify_activations",
        "Build a variant exactly as training will, count the activations of every part, shared ones once "
        "per place, and those that a forward pass executes, and compare with what the model file promises. "
        "Writes results/{session}/{variant}/check/activations.json.",
    )
    nc = len(dataset_names(session))
    definition, _ = graph.load(variant.yaml, nc)
    with tempfile.TemporaryDirectory(prefix="evo-models-") as settings:
        os.environ["YOLO_VERBOSE"] = "false"
        ultralytics_env.prepare(Path(settings))
        from workflow.evo.models.activations import verify
        from workflow.evo.models.build import build
        from workflow.evo.models.checkpoint_loader import load_weights
        from workflow.evo.models.transfer import transfer

        model = build(definition, nc)
        if pretrained := session.train["pretrained"]:
            matched, total = transfer(model, load_weights(Path(pretrained)))
            say(f"{variant.name}: {matched} of {total} tensors match those of {pretrained}")
            if not matched:
                raise UserError(
                    f"no tensor of the pretrained weights fits {variant.name}",
                    where=Path(pretrained).resolve(),
                    hint="use weights of a network of this scale, or set train.pretrained to false",
                )
        document = verify(model, definition, nc)
    target = session.layout.variant(variant.name).activations
    write_json(target, "activations", document)
    for part in PARTS:
        sites = ", ".join(f"{count} {name}" for name, count in document["found"][part].items())
        calls = ", ".join(f"{count} {name}" for name, count in document["executed"][part].items())
        say(f"{variant.name}: {part}: {sites} (executed: {calls})")
    say(f"wrote {target}")


def say(text: str) -> None:
    print(f"verify_activations: {text}", file=sys.stderr)


if __name__ == "__main__":
    entry_point(main)
