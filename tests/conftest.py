"""What the tests of the whole workflow share: a working directory of its own and a Snakemake that runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

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

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = folder / "session.yaml"
        self.program, self.environment = [str(SNAKEMAKE)], {}
        self.write(TINY)

    def write(self, config: dict) -> None:
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def change(self, **overlay: object) -> None:
        """Lay ``overlay`` over the configuration file, tables key by key."""
        config = yaml.safe_load(self.config.read_text())
        for key, value in overlay.items():
            config[key] = {**config[key], **value} if isinstance(value, dict) and key in config else value
        self.write(config)

    def command(self, *arguments: object, cores: int = 2) -> list[str]:
        """Return the command line; arguments that end the list of targets come first, the fixed options last."""
        fixed = ["--cores", str(cores), "--configfile", str(self.config)]
        return [*self.program, "-s", str(ROOT / "Snakefile"), *map(str, arguments), *fixed]

    def snakemake(
        self,
        *arguments: object,
        cores: int = 2,
        timeout: float = 900,
        before: Callable[[], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end; ``before`` is called in the child first."""
        return subprocess.run(
            self.command(*arguments, cores=cores),
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
        done = self.snakemake("-n", *arguments)
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


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a child: this one, without what a test runner or an earlier call may have left."""
    dropped = {"PYTHONPATH", "CUDA_VISIBLE_DEVICES", "YOLO_CONFIG_DIR"}
    return {**{key: value for key, value in os.environ.items() if key not in dropped}, **extra}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)
