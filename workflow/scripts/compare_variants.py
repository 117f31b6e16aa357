"""Write the report of a session: which variant is best, on what evidence, and what is missing."""

from __future__ import annotations

from pathlib import Path

from workflow.evo.files import read_json, write_atomically, write_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.reporting.columns import session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.page import session_html
from workflow.evo.reporting.render import session_markdown
from workflow.evo.session.command_line import session_of, session_parser
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import Language


def main() -> None:
    parser = session_parser(
        "compare_variants",
        "Write report.html, report.md, summary.csv and summary.json of a session from whatever exists of "
        "it: run it at any time.",
    )
    parser.add_argument(
        "--summaries",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="the {variant}_training_summary.json of every variant (default: what exists of each, read anew)",
    )
    arguments = parser.parse_args()
    session = session_of(arguments)
    documents = [read_json(path, "summary") for path in arguments.summaries or ()]
    # The version is of the file; summary.json has its own.
    summary = compare(session, [{k: v for k, v in found.items() if k != "schema_version"} for found in documents])
    layout, language = session.layout, Language(session.language)
    write_atomically(layout.report, session_html(summary, layout.root, language))
    write_atomically(layout.markdown, session_markdown(summary, language))
    write_atomically(layout.csv, session_csv(summary))
    write_json(layout.summary, "session_summary", summary)
    log_line(f"compare_variants: {sentence(summary['headline']['fact'])}")
    log_line(f"compare_variants: wrote {layout.report}")


if __name__ == "__main__":
    entry_point(main)
