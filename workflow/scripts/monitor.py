"""Watch a session while it runs, from any terminal that sees its results folder: nothing is written there.

Without --config and without a folder, it is the session below results/ that was started last.
"""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from workflow.evo.config.loading import load_session_files
from workflow.evo.errors import UserError
from workflow.evo.files import dump_json
from workflow.evo.host.entry_point import entry_point
from workflow.evo.monitoring.watch import Watch
from workflow.evo.session.command_line import session_parser

INTERVAL = 2.0
LAST_PORT = 65535


def main() -> None:
    arguments = _arguments()
    watch = _watch(arguments)
    if arguments.serve:
        from workflow.evo.monitoring.server import serve

        serve(watch, arguments.host, arguments.port, arguments.interval)
    elif arguments.json:
        print(dump_json("monitor", watch.read().document()), end="")
    else:
        _show(watch, arguments.interval, once=arguments.once)


def _arguments() -> Namespace:
    parser = session_parser("monitor", __doc__)
    parser.set_defaults(config=None)
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="results folder of the session, e.g. results/demo"
    )
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    parser.add_argument("--json", action="store_true", help="print the state as JSON and end")
    parser.add_argument(
        "--interval",
        type=float,
        default=INTERVAL,
        metavar="S",
        help=f"seconds between two looks (default: {INTERVAL:g})",
    )
    parser.add_argument("--serve", action="store_true", help="show it as a web page instead")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that --serve listens on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=int, default=8050, help="its port; 0 for any free one (default: 8050)")
    arguments = parser.parse_args()
    if arguments.interval < 0.2:
        raise UserError("looks are at least 0.2 s apart", where="--interval", hint="give more seconds, or leave it out")
    if not 0 <= arguments.port <= LAST_PORT:
        raise UserError(f"there is no port {arguments.port}", where="--port", hint=f"choose one of 0 to {LAST_PORT}")
    return arguments


def _watch(arguments: Namespace) -> Watch:
    if arguments.folder and arguments.config:
        raise UserError("name a folder or configuration files, not both", where="--config")
    if arguments.config:
        session = load_session_files(arguments.config)
        return Watch(session.root, session)
    folder = arguments.folder or _newest()
    if not (folder / "config.json").is_file():
        hint = "name a session's folder, such as results/demo, or start the session first"
        raise UserError("no session was started here: it has no config.json", where=folder.resolve(), hint=hint)
    return Watch(folder)


def _newest() -> Path:
    found = sorted(Path("results").glob("*/config.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(
            "no session was started here", where=Path("results").resolve(), hint="name its folder, or start it first"
        )
    return found[-1].parent


def _show(watch: Watch, interval: float, *, once: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from workflow.evo.monitoring.terminal import frame, render

    console = Console(highlight=False)
    if once or not console.is_terminal:
        render(watch.read(), console)
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(frame(watch.read(), console.width, console.height), refresh=True)
                time.sleep(interval)
        except KeyboardInterrupt:
            pass
    render(watch.read(), console)


if __name__ == "__main__":
    entry_point(main)
