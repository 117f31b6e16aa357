"""A real detector, quantised and compiled by the real Vela for every board, and the rule's script around it."""

from __future__ import annotations

import csv
import subprocess
from configparser import ConfigParser
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY, environment, run_script
from tests.quick_python import quick_python
from tests.unit import vela_models
from workflow.evo.config.boards import BOARDS, board_names, load_board
from workflow.evo.errors import UserError
from workflow.evo.files import read_json, sha256_file, write_json
from workflow.evo.npu.compatibility import assess
from workflow.evo.npu.flatbuffer import read_operators
from workflow.evo.npu.vela import compile_model

SIZE = 64  # pixels
VARIANT = "level4_leaky"


EXPORT = """
import sys
from pathlib import Path
import numpy as np
from workflow.evo.config.variants import model_file
from workflow.evo.host import ultralytics_env
size, target = int(sys.argv[1]), Path(sys.argv[2])
ultralytics_env.prepare(target.parent / "settings")
from workflow.evo.models.build import build
from workflow.evo.models.definition import load_definition
from workflow.evo.npu.export import export_int8
random = np.random.default_rng(0)
images = [random.random((1, size, size, 3), dtype=np.float32) for _ in range(2)]
export_int8(build(load_definition(model_file(4, "leaky")), 3), size, images, target)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model_int8.tflite"
    command = [quick_python(), "-c", EXPORT, str(SIZE), path]
    subprocess.run(command, env=environment(PYTHONPATH=str(ROOT)), check=True)
    return path


@pytest.mark.parametrize("name", board_names())
def test_a_detector_runs_on_every_board_as_a_whole(model, tmp_path, name):
    board = load_board(name)
    compiled = compile_model(model, board, tmp_path, 120)
    document = assess(model, compiled, board)
    write_json(tmp_path / "compatibility.json", "compatibility", document)
    assert (document["ops_percent"], document["macs_percent"], document["npu_blobs"]) == (100.0, 100.0, 1)
    assert document["cpu_operators"] == []
    assert document["operators"]["source"] == len(read_operators(model)) > 100
    assert [operator.type for operator in read_operators(compiled.path)] == ["ethos-u"]

    estimate, summary = document["estimate"], compiled.summary
    assert estimate["cycles"] == sum(row.cycles for row in compiled.rows) > 0
    assert summary.macs == sum(row.macs for row in compiled.rows)
    assert estimate["latency_ms"] == pytest.approx(estimate["cycles"] / (board.clock_mhz * 1e3))
    assert document["macs"]["source"] == pytest.approx(summary.macs, rel=0.01), "Vela adds element-wise work"
    memory = document["memory"]
    assert memory["sram"]["fits"] is (True if board.sram_kib is not None else None)
    assert (memory["dram"]["used_kib"] > 0) is (board.dram_kib is not None)
    assert memory["flash"]["used_kib"] == compiled.path.stat().st_size / 1024


def test_the_same_values_are_the_same_whatever_a_board_or_a_vendor_calls_them(model, tmp_path):
    """Vela takes the width of the buses from the name of a system configuration."""
    preset = load_board("preset-u55-256")
    (ini,) = Path(find_spec("ethosu").submodule_search_locations[0]).glob("config_files/Arm/vela.ini")
    vendor = tmp_path / "vendor.ini"
    vendor.write_text(ini.read_text().replace(f"System_Config.{preset.system_config}", "System_Config.VENDORS"))
    parser = ConfigParser()
    parser.optionxform = str
    parser.read(ini)
    values = dict(parser[f"System_Config.{preset.system_config}"])
    numbers = {key: value if key.endswith("_port") else float(value) for key, value in values.items()}
    others = (
        replace(preset, system_config="VENDORS", vela_config=vendor),
        replace(preset, name="mine", system_config=numbers, memory_mode=dict(parser["Memory_Mode.Shared_Sram"])),
        replace(preset, name="half-mine", system_config=numbers),
    )
    cycles = compile_model(model, preset, tmp_path / "preset", 120).summary.cycles_total
    for index, board in enumerate(others):
        assert compile_model(model, board, tmp_path / str(index), 120).summary.cycles_total == cycles


def test_another_compiler_than_the_board_needs_is_refused(model, tmp_path):
    board = replace(load_board("preset-u55-256"), vela={"version": "9.9.9"})
    with pytest.raises(UserError, match=r"board preset-u55-256: the board needs Vela 9\.9\.9, .*vela is 5\."):
        compile_model(model, board, tmp_path, 120)
    missing = replace(board, vela={"version": "9.9.9", "path": str(tmp_path / "vela")})
    with pytest.raises(UserError, match="Vela not found"):
        compile_model(model, missing, tmp_path, 120)


def test_compiling_again_gives_the_same_bytes(model, tmp_path):
    board = load_board("preset-u55-256")
    first, second = (compile_model(model, board, tmp_path / name, 120).path for name in ("a", "b"))
    assert sha256_file(first) == sha256_file(second)


def test_an_island_on_the_cpu_is_reported_by_name_and_reason(tmp_path):
    source, board = vela_models.with_island(tmp_path / "island.tflite"), load_board("preset-u55-256")
    document = assess(source, compile_model(source, board, tmp_path / "out", 120), board)
    assert (document["ops_percent"], document["npu_blobs"]) == (pytest.approx(40), 2)
    assert document["macs_percent"] == 100.0
    assert document["estimate"]["covers_all_operators"] is False
    dequantise, activation, quantise = document["cpu_operators"]
    assert dequantise == {"name": "float", "type": "DEQUANTIZE", "reason": "Unsupported opType"}
    assert (activation["name"], activation["type"]) == ("leaky, float", "LEAKY_RELU")
    assert activation["reason"].startswith("Operation has tensor with unsupported DataType Float32 (float) ")
    assert (quantise["name"], quantise["type"]) == ("again", "QUANTIZE")


# the script


@pytest.fixture
def place(tmp_path, model) -> Path:
    """A working directory whose session has an exported model, and a second board file of one's own."""
    own = {**yaml.safe_load((BOARDS / "preset-u55-256.yaml").read_text()), "sram_kib": 1, "platform": "my board"}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(own))
    config = {**TINY, "grid": {"levels": [4], "activations": ["leaky"]}, "npu": {"boards": ["preset-u55-256"]}}
    (tmp_path / "session.yaml").write_text(yaml.safe_dump(config))
    target = tmp_path / "results" / "tiny" / VARIANT / "npu" / "model_int8.tflite"
    target.parent.mkdir(parents=True)
    target.write_bytes(model.read_bytes())
    return tmp_path


def script(place: Path, board: str, variant: str = VARIANT) -> subprocess.CompletedProcess[str]:
    options = ["--config", "session.yaml", "--variant", variant, "--board", board]
    return run_script("compile_npu", *options, folder=place)


def test_the_script_writes_its_three_files(place):
    done = script(place, "preset-u55-256")
    assert done.returncode == 0, done.stderr
    folder = place / "results" / "tiny" / VARIANT / "npu" / "preset-u55-256"
    assert sorted(path.name for path in folder.iterdir()) == [
        "compatibility.json", "model_int8_vela.tflite", "operators.csv",
    ]  # fmt: skip
    document = read_json(folder / "compatibility.json", "compatibility")
    assert document["sha256"]["compiled"] == sha256_file(folder / "model_int8_vela.tflite")
    with (folder / "operators.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(int(row["estimated_cycles"]) for row in rows) == document["estimate"]["cycles"]
    assert (
        f"{VARIANT}: preset-u55-256: 100.0 % of {document['operators']['source']} operators on the NPU" in done.stderr
    )
    assert "by the estimate of Vela" in done.stderr
    assert "warning" not in done.stderr


def test_a_board_of_ones_own_that_is_too_small_is_a_warning(place):
    done = script(place, "small.yaml")
    assert done.returncode == 0, done.stderr
    document = read_json(place / "results" / "tiny" / VARIANT / "npu" / "small" / "compatibility.json", "compatibility")
    assert document["memory"]["sram"]["fits"] is False
    assert "KiB of SRAM, my board has 1\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("ethos-u55-265",), "error: board: unknown board 'ethos-u55-265' — did you mean 'preset-u55-256'?"),
        (("preset-u55-256", "level4_relu"), "error: session tiny: unknown variant 'level4_relu'"),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_code_2(place, arguments, expected):
    done = script(place, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(expected)
    assert "Traceback" not in done.stderr


def test_a_damaged_model_is_one_line_and_exit_code_1(place):
    model = place / "results" / "tiny" / VARIANT / "npu" / "model_int8.tflite"
    model.write_bytes(model.read_bytes()[:100_000])
    done = script(place, "preset-u55-256")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {model}: Vela ")
    assert not (model.parent / "preset-u55-256").exists()
