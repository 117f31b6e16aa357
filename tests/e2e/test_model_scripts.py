"""The scripts that check a model file, called as the rules and as people call them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import run_script
from tests.unit.model_files import line_of, write
from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.files import read_json
from workflow.evo.models import graph
from workflow.evo.text.facts import sentence


def test_the_checks_of_a_variant_write_the_same_documents_every_time(tmp_path):
    (tmp_path / "session.yaml").write_text("session: tiny\ngrid: {levels: [2], activations: [relu]}\n")
    folder = tmp_path / "results" / "tiny" / "level2_relu" / "check"
    contents = []
    for _ in range(2):
        for name in ("validate_model", "verify_activations"):
            done = run_script(name, "--config", "session.yaml", "--variant", "level2_relu", folder=tmp_path)
            assert done.returncode == 0, done.stderr
        contents.append([(folder / name).read_bytes() for name in ("model.json", "activations.json")])
    assert contents[0] == contents[1]
    assert str(tmp_path).encode() not in b"".join(contents[0])
    model, activations = (
        read_json(folder / "model.json", "model"),
        read_json(folder / "activations.json", "activations"),
    )
    assert (model["name"], model["level"], model["scope"], model["nc"]) == ("level2_relu", 2, ["backbone"], 10)
    assert (model["parameters"], model["layers"], model["strides"]) == (1_871_934, 23, [8, 16, 32])
    assert sum(part["parameters"] for part in model["parts"].values()) == model["parameters"]
    assert model["fingerprint"] == graph.identity(model_file(2, "relu"), 10)
    assert [sentence(note) for note in model["notes"]] == [
        "nc 80 in the file, 10 in the dataset: training uses 10",
        "plain Ultralytics would use ReLU in every part of this file: this workflow returns neck and detect to SiLU",
    ]
    assert activations["expected"] == {"backbone": "ReLU", "neck": "SiLU", "detect": "SiLU"}
    assert activations["conv_default"] == "SiLU"


def test_any_file_can_be_checked_by_hand(tmp_path):
    done = run_script("validate_model", "--file", write(tmp_path), "--nc", 3, folder=tmp_path)
    assert done.returncode == 0
    assert "mine: 1,6" in done.stderr and "3 classes, ReLU in backbone, neck, detect" in done.stderr
    assert [item.name for item in tmp_path.iterdir()] == ["mine.yaml"]


def test_a_bad_file_is_refused_with_all_its_problems_before_torch_is_imported(tmp_path):
    path = write(tmp_path, ("nc: 80", "nc: many"), ("C2f, [512]", "C2F, [512]"))
    done = run_script("validate_model", "--file", path, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: mine.yaml:4: 'nc' must be a whole number, 1 to 10000, not 'many'",
        f"mine.yaml:{line_of(path.read_text(), 'C2F')}: layer 12: unknown module 'C2F', did you mean 'C2f'?",
    ]
    code = (
        "import os, runpy, sys\nend = os._exit\nos._exit = lambda code: end(40 + code + ('torch' in sys.modules))\n"
        "runpy.run_module('workflow.scripts.validate_model', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, "--file", str(path)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--file", "none.yaml"], "model file not found: "),
        (["--file", "mine.yaml", "--nc", "0"], "--nc 0 must be 1 or more"),
        (["--variant", "level4_relu", "--nc", "3"], "--nc goes with --file"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(arguments, message, tmp_path):
    write(tmp_path)
    done = run_script("validate_model", *arguments, folder=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr


def test_activations_of_an_unknown_variant_are_refused_with_the_nearest(tmp_path):
    (tmp_path / "session.yaml").write_text("session: tiny\n")
    done = run_script("verify_activations", "--config", "session.yaml", "--variant", "level4_leaked", folder=tmp_path)
    assert done.returncode == 2
    assert "unknown variant 'level4_leaked' — did you mean 'level4_leaky'?" in done.stderr
