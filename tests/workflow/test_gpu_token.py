"""One training at a time, however Snakemake is called."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import ROOT, environment

PROBE = """
include: "{root}/Snakefile"


rule probe:
    output:
        "probe{{i}}.txt",
    resources:
        gpu=1,
    shell:
        "date +%s.%N > {{output}}; sleep 0.5; date +%s.%N >> {{output}}"


rule probes:
    input:
        expand("probe{{i}}.txt", i=range(3)),
"""


def concurrent_jobs(workspace, *resources: str) -> int:
    """Run three jobs that each want a GPU; return how many of them were running at the same moment."""
    probe = workspace.folder / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT))
    command = workspace.command("probes", *resources, cores=8)
    command[command.index("-s") + 1] = str(probe)
    command += ["--workflow-profile", str(ROOT / "profiles" / "default")]
    done = subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    spans = [tuple(map(float, path.read_text().split())) for path in workspace.folder.glob("probe*.txt")]
    assert len(spans) == 3
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.mark.parametrize(
    ("resources", "most"),
    [
        ((), 1),
        (("--resources", "mem_mb=1000"), 1),
        (("--resources", "gpu=1"), 1),
        (("--resources", "gpu=2"), 2),
    ],
)
def test_never_more_trainings_at_a_time_than_tokens(workspace, resources, most):
    assert concurrent_jobs(workspace, *resources) == most
