"""The whole grid and its reference on every board: all of it on the NPU, and faster from level to level."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Workspace
from workflow.evo.config.boards import board_names

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def checked(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("ladder"))
    workspace.change(
        grid={"levels": [1, 2, 3, 4], "activations": ["relu", "leaky"]},
        train={"imgsz": 256},
        npu={"boards": board_names()},
    )
    run = workspace.snakemake("check", timeout=900)
    assert run.returncode == 0, run.stderr
    print(run.stderr[run.stderr.index("Checks of session") :])
    return workspace


def boards(workspace: Workspace, variant: str) -> dict[str, dict]:
    return json.loads(workspace.path(variant, "check", "npu.json").read_text())["boards"]


@pytest.mark.parametrize("variant", ["level1_silu", *(f"level{n}_{a}" for n in (2, 3, 4) for a in ("relu", "leaky"))])
def test_every_operator_runs_on_the_npu_in_one_piece(checked, variant):
    for name in board_names():
        verdict = boards(checked, variant)[name]
        assert (verdict["ops_percent"], verdict["npu_blobs"], verdict["cpu_operators"]) == (100, 1, []), name


@pytest.mark.parametrize("activation", ["relu", "leaky"])
@pytest.mark.parametrize("board", board_names())
def test_each_level_is_faster_than_the_one_before(checked, board, activation):
    ladder = ["level1_silu", *(f"level{level}_{activation}" for level in (2, 3, 4))]
    cycles = [boards(checked, variant)[board]["estimate"]["cycles"] for variant in ladder]
    print(f"\n{board} {activation}: {cycles}")
    assert cycles == sorted(cycles, reverse=True) and len(set(cycles)) == len(cycles)
