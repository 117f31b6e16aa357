"""Build one variant as training will, and prove which activations it has and executes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from workflow.evo import ultralytics_env
from workflow.evo.config import load_session_files
from workflow.evo.data.source import dataset_names
from workflow.evo.errors import entry_point
from workflow.evo.files import write_json
from workflow.evo.models import graph
from workflow.evo.variants import PARTS


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="verify_activations",
        description="Build a variant exactly as training will, count the activations of every part, shared ones once "
        "per place, and those that a forward pass executes, and compare with what the model file promises. "
        "Writes results/{session}/{variant}/check/activations.json.",
    )
    parser.add_argument(
        "--config",
        nargs="+",
        type=Path,
        default=[Path("config/config.yaml")],
        metavar="FILE",
        help="configuration files, later ones laid over earlier ones (default: %(default)s)",
    )
    parser.add_argument("--variant", required=True, metavar="NAME", help="variant of the session, e.g. level2_relu")
    args = parser.parse_args()

    session = load_session_files(args.config)
    variant = session.variant(args.variant)
    nc = len(dataset_names(session))
    definition, _ = graph.load(variant.yaml, nc)
    with tempfile.TemporaryDirectory(prefix="evo-models-") as settings:
        os.environ["YOLO_VERBOSE"] = "false"
        ultralytics_env.prepare(Path(settings))
        from workflow.evo.models.activations import verify
        from workflow.evo.models.build import build

        document = verify(build(definition, nc), definition, nc)
    target = session.layout.variant(variant.name).activations
    write_json(target, "activations", document)
    for part in PARTS:
        sites = ", ".join(f"{count} {name}" for name, count in document["found"][part].items())
        calls = ", ".join(f"{count} {name}" for name, count in document["executed"][part].items())
        print(f"verify_activations: {variant.name}: {part}: {sites} (executed: {calls})", file=sys.stderr)
    print(f"verify_activations: wrote {target}", file=sys.stderr)


if __name__ == "__main__":
    entry_point(main)
