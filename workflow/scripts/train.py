"""Train one variant, or continue its interrupted training, and publish the weights.

A line per epoch goes to stderr; Ultralytics' own output goes to stdout.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workflow.evo.config import load_session_files
from workflow.evo.errors import EvoError, entry_point
from workflow.evo.training.console import Console
from workflow.evo.training.process import die_with_parent
from workflow.evo.training.run import OutOfMemory, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", nargs="+", type=Path, default=[Path("config/config.yaml")], help="YAML or JSON files"
    )
    parser.add_argument("--variant", required=True, help="name of the variant, such as level2_relu")
    arguments = parser.parse_args()
    die_with_parent()
    console = Console(arguments.variant)
    try:
        train(load_session_files(arguments.config), arguments.variant, console)
    except OutOfMemory:
        # A fresh process is the only one with all of its memory back.
        console.give_back()
        os.execv(sys.executable, sys.orig_argv)
    except EvoError:
        console.give_back()
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        console.say(f"failed: {type(error).__name__}: {reason} (the trace is in the log of this job)")
        raise


if __name__ == "__main__":
    entry_point(main)
