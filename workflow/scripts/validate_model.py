"""Check one model definition, and describe its network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workflow.evo.config.loading import load_session_files
from workflow.evo.data.source import dataset_names
from workflow.evo.errors import UserError
from workflow.evo.files import write_json
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.models import graph
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import session_parser
from workflow.evo.text.facts import sentence


def main() -> None:
    parser = session_parser(
        "validate_model",
        "Check a model YAML without running anything of it: all problems at once, with their lines. "
        "For a variant of the session, build the network once and write results/{session}/{variant}/check/model.json; "
        "for --file, print what it is.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--variant", metavar="NAME", help="variant of the session, e.g. level2_relu")
    which.add_argument("--file", type=Path, metavar="PATH", help="any model YAML; no configuration is read")
    parser.add_argument("--nc", type=int, metavar="N", help="classes, with --file (default: those of the file)")
    args = parser.parse_args()

    if args.file is not None:
        if args.nc is not None and args.nc < 1:
            raise UserError(f"--nc {args.nc} must be 1 or more")
        document = _document(args.file.stem, args.file, args.nc)
        _log(document)
        return
    if args.nc is not None:
        raise UserError("--nc goes with --file: a variant takes the classes of its dataset")
    session = load_session_files(args.config)
    variant = session.variant(args.variant)
    document = _document(variant.name, variant.yaml, len(dataset_names(session)))
    target = session.layout.variant(variant.name).model
    write_json(target, "model", document)
    _log(document)
    log_line(f"validate_model: wrote {target}")


def _document(name: str, path: Path, nc: int | None) -> dict[str, Any]:
    definition, resolved = graph.load(path, nc)  # refuses a bad file in milliseconds, before torch is imported
    os.environ["YOLO_VERBOSE"] = "false"
    with ultralytics_env.offline():
        from workflow.evo.models.build import build
        from workflow.evo.models.summary import summarise

        return summarise(name, definition, resolved, build(definition, resolved.nc))


def _log(document: dict[str, Any]) -> None:
    scope = f"{document['activation']} in {', '.join(document['scope'])}" if document["scope"] else "SiLU everywhere"
    log_line(
        f"validate_model: {document['name']}: {document['parameters']:,} parameters, {document['layers']} layers, "
        f"{document['nc']} classes, {scope}, network {document['fingerprint'][:12]}"
    )
    for note in document["notes"]:
        log_line(f"validate_model: {document['name']}: {sentence(note)}")


if __name__ == "__main__":
    entry_point(main)
