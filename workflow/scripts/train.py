"""Train one variant, or continue its interrupted training, and publish the weights.

A line per epoch goes to stderr; Ultralytics' own output goes to stdout.
"""

from __future__ import annotations

import os
import sys

from workflow.evo.errors import EvoError
from workflow.evo.host.console import Console
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host.process import die_with_parent
from workflow.evo.session.command_line import session_and_variant, variant_parser
from workflow.evo.training.recovery import RestartRequired
from workflow.evo.training.run import train


def main() -> None:
    die_with_parent()
    parser = variant_parser("train", __doc__)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        metavar="N",
        help="torch threads on a CPU; the weights depend on it (default: 1)",
    )
    arguments = parser.parse_args()
    session, variant = session_and_variant(arguments)
    console = Console(variant.name)
    try:
        train(session, variant.name, console, max(arguments.threads, 1))
    except RestartRequired:
        # A fresh process is the only one with all of its memory back.
        console.give_back()
        os.execv(sys.executable, sys.orig_argv)
    except EvoError:
        console.give_back()
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        console.log(f"failed: {type(error).__name__}: {reason} (the trace is in the log of this job)")
        raise


if __name__ == "__main__":
    entry_point(main)
