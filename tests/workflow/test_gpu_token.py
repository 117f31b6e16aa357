"""How many variants train at a time, however Snakemake is called."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

PROBE = """
import dataclasses

include: "{root}/Snakefile"
CAPACITY = dataclasses.replace(CAPACITY, gpus=4)


rule probe:
    output:
        "probe{{i}}.txt",
    threads: CAPACITY.training_threads
    resources:
        gpu=CAPACITY.gpu,
        cpu_training=CAPACITY.cpu_training,
    shell:
        "date +%s.%N > {{output}}; touch started{{wildcards.i}}; "
        "for wait in $(seq 200); do [ $(ls started* | wc -l) -ge {together} ] && break; sleep 0.05; done; sleep 0.2; "
        "date +%s.%N >> {{output}}"


rule probes:
    input:
        expand("probe{{i}}.txt", i=range({jobs})),
"""
"""Jobs that claim what a training claims, on a host with four GPUs in name. They wait for each other, up to 10 s."""


def concurrent_jobs(workspace, jobs: int, together: int, *arguments: str) -> tuple[int, list[str]]:
    """Run so many of them; return how many were running at the same moment, and what was said of idle GPUs."""
    probe = workspace.folder / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT, jobs=jobs, together=together))
    profile = ["--workflow-profile", ROOT / "profiles" / "default"]
    done = workspace.snakemake("probes", *arguments, *profile, cores=8, snakefile=probe)
    assert done.returncode == 0, done.stderr
    spans = [tuple(map(float, path.read_text().split())) for path in workspace.folder.glob("probe*.txt")]
    assert len(spans) == jobs
    most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
    return most, [line for line in done.stderr.splitlines() if "GPUs" in line]


@pytest.mark.parametrize(
    ("resources", "most", "said"),
    [
        ((), 1, ["1 of 4 GPUs is used: `--resources gpu=4` trains 4 variants at a time"]),
        (("--resources", "mem_mb=1000"), 1, ["1 of 4 GPUs is used: `--resources gpu=4` trains 4 variants at a time"]),
        (("--resources", "gpu=2"), 2, ["2 of 4 GPUs are used: `--resources gpu=4` trains 4 variants at a time"]),
        (("--resources", "gpu=4"), 4, []),
    ],
)
def test_on_gpus_as_many_variants_train_at_a_time_as_there_are_tokens(workspace, resources, most, said):
    workspace.change(grid={"levels": [2, 3, 4], "activations": ["relu", "leaky"]}, train={"device": 0, "workers": 8})
    assert concurrent_jobs(workspace, min(most + 2, 5), most, *resources) == (most, said)


@pytest.mark.parametrize(("resources", "most"), [(("--resources", "gpu=1"), 3), (("--resources", "cpu_training=1"), 1)])
def test_on_a_cpu_they_train_side_by_side_without_a_gpu_token(workspace, resources, most):
    assert concurrent_jobs(workspace, 3, most, *resources) == (most, [])


def test_a_dry_run_says_nothing_of_idle_gpus(workspace):
    workspace.change(train={"device": 0})
    probe = workspace.folder / "probe.smk"
    probe.write_text(PROBE.format(root=ROOT, jobs=1, together=1))
    done = workspace.snakemake("probes", "-n", cores=8, snakefile=probe)
    assert done.returncode == 0, done.stderr
    assert "GPUs" not in done.stdout + done.stderr


def test_the_threads_that_a_job_claims_are_those_its_script_uses(workspace):
    done = workspace.snakemake("-n", "-p", "--set-threads", "train=4", "export_int8=2", cores=8)
    assert done.returncode == 0, done.stderr
    used = dict(re.findall(r"workflow\.scripts\.(\w+) .* --threads (\d+)", done.stdout + done.stderr))
    assert used == {"train": "4", "evaluate": "4", "export_int8": "2", "evaluate_int8": "4"}
