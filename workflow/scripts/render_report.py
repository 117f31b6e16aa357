"""Write the report and the summary of one variant from whatever exists of it."""

from __future__ import annotations

from workflow.evo.files import write_atomically, write_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.printable import log_line
from workflow.evo.reporting.render import variant_markdown
from workflow.evo.results.collect import collect_variant
from workflow.evo.session.command_line import parse_variant
from workflow.evo.text.facts import sentence
from workflow.evo.text.language import Language


def main() -> None:
    session, variant = parse_variant(
        "render_report",
        "Write {variant}_training_report.md and {variant}_training_summary.json of a session. A variant "
        "that failed or has not run yet gets a report that says so.",
    )
    summary = collect_variant(session, variant.name)
    layout = session.layout.variant(variant.name)
    write_atomically(layout.report, variant_markdown(summary, Language(session.language)))
    write_json(layout.summary, "summary", summary)
    reason = f" at {summary['stage']}: {sentence(summary['reason'])}" if summary["reason"] else ""
    log_line(f"render_report: {variant.name} is {summary['status']}{reason}; wrote {layout.report}")


if __name__ == "__main__":
    entry_point(main)
