"""Check the dataset completely, and link it as training reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workflow.evo.data.check import check
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.findings import FATAL, Finding
from workflow.evo.data.source import dataset_yaml, hash_cache, session_hashes
from workflow.evo.data.view import link
from workflow.evo.errors import UserError
from workflow.evo.files import write_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.session.command_line import parse_session
from workflow.evo.session.placement import refuse_misplaced


def main() -> int | None:
    session = parse_session(
        "check_dataset",
        "Check every image and label, write results/{session}/data/fingerprint.json and link the dataset"
        " next to it, as training reads it. Fatal findings: exit code 2, and nothing is written.",
    )
    refuse_misplaced(session)
    path = dataset_yaml(session)
    if session.data is None and not path.is_file():
        raise UserError(
            f"the embedded dataset is not drawn: {path.resolve()}",
            hint="run `python -m workflow.scripts.draw_digits` first",
        )
    dataset = load_dataset(path)
    document = check(dataset, hash_cache(session), progress=True)
    if session.data is None:
        hashes = session_hashes(session)
        document |= {"content_hash": hashes.everything, "hashes": dict(hashes.splits)}
    refuse_fatal(document, path)
    for line in summary(document):
        log_line(line)
    link(dataset, session.layout.data)
    write_json(session.layout.fingerprint, "fingerprint", document)
    return None


def refuse_fatal(document: dict[str, Any], path: Path) -> None:
    """Print the findings of a dataset, and raise `UserError` when any of them is fatal."""
    findings = [Finding.of_document(item) for item in document["findings"]]
    for finding in findings:
        log_line(finding)
    fatal = [finding for finding in findings if finding.severity == FATAL]
    if fatal:
        more = f" (and {len(fatal) - 1} more fatal finding{'s' if len(fatal) > 2 else ''} above)" if fatal[1:] else ""
        raise UserError(f"{str(fatal[0]).removeprefix('fatal: ')}{more}", where=path)


def summary(document: dict[str, Any]) -> list[str]:
    """Return one line on the classes and one per split: images, instances, sizes."""
    lines = [f"{len(document['names'])} classes: {', '.join(document['names'][:20])}"]
    for split, row in document["splits"].items():
        sizes = f"{row['width']['median']}×{row['height']['median']} px (median)"
        lines.append(f"{split}: {row['images']} images, {row['instances']} instances, {sizes}")
    return lines


if __name__ == "__main__":
    entry_point(main)
