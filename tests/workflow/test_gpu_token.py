"""One training at a time, however Snakemake is called."""

from __future__ import annotations

import pytest


def limit(workspace, *arguments: str) -> int:
    """Return the number of trainings that a dry run would allow at a time, as the workflow itself sees it."""
    probe = workspace.folder / "probe.smk"
    from tests.conftest import ROOT

    probe.write_text(
        f'include: "{ROOT}/Snakefile"\nprint("GPU TOKENS", workflow.global_resources["gpu"], file=sys.stderr)\n'
    )
    command = workspace.command("-n", *arguments)
    command[command.index("-s") + 1] = str(probe)
    import subprocess

    done = subprocess.run(command, cwd=workspace.folder, capture_output=True, text=True, check=False)
    found = [line.split()[-1] for line in done.stderr.splitlines() if line.startswith("GPU TOKENS")]
    assert found, done.stderr
    return int(found[0])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), 1),
        (("--resources", "mem_mb=1000"), 1),
        (("--resources", "gpu=1"), 1),
        (("--resources", "gpu=2"), 2),
    ],
)
def test_the_token_is_there_whatever_resources_are_given(workspace, arguments, expected):
    assert limit(workspace, *arguments) == expected
