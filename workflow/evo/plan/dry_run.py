"""What would run, from Snakemake's own dry run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..config.variants import ROOT
from ..errors import EXIT_USER_ERROR, EvoError, UserError

NOTHING = "Nothing to be done"
_HEAD = re.compile(r"(?:local)?(?:rule|checkpoint) (?P<rule>\w+):")
_TOTAL = re.compile(r"total\s+(?P<jobs>\d+)")
_CAUSES = (
    "Missing output files",
    "Incomplete output files",
    "Updated input files",
    "Input files updated by another job",
    "Set of input files has changed since last execution",
    "Code has changed since last execution",
    "Params have changed since last execution",
    "Software environment definition has changed since last execution",
    "Forced execution",
)
"""How the parts of a reason begin (``Reason.__str__`` of Snakemake 9.27)."""
_PART = re.compile(rf"(?:^|; )(?P<cause>{'|'.join(_CAUSES)})(?:: )?")


@dataclass(frozen=True)
class Job:
    """One job that would run.

    Attributes:
        rule: its rule.
        outputs: the files it writes, relative to the working directory.
        variant: the variant it is for, if for one.
        board: the board it is for, if for one.
        reason: why, in Snakemake's words.
    """

    rule: str
    outputs: tuple[str, ...]
    variant: str | None
    board: str | None
    reason: str

    @property
    def causes(self) -> dict[str, str]:
        """The parts of the reason: how each begins, and what it names. Empty if the reason has another form."""
        found = list(_PART.finditer(self.reason))
        ends = [part.start() for part in found[1:]] + [len(self.reason)]
        return {part["cause"]: self.reason[part.end() : end].strip() for part, end in zip(found, ends, strict=False)}

    @property
    def missing(self) -> list[str]:
        """The names of the missing outputs, sorted."""
        return sorted(Path(path).name for path in self.causes.get("Missing output files", "").split(", ") if path)


def command(cores: int, files: Iterable[Path], overrides: Iterable[str]) -> list[str]:
    """Return the arguments of Snakemake that run a session, without the program and the Snakefile."""
    arguments = ["--cores", str(cores), "--resources", "gpu=1"]
    for option, values in (("--configfile", list(map(str, files))), ("--config", list(overrides))):
        arguments += [option, *values] if values else []
    return arguments


def dry_run(arguments: Iterable[str]) -> list[Job]:
    """Return the jobs that Snakemake would run in the working directory. No file of the session is touched.

    Raises:
        UserError: Snakemake refuses the configuration; the message is its own.
        EvoError: it failed otherwise, or its output cannot be parsed.
    """
    program = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile")]
    # The options come first, since --configfile takes every word that follows it.
    # With PYTHONSAFEPATH no file in the working directory is imported in place of a module.
    done = subprocess.run(
        [*program, "-n", "--nocolor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    text = done.stdout + done.stderr
    if done.returncode:
        refusals = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
        if refusals and done.returncode == EXIT_USER_ERROR:
            raise UserError(refusals[-1])
        last = [line for line in text.splitlines() if line.strip()][-1:]
        raise EvoError(f"the dry run failed: {''.join(refusals or last)}", hint="run `snakemake -n` to see all of it")
    return parse(text)


def parse(text: str) -> list[Job]:
    """Return the jobs in the output of ``snakemake -n``, without the rules `all` and `check`, which only name targets.

    Raises:
        EvoError: there are fewer or more than the total in the output, for example under a quiet profile.
    """
    jobs: list[Job] = []
    rule: str | None = None
    facts: dict[str, str] = {}

    def close() -> None:
        if rule is not None:
            words = dict(pair.split("=", 1) for pair in facts.get("wildcards", "").split(", ") if "=" in pair)
            outputs = tuple(filter(None, facts.get("output", "").split(", ")))
            jobs.append(Job(rule, outputs, words.get("variant"), words.get("board"), facts.get("reason", "")))

    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            close()
            rule, facts = head["rule"], {}
        elif rule is not None and line.startswith("    "):
            key, _, value = line.strip().partition(": ")
            facts[key] = value.strip()
        else:
            close()
            rule = None
    close()
    totals = {int(found["jobs"]) for line in text.splitlines() if (found := _TOTAL.fullmatch(line.strip()))}
    if totals != {len(jobs)} and not (NOTHING in text and not jobs):
        raise EvoError(
            f"the output of `snakemake -n` cannot be parsed: found {len(jobs)} jobs of {max(totals, default=0)}",
            hint="remove options that change this output from your Snakemake profile",
        )
    return [job for job in jobs if job.rule not in {"all", "check"}]
