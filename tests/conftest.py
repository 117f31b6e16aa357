"""What the tests of the whole workflow share, and the order in which they go to the processes that run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.quick_python import RUN_SNAKEMAKE, quick_python
from tests.unit.synthetic import make_session
from workflow.evo.config.session import Session

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = Path(sys.executable).parent / "snakemake"

TINY = {
    "session": "tiny",
    "data": "demo",
    "digits": {"train": 8, "val": 4, "test": 0, "size": 64, "seed": 0},
    "grid": {"levels": [2, 4], "activations": ["relu"]},
    "train": {
        "epochs": 2,
        "imgsz": 64,
        "batch": 4,
        "nbs": 4,
        "workers": 0,
        "device": "cpu",
        "warmup_epochs": 0,
        "close_mosaic": 0,
        "optimizer": "SGD",
        "lr0": 0.01,
    },
}
"""A session of seconds: two variants of the grid, eight images, two epochs."""


class Workspace:
    """A working directory outside the repository, with a configuration file, in which Snakemake is called."""

    def __init__(self, folder: Path, config: dict | None = TINY):
        """Write ``config`` into ``folder``; with None a configuration is there already."""
        self.folder = folder
        self.config = folder / "session.yaml"
        self.program, self.environment = [str(SNAKEMAKE)], {}
        if config is not None:
            self.write(config)

    def write(self, config: dict) -> None:
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def change(self, **overlay: object) -> None:
        """Lay ``overlay`` over the configuration file, tables key by key."""
        config = yaml.safe_load(self.config.read_text())
        for key, value in overlay.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) and key in config else value
        self.write(config)

    def command(self, *arguments: object, cores: int = 2, snakefile: Path = ROOT / "Snakefile") -> list[str]:
        """Return the command line; arguments that end the list of targets come first, the fixed options last."""
        fixed = ["--cores", str(cores), "--configfile", str(self.config)]
        return [*self.program, "-s", str(snakefile), *map(str, arguments), *fixed]

    def snakemake(
        self,
        *arguments: object,
        cores: int = 2,
        snakefile: Path = ROOT / "Snakefile",
        timeout: float = 900,
        before: Callable[[], None] | None = None,
        afresh: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end.

        Args:
            before: called in the child first.
            afresh: Snakemake and its jobs import what they need themselves, as when a shell starts it; so it is with
                ``before`` and with a program of its own.
        """
        command = self.command(*arguments, cores=cores, snakefile=snakefile)
        if before is None and not afresh and self.program == [str(SNAKEMAKE)]:
            command[:1] = quick_snakemake()
        return subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment(**self.environment),
            preexec_fn=before,
        )

    def planned(self, *arguments: object) -> dict[str, list[str]]:
        """Dry-run; return the outputs of the jobs planned, by rule."""
        return self.jobs(self.snakemake("-n", *arguments))

    @staticmethod
    def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
        """Return the outputs of the jobs that a dry run has planned, by rule."""
        assert done.returncode == 0, done.stdout + done.stderr
        jobs: dict[str, list[str]] = {}
        rule = None
        for line in (done.stdout + done.stderr).splitlines():
            if line.startswith(("rule ", "localrule ")):
                rule = line.split()[1].rstrip(":")
                jobs.setdefault(rule, []).append("")
            elif rule and line.strip().startswith("output:"):
                jobs[rule][-1] = line.partition(":")[2].strip()
            elif not line.strip():
                rule = None
        return jobs

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath("results", "tiny", *parts)

    def log(self, variant: str) -> str:
        return self.path("logs", "train", f"{variant}.log").read_text()


def quick_snakemake(versions: Mapping[str, str] | None = None) -> list[str]:
    """Return how `quick_python` starts Snakemake, its jobs too, as if packages were installed in ``versions``."""
    start = [quick_python(small=True), "-c", RUN_SNAKEMAKE, quick_python()]
    return [*start, json.dumps(dict(versions or {}))]


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child: this one, without what a test runner or an earlier call may have left."""
    dropped = ("PYTHONPATH", "CUDA_VISIBLE_DEVICES", "YOLO_", "ULTRALYTICS_")
    return {**{key: value for key, value in os.environ.items() if not key.startswith(dropped)}, **extra}


def run_script(
    name: str, *arguments: object, folder: Path, small: bool = False, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run a script of the workflow by `quick_python` in ``folder`` to its end.

    Args:
        small: it needs no large library.
        extra: variables of its environment.
    """
    return subprocess.run(
        [quick_python(small), "-m", f"workflow.scripts.{name}", *map(str, arguments)],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT), **extra),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def error_lines(text: str) -> list[str]:
    """Return the lines of a log or of stderr that are errors for the person at the keyboard."""
    return [line for line in text.splitlines() if line.startswith("error: ")]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session of six variants without any result."""
    return make_session(tmp_path)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


FORKING = (
    "faults/test_recovery.py",
    "faults/test_damage.py",
    "faults/test_campaign.py",
    "faults/test_tracking.py",
    "faults/test_full_disk.py",
)
"""`tools.faults.Bench` forks the process of the test, in which no library may have started threads yet."""
LONGEST = (
    "e2e/test_session.py",
    "faults/test_killed.py",
    "faults/test_storage.py",
    "e2e/test_int8.py",
    "workflow/test_edits.py",
    "faults/test_memory.py",
    "e2e/test_compile.py",
    "e2e/test_bad_input.py",
    "e2e/test_evaluation.py",
)
ORDER = (*FORKING, *LONGEST)
"""Processes of pytest-xdist take the files in this order, and then all others, which are short and fill them up."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    place = f"{item.path.parent.name}/{item.path.name}"
    assert place in FORKING or "bench" not in getattr(item, "fixturenames", ()), f"{place} is not in FORKING"
    return ORDER.index(place) if place in ORDER else len(ORDER)
