"""How often the kernel killed processes of this control group because memory ran out: evidence after a SIGKILL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..text.facts import Fact, fact

PROC = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def oom_kills(proc: Path = PROC, cgroups: Path = CGROUPS) -> dict[str, int]:
    """Return kills by lack of memory, by the folder of the control group that counted them; empty when none counts.

    Both versions count the processes that were killed *in* a group: ``memory.events`` of version 2 with those of its
    children, ``memory.oom_control`` of version 1 without. A group is named by its path, so that counts of two groups
    are never compared. The groups above are left out: their counters are those of strangers.

    Args:
        proc: lists the groups of this process, as proc(5) does.
        cgroups: where the hierarchies are mounted.
    """
    found = {}
    for folder, file in _counters(proc, cgroups):
        try:
            lines = (folder / file).read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                found[str(folder)] = int(value)
    return found


def _counters(proc: Path, cgroups: Path) -> Iterator[tuple[Path, str]]:
    try:
        entries = proc.read_text().splitlines()
    except OSError:
        return
    for entry in entries:
        _, controllers, path = entry.split(":", 2)
        inside = path.lstrip("/")
        if "memory" in controllers.split(","):
            yield cgroups / "memory" / inside, "memory.oom_control"
        elif not controllers:
            # A container sees its own group as the root of the mount, whatever its path is outside.
            yield cgroups / inside, "memory.events"


def killed_since(before: dict[str, int], now: dict[str, int]) -> Fact | None:
    """Return the evidence that the kernel killed a process of the same group since ``before``; None without any."""
    for group, count in now.items():
        if group in before and count > before[group]:
            return fact("oom_kills_counted", group=group, before=before[group], now=count)
    return None
