"""Print what would run and why, what is done, and the time and disk that it is expected to take. Runs nothing."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow.evo.config.loading import load_session, merge, read_yaml
from workflow.evo.config.session import Session
from workflow.evo.config.variants import ROOT
from workflow.evo.errors import UserError
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host.environment import GIB, cpu_count
from workflow.evo.plan.cost import UNKNOWN, device_name, disk_free
from workflow.evo.plan.dry_run import Job, command, dry_run
from workflow.evo.plan.outlook import COLUMNS, Outlook, outlook
from workflow.evo.plan.reasons import why
from workflow.evo.printable import printable
from workflow.evo.results.read import read_if_there
from workflow.evo.session.capacity import Capacity, capacity
from workflow.evo.session.command_line import session_parser
from workflow.evo.session.identities import identities
from workflow.evo.session.lifecycle import running
from workflow.evo.text.wording import DASH, duration, listed
from workflow.evo.training import disk
from workflow.evo.training.recipe import recipe_document

UNLIMITED = 10_000  # columns where there is no terminal: one line stays one line


def main() -> None:
    arguments = _parse()
    session = _session(arguments)
    options = command(arguments.cores, arguments.config, arguments.set)
    jobs = dry_run(options)
    found_out = identities(session)
    data_hash, classes = found_out.data.training, len(found_out.data.names)
    device = device_name(session)
    checked = session.layout.environment.is_file() and all(job.rule != "check_environment" for job in jobs)
    found = []
    for variant in session.variants:
        recipe = recipe_document(session, variant, data_hash, classes, found_out.models[variant.name])
        found.append(outlook(session, variant, jobs, recipe, device, checked))
    _print(session, jobs, found, device, options, capacity(session, arguments.cores, tokens=1))


def _parse() -> argparse.Namespace:
    parser = session_parser("plan", __doc__)
    parser.set_defaults(config=[])
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="what Snakemake takes after --config, e.g. 'train={epochs: 3}'",
    )
    parser.add_argument("--cores", type=int, default=cpu_count(), help="processors (default: all)")
    return parser.parse_args()


def _session(arguments: argparse.Namespace) -> Session:
    """Load the session as the Snakefile does: the default configuration first, overrides last."""
    from snakemake.cli import parse_config

    config: dict[str, Any] = {}
    for path in (ROOT / "config" / "config.yaml", *arguments.config):
        config = merge(config, read_yaml(path))
    try:
        overrides = parse_config(arguments.set)
    except ValueError as error:
        raise UserError(f"{error}", where="--set") from error
    return load_session(config, overrides)


def _print(
    session: Session, jobs: list[Job], found: list[Outlook], device: str, options: list[str], room: Capacity
) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=UNLIMITED)

    def say(text: str) -> None:
        console.print("\n".join(map(printable, text.split("\n"))), markup=False, highlight=False)

    trained = [entry.training for entry in found if entry.training is not None and entry.training.epochs]
    if process := running(session):
        say(f"Process {process} runs this session now: what it is at counts as not done here.")
    trainings = _counted(len(trained), "training")
    say(f"Session {session.name}: {_counted(len(jobs), 'job')} to run, {trainings} on {device}.")
    if console.is_terminal:
        console.print(_table(found, plain=False))
    else:
        with console.capture() as captured:
            console.print(_table(found, plain=True))
        for line in captured.get().splitlines():
            say(line.rstrip())
    for line in (*_shared(jobs), *_time(found, room), *_disk(session, found)):
        say(line)
    if not jobs:
        say(f"Nothing to run. The report: {session.layout.report}")
        return
    say(f"Run it with:\n    {_runner()} {shlex.join(options)}")


def _table(found: Iterable[Outlook], plain: bool) -> Any:
    """Return the table (a `rich.table.Table`): one row per variant."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    result = Table(box=None if plain else box.SIMPLE, pad_edge=False)
    for heading in ("Variant", *COLUMNS, "Time", "Why"):
        result.add_column(heading, overflow="fold")
    for entry in found:
        training = entry.training
        time = DASH
        if training is not None and training.epochs:
            time = f"≈ {duration(training.seconds)}" if training.seconds is not None else "unknown"
        row = (entry.variant, *entry.stages.values(), time, "; ".join(entry.reasons) or DASH)
        result.add_row(*map(Text, row))
    return result


def _shared(jobs: Iterable[Job]) -> list[str]:
    """Return a sentence for each job that is for no variant."""
    shared = [job for job in jobs if job.variant is None]
    return [f"For the session, {why(job) or f'{job.rule}: renewed behind what runs before it'}." for job in shared]


def _time(found: Iterable[Outlook], room: Capacity) -> list[str]:
    """Return what the times rest on, and what all of them take."""
    begun = [(entry.variant, entry.training) for entry in found if entry.training is not None]
    trained = [(variant, training) for variant, training in begun if training.epochs]
    if not trained:
        return []
    by_basis: dict[str, list[str]] = {}
    for variant, training in trained:
        if training.pace is not None:
            by_basis.setdefault(training.pace.basis, []).append(variant)
    lines = [
        f"Time of {'every training' if len(names) == len(trained) > 1 else listed(names)}: {basis}."
        for basis, names in by_basis.items()
    ]
    known = [training.seconds for _, training in trained if training.seconds is not None]
    unknown = len(trained) - len(known)
    place, side_by_side = ("CPU" if room.on_cpu else "GPU token"), min(room.trainings_at_a_time, len(trained))
    pace = "one at a time" if side_by_side == 1 else f"{side_by_side} at a time"
    if known:
        rest = f", and {unknown} more of unknown time" if unknown else ""
        seconds = max([sum(known) / side_by_side, *known])
        lines.append(
            f"{place}: about {duration(seconds)} for {_counted(len(known), 'training')}, {pace}{rest}. "
            "An estimate; checks, evaluation and NPU stages are not in it."
        )
    else:
        lines.append(f"{place}: {_counted(len(trained), 'training')}, {pace}; the sum is {UNKNOWN}.")
    return lines


def _disk(session: Session, found: Iterable[Outlook]) -> list[str]:
    """Return what is to be written against what is free."""
    training = [entry.training for entry in found if entry.training is not None and entry.training.says]
    training = [entry for entry in training if entry.epochs or entry.disk]
    if not training:
        return []
    free = f"{disk_free(session.root) / GIB:.1f} GiB are free"
    known = [entry.disk for entry in training if entry.disk is not None]
    if len(known) == len(training):
        need = sum(known) / GIB
        basis = f"checkpoints at their measured size, or {disk.STATE_BYTES_PER_PARAMETER} bytes per parameter"
        short = "" if need < disk_free(session.root) / GIB else " — free some first"
        return [f"Disk: about {need:.2f} GiB to be written by training (an estimate: {basis}); {free}{short}."]
    facts = read_if_there(session.layout.environment, "environment")[0]
    if facts is not None:
        need = facts["disk_needed_gib"]
        return [f"Disk: about {need:.2f} GiB for the whole session (an estimate of check_environment); {free}."]
    return [
        "Disk: unknown until check_environment has counted the parameters, and refuses what does not fit "
        f"(rule of thumb: {disk.RULE_OF_THUMB}); {free}."
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _runner() -> str:
    """Return Snakemake's program as one would type it here."""
    program = Path(sys.executable).with_name("snakemake")
    shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    words = [str(shown)]
    if Path.cwd() != ROOT:
        words += ["-s", str(ROOT / "Snakefile")]
    return shlex.join(words)


if __name__ == "__main__":
    entry_point(main)
