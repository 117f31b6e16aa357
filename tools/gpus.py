"""Kills jobs and whole Snakemakes that share four GPUs, and proves that no GPU ever has two live holders.

    .venv/bin/python -m tools.gpus --runs 20 --seed 1

Every run starts two Snakemakes with ``gpu=4`` each. Their jobs lease one of four devices that NVML would list, as
`train` does (the same signal handlers, parent's death and locks), hold it for a moment, and let it go; a job that was
killed is tried again. Meanwhile one of them, a Snakemake, or a whole group is killed (KILL), terminated or interrupted
at random instants.

The proof rests on no lock: a holder first writes down which device it has, then looks who else has written it down. Of
two that hold one device at the same time at least the later one sees the other, whatever their timing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from workflow.evo.errors import EXIT_PREEMPTED, EvoError, Preempted
from workflow.evo.host import gpu
from workflow.evo.host.devices import Device
from workflow.evo.host.entry_point import entry_point
from workflow.evo.host.process import StopRequest, die_with_parent

ROOT = Path(__file__).resolve().parents[1]
DEVICES = 4
SESSIONS = 2
JOBS = 8
PF_EXITING = 0x4  # linux/sched.h: the process has begun to end; its files are closed before it becomes a zombie
SNAKEFILE = """
rule all:
    input:
        expand("done{{i}}", i=range({jobs})),


rule job:
    output:
        "done{{i}}",
    retries: 20
    resources:
        gpu=1,
    shell:
        "exec {python} -m tools.gpus --job {shared} $PWD/{{output}}"
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


# A job ------------------------------------------------------------------------------------------------------------


def job(shared: Path, output: Path) -> None:
    """Lease one device, see who else has it, hold it for a moment, and make ``output``.

    Raises:
        Preempted: a signal asked to stop.
    """
    die_with_parent()
    stop = StopRequest()
    settings = json.loads((shared / "settings.json").read_text())
    gpu.LOCKS, gpu.EARLIER = shared / "locks", shared / "none"
    gpu.WAIT_SECONDS = 0.05
    host = [Device(uuid, uuid, "Test") for uuid in settings["devices"]]
    with gpu.lease(None, lambda _: None, stop.check, lambda: host) as uuid:
        claim = shared / "claims" / f"{uuid}={os.getpid()}={started(os.getpid())}"
        claim.touch()
        try:
            hold(claim, shared, settings, stop)
            output.touch()
        finally:
            claim.unlink()  # before the lease ends: this process lives on for a moment without it


def hold(claim: Path, shared: Path, settings: dict[str, Any], stop: StopRequest) -> None:
    """Write down who else has a device now, and wait."""
    others = [path.name for path in claim.parent.iterdir() if path != claim and is_held(path.name)]
    shared_with = [name for name in others if name.partition("=")[0] == claim.name.partition("=")[0]]
    with (shared / "log").open("a") as log:  # one short line, which the kernel appends in one go
        log.write(json.dumps({"in_use": len(others) + 1, "shared_with": shared_with}) + "\n")
    full, end = shared / "full", time.monotonic() + random.uniform(*settings["seconds"])
    if len(others) + 1 >= len(settings["devices"]):
        full.touch()
    while time.monotonic() < end or not full.exists():  # so that all are in use at least once, on any host
        stop.check()
        time.sleep(0.01)


def started(pid: int) -> str | None:
    """Return when a live process was started, in ticks; None when it has ended or begun to end."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return None
    state, flags, start = fields[0], int(fields[6]), fields[19]
    return None if state in "ZX" or flags & PF_EXITING else start


def is_held(claim: str) -> bool:
    _, pid, start = claim.split("=")
    return started(int(pid)) == start


# A run ------------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a run showed: leases taken, kills by what and how, GPUs in use at a time, and GPUs with two holders."""

    leases: int = 0
    most_in_use: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    collisions: list[str] = field(default_factory=list)


def run(folder: Path, seed: int, kills: int, seconds: tuple[float, float] = (0.05, 0.6)) -> Outcome:
    """Run both sessions to their end, through ``kills`` kills.

    Raises:
        EvoError: a session did not end, or left a process behind.
    """
    chosen, outcome = random.Random(seed), Outcome()
    shared = folder / "shared"
    (shared / "claims").mkdir(parents=True)
    (shared / "locks").mkdir()
    (shared / "locks").chmod(0o1777)
    devices = [f"GPU-{index}" for index in range(DEVICES)]
    (shared / "settings.json").write_text(json.dumps({"devices": devices, "seconds": seconds}))
    snakefile = folder / "Snakefile"
    snakefile.write_text(SNAKEFILE.format(jobs=JOBS, python=sys.executable, shared=shared))
    sessions = {name: start(folder / f"session{name}", snakefile) for name in range(SESSIONS)}
    try:
        left, deadline = kills, time.monotonic() + 300
        while any(process.poll() != 0 for process in sessions.values()):
            if time.monotonic() > deadline:
                raise EvoError("a session did not come to its end", where=folder)
            for name, process in sessions.items():
                if process.poll() not in {None, 0}:  # killed, or given up: the same command again
                    sessions[name] = start(folder / f"session{name}", snakefile)
            time.sleep(chosen.uniform(0.05, 0.4))
            if left and (said := kill_one(chosen, list(sessions.values()), shared)):
                outcome.kills[said] += 1
                left -= 1
        await_end(shared)
    finally:
        for process in sessions.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for line in (shared / "log").read_text().splitlines():
        seen = json.loads(line)
        outcome.leases += 1
        outcome.most_in_use = max(outcome.most_in_use, seen["in_use"])
        outcome.collisions += seen["shared_with"]
    return outcome


def start(folder: Path, snakefile: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "-s", str(snakefile), "--cores", "8", "--resources", f"gpu={DEVICES}"]
    command += ["--nolock", "--rerun-incomplete", "--keep-going", "--quiet", "all"]
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )


def kill_one(chosen: random.Random, sessions: list[subprocess.Popen[bytes]], shared: Path) -> str | None:
    """Send a signal to a job, a Snakemake or its group; return what was done, None when there is nobody."""
    what, number = chosen.choice(["job", "job", "job", "Snakemake", "group"]), chosen.choice(SIGNALS)
    running = [process for process in sessions if process.poll() is None]
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        if what == "job":
            found = jobs(shared)
            if not found:
                return None
            chosen.choice(found).send_signal(number)
        elif not running:
            return None
        elif what == "group":
            os.killpg(chosen.choice(running).pid, number)
        else:
            number = signal.SIGKILL  # it waits for its jobs on any other
            chosen.choice(running).send_signal(number)
        return f"{number.name} of a {what}"
    return None


def jobs(shared: Path) -> list[psutil.Process]:
    """Return the live jobs of a run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.cmdline()[-3:-1] == ["--job", str(shared)] and started(process.pid) is not None:
                found.append(process)
    return found


def await_end(shared: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while jobs(shared):
        if time.monotonic() > deadline:
            raise EvoError("a job outlived its session", where=shared)
        time.sleep(0.05)


# The campaign -----------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gpus", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="runs (default: 20)")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="kills of a run (default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the kills (default: 0)")
    parser.add_argument("--job", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job is not None:
        try:
            job(*arguments.job)
        except Preempted:
            return EXIT_PREEMPTED
        return 0
    total = Outcome()
    for number in range(arguments.runs):
        with tempfile.TemporaryDirectory(prefix="evo-gpus-") as folder:
            outcome = run(Path(folder), arguments.seed + number, arguments.kills)
        total.leases += outcome.leases
        total.kills += outcome.kills
        total.collisions += outcome.collisions
        total.most_in_use = max(total.most_in_use, outcome.most_in_use)
        print(
            f"run {number + 1}: {outcome.leases} leases, {outcome.kills.total()} kills, at most {outcome.most_in_use} "
            f"GPUs at a time, {len(outcome.collisions)} collisions",
            flush=True,
        )
    print(
        f"{arguments.runs} runs of {SESSIONS} sessions: {total.leases} leases, {total.kills.total()} kills "
        f"({', '.join(f'{count} {what}' for what, count in sorted(total.kills.items()))}), at most "
        f"{total.most_in_use} of {DEVICES} GPUs at a time, {len(total.collisions)} collisions"
    )
    return int(bool(total.collisions))


if __name__ == "__main__":
    entry_point(main)
