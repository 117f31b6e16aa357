"""Write the report of a session: which variant is best, on what evidence, and what is missing."""

from __future__ import annotations

from workflow.evo.files import write_atomically, write_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import tell
from workflow.evo.reporting.columns import session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.page import session_html
from workflow.evo.reporting.render import session_markdown
from workflow.evo.session.command_line import parse_session
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import Language


def main() -> None:
    session = parse_session(
        "compare_variants",
        "Write report.html, report.md, summary.csv and summary.json of a session from whatever exists of "
        "it: run it at any time.",
    )
    summary = compare(session)
    root, language = session.layout.root, Language(session.language)
    write_atomically(root / "report.html", session_html(summary, root, language))
    write_atomically(root / "report.md", session_markdown(summary, language))
    write_atomically(root / "summary.csv", session_csv(summary))
    write_json(root / "summary.json", "session_summary", summary)
    tell(f"compare_variants: {sentence(summary['headline']['fact'])}")
    tell(f"compare_variants: wrote {root / 'report.html'}")


if __name__ == "__main__":
    entry_point(main)
