"""How many variants train at a time, however Snakemake is called."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import ROOT, environment

PROBE = """
include: "{root}/Snakefile"


rule probe:
    output:
        "probe{{i}}.txt",
    threads: CAPACITY.training_threads
    resources:
        gpu=CAPACITY.gpu,
        cpu_training=CAPACITY.cpu_training,
    shell:
        "date +%s.%N > {{output}}; sleep 0.5; date +%s.%N >> {{output}}"


rule probes:
    input:
        expand("probe{{i}}.txt", i=range({jobs})),
"""
"""Jobs that claim what a training claims."""


def concurrent_jobs(workspace, jobs: int, *arguments: str) -> int:
    """Run so many of them; return how many were running at the same moment."""
    probe = workspace.folder / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT, jobs=jobs))
    command = workspace.command("probes", *arguments, cores=8)
    command[command.index("-s") + 1] = str(probe)
    command += ["--workflow-profile", str(ROOT / "profiles" / "default")]
    done = subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    spans = [tuple(map(float, path.read_text().split())) for path in workspace.folder.glob("probe*.txt")]
    assert len(spans) == jobs
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


@pytest.mark.parametrize(
    ("resources", "most"),
    [((), 1), (("--resources", "mem_mb=1000"), 1), (("--resources", "gpu=2"), 2), (("--resources", "gpu=4"), 4)],
)
def test_on_gpus_as_many_variants_train_at_a_time_as_there_are_tokens(workspace, resources, most):
    workspace.change(grid={"levels": [2, 3, 4], "activations": ["relu", "leaky"]}, train={"device": 0, "workers": 8})
    assert concurrent_jobs(workspace, min(most + 2, 5), *resources) == most


@pytest.mark.parametrize(("resources", "most"), [(("--resources", "gpu=1"), 3), (("--resources", "cpu_training=1"), 1)])
def test_on_a_cpu_they_train_side_by_side_without_a_gpu_token(workspace, resources, most):
    assert concurrent_jobs(workspace, 3, *resources) == most
