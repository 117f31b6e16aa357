"""The real Vela on what it cannot compile, and on models that it compiles although they do not run as hoped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit import vela_models
from tests.unit.litert_models import T
from workflow.evo.config.boards import load_board
from workflow.evo.errors import EvoError, UserError
from workflow.evo.npu.compatibility import assess
from workflow.evo.npu.vela import compile_model

BOARD = load_board("preset-u55-256")
TIMEOUT_S = 60


@pytest.fixture
def model(tmp_path) -> Path:
    return vela_models.network(tmp_path / "model_int8.tflite")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "preset-u55-256"


def failure(model: Path, folder: Path, kind: type[EvoError] = EvoError, board=BOARD) -> str:
    with pytest.raises(kind) as failed:
        compile_model(model, board, folder, TIMEOUT_S)
    assert type(failed.value) is kind
    assert not folder.exists()
    assert "\n" not in str(failed.value)
    return str(failed.value)


def test_a_truncated_model_is_one_line_and_nothing_is_left_behind(model, folder):
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])
    message = failure(model, folder)
    assert message.startswith(f"{model}: Vela crashed for preset-u55-256 (SIGSEGV) — the model is probably damaged")


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "cannot mmap an empty file"), (b"not a model at all" * 100, "Compilation failed")]
)
def test_a_file_that_is_no_model_gives_velas_own_words(model, folder, content, said, capfd):
    model.write_bytes(content)
    message = failure(model, folder)
    assert message.startswith(f"{model}: Vela failed for preset-u55-256 with exit code 1 (")
    assert said in message
    assert "vela: Traceback" in capfd.readouterr().err


def test_a_memory_mode_that_the_system_cannot_have_is_refused(model, folder):
    board = replace(BOARD, memory_mode="Dedicated_Sram_384KB")
    message = failure(model, folder, UserError, board)
    assert message.startswith("board preset-u55-256: Vela refuses the settings of the board (")
    assert "arena_mem_area=OffChipFlash" in message


def test_a_model_in_floating_point_stays_on_the_cpu_completely(tmp_path, folder):
    source = vela_models.network(tmp_path / "float.tflite", T.FLOAT32)
    compiled = compile_model(source, BOARD, folder, TIMEOUT_S)
    document = assess(source, compiled, BOARD)
    assert (document["ops_percent"], document["macs_percent"], document["npu_blobs"]) == (0.0, 0.0, 0)
    assert {(one["name"], one["type"]) for one in document["cpu_operators"]} >= {("a", "CONV_2D"), ("b", "CONV_2D")}
    assert all("unsupported DataType Float32" in one["reason"] for one in document["cpu_operators"])
    assert document["estimate"]["latency_ms"] is None
    assert document["memory"]["sram"]["fits"] is None


def test_a_board_whose_sram_is_too_small_is_told_apart_from_one_that_is_not(model, folder):
    compiled = compile_model(model, BOARD, folder, TIMEOUT_S)
    needed = compiled.summary.sram_kib
    assert needed > 2  # output and input of the second convolution: 2 KiB each
    for budget, fits in ((int(needed) - 1, False), (int(needed) + 1, True)):
        sram = assess(model, compiled, replace(BOARD, sram_kib=budget))["memory"]["sram"]
        assert sram == {"used_kib": needed, "budget_kib": budget, "fits": fits}
