"""Write the report and the summary of one variant from whatever exists of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workflow.evo.config import load_session_files
from workflow.evo.errors import entry_point
from workflow.evo.files import write_atomically, write_json
from workflow.evo.reporting.collect import collect_variant
from workflow.evo.reporting.render import variant_markdown


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="render_report",
        description="Write {variant}_training_report.md and {variant}_training_summary.json of a session. A variant "
        "that failed or has not run yet gets a report that says so.",
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
    summary = collect_variant(session, args.variant)
    layout = session.layout.variant(args.variant)
    write_atomically(layout.report, variant_markdown(summary))
    write_json(layout.summary, "summary", summary)
    reason = f" at {summary['stage']}: {summary['reason']}" if summary["reason"] else ""
    print(f"render_report: {args.variant} is {summary['status']}{reason}; wrote {layout.report}", file=sys.stderr)


if __name__ == "__main__":
    entry_point(main)
