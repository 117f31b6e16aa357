"""Running Vela and reading its output, with a shell script in its place; and the judgement of both files."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from tests.unit import vela_models
from workflow.evo.config.boards import load_board
from workflow.evo.errors import EvoError, UserError
from workflow.evo.files import dump_json, sha256_file, write_json
from workflow.evo.npu import vela
from workflow.evo.npu.compatibility import assess
from workflow.evo.npu.vela import Compiled, compile_model, write_operators_csv
from workflow.evo.npu.vela_report import CpuOperator, Row, Summary

BOARD = load_board("preset-u55-256")
ROOT = Path(__file__).resolve().parents[2]

SUMMARY = {
    "network": '"a,b"', "core_clock": "500000000.0", "inference_time": "1.2672e-05",
    "sram_memory_used": "16.0", "dram_memory_used": "0.0",
    "on_chip_flash_memory_used": "0.0", "off_chip_flash_memory_used": "1.28125",
    "nn_macs": "210944", "nn_tops": "nan", "cycles_npu": "6336", "cycles_sram_access": "3670",
    "cycles_dram_access": "0", "cycles_on_chip_flash_access": "0", "cycles_off_chip_flash_access": "624",
    "cycles_total": "6336",
}  # fmt: skip

HEADER = (
    "Original Operator,NNG Operator,Target,Staging Usage,Peak% (Staging),Op Cycles,Network% (cycles),NPU,SRAM AC,"
    "DRAM AC,OnFlash AC,OffFlash AC,MAC Count,Network% (MAC),Util% (MAC),Name"
)
ROWS = f"""{HEADER}
Conv2D,Conv2D,NPU,7168,43.75,3136,49.49,3136,2048,0,0,400,55296,26.2,6.8,a
Conv2D,Relu,NPU,0,0.0,0,0.0,0,0,0,0,0,0,0.0,100,a
LeakyRelu,Passthrough,CPU,0,NaN,0,100,0,0,0,0,0,0,100,100,leaky, "float"
Quantize,Passthrough,CPU,0,0.0,0,0.0,0,0,0,0,0,0,0.0,100,two
lines
Conv2D,Passthrough,CPU,0,0.0,0,0.0,0,0,0,0,0,0,0.0,100,b
"""
OUTPUT = """
Warning (supported operators) operator: CONV_2D, ofm: 'elsewhere'
Reason: Another one

Warning (supported operators) operator: RELU, ofm: 'b'
Reason: The half that was split off

Warning (supported operators) operator: LEAKY_RELU, ofm: 'leaky, "float"'
Reason: Operation has tensor with unsupported DataType Float32 (it's)
Feature-map dataTypes must be one of {"INT16"}

Network summary for model
"""


@pytest.fixture
def model(tmp_path) -> Path:
    return vela_models.network(tmp_path / "model_int8.tflite")


@pytest.fixture
def folder(tmp_path) -> Path:
    """The destination, with a file of an earlier run."""
    folder = tmp_path / "npu" / "preset-u55-256"
    folder.mkdir(parents=True)
    (folder / "model_int8_vela.tflite").write_bytes(b"earlier")
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a shell script in the place of Vela; ``$out`` is its output folder, ``$canned`` has good files."""

    def install(body: str, summary: dict[str, str] = SUMMARY, rows: str = ROWS) -> Path:
        canned = tmp_path / "canned"
        canned.mkdir(exist_ok=True)
        vela_models.compiled(canned / "model_vela.tflite", island=True)
        (canned / "model_summary_X.csv").write_text(f"{','.join(summary)}\n{','.join(summary.values())}\n")
        (canned / "model_per-layer.csv").write_text(rows)
        (canned / "output").write_text(OUTPUT)
        script = tmp_path / "vela"
        script.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && { echo 9.9.9; exit; }\n'
            f'canned="{canned}"\nprintf "%s\\n" "$@" > "{tmp_path}/arguments"\n'
            'while [ $# -gt 1 ]; do [ "$1" = --output-dir ] && out=$2; shift; done\n'
            f'mkdir -p "$out"\n{body}\n'
        )
        script.chmod(0o755)
        monkeypatch.setattr(vela, "find_vela", lambda board=None: script)
        return script

    return install


WELL = 'cp "$canned"/model* "$out"; cat "$canned/output"'


def failure(model, folder, kind=EvoError, timeout_s=20.0, board=BOARD) -> str:
    """Compile, which has to fail in one line and leave the destination as it was."""
    with pytest.raises(kind) as failed:
        compile_model(model, board, folder, timeout_s)
    assert type(failed.value) is kind
    assert [path.name for path in folder.iterdir()] == ["model_int8_vela.tflite"]
    assert (folder / "model_int8_vela.tflite").read_bytes() == b"earlier"
    return str(failed.value)


# what a good run gives


def test_vela_gets_every_choice_explicitly(fake, model, folder, tmp_path):
    fake(WELL)
    compile_model(model, BOARD, folder, 20)
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[:8] == [
        "--accelerator-config", "ethos-u55-256", "--config", "Arm/vela.ini",
        "--system-config", "Ethos_U55_High_End_Embedded", "--memory-mode", "Shared_Sram",
    ]  # fmt: skip
    assert arguments[8] == "--output-dir"
    assert arguments[10:-1] == ["--verbose-performance"]


def test_totals_and_rows_are_read(fake, model, folder, tmp_path):
    fake(WELL)
    compiled = compile_model(model, BOARD, folder, 20)
    assert compiled.path == folder / "model_int8_vela.tflite"
    assert compiled.path.read_bytes() == (tmp_path / "canned" / "model_vela.tflite").read_bytes()
    assert [path.name for path in folder.iterdir()] == ["model_int8_vela.tflite"]
    assert compiled.version == "9.9.9"
    assert compiled.summary == Summary(
        clock_mhz=500.0, latency_ms=0.012672, cycles_total=6336, cycles_npu=6336, cycles_sram=3670, cycles_dram=0,
        cycles_on_chip_flash=0, cycles_off_chip_flash=624, macs=210944, sram_kib=16.0, dram_kib=0.0,
        on_chip_flash_kib=0.0, off_chip_flash_kib=1.28125,
    )  # fmt: skip
    assert compiled.rows[0] == Row("a", "Conv2D", "Conv2D", "NPU", 3136, 3136, 2048, 0, 0, 400, 55296, 7168)
    assert [row.target for row in compiled.rows] == ["NPU", "NPU", "CPU", "CPU", "CPU"]


def test_names_may_hold_commas_quotes_and_line_breaks(fake, model, folder):
    fake(WELL)
    compiled = compile_model(model, BOARD, folder, 20)
    assert [row.name for row in compiled.rows] == ["a", "a", 'leaky, "float"', "two\nlines", "b"]


def test_what_stays_on_the_cpu_has_the_reason_that_vela_prints(fake, model, folder):
    fake(WELL)
    assert compile_model(model, BOARD, folder, 20).cpu == (
        CpuOperator(
            'leaky, "float"',
            "LeakyRelu",
            "Operation has tensor with unsupported DataType Float32 (it's) "
            'Feature-map dataTypes must be one of {"INT16"}',
        ),
        CpuOperator("two\nlines", "Quantize", None),
        CpuOperator("b", "Conv2D", "The half that was split off"),
    )


def test_the_table_for_people_is_proper_csv(fake, model, folder, tmp_path):
    fake(WELL)
    write_operators_csv(compile_model(model, BOARD, folder, 20), tmp_path / "operators.csv")
    with (tmp_path / "operators.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["a", "a", 'leaky, "float"', "two\nlines", "b"]
    assert rows[0]["estimated_cycles"] == "3136"
    assert rows[0]["reason"] == ""
    assert rows[3]["reason"] == "no reason given"
    assert rows[4]["reason"] == "The half that was split off"
    assert all(name.startswith("estimated_") for name in rows[0] if "cycles" in name)


# what can go wrong


def test_a_vela_that_hangs_is_stopped_with_its_children(fake, model, folder, tmp_path):
    fake(f'sleep 60 & echo $! > "{tmp_path}/child"; wait')
    message = failure(model, folder, timeout_s=0.3)
    assert message == (
        f"{model}: Vela was still compiling for preset-u55-256 after 0.3 s and was stopped "
        "— allow it more with npu.time_limit"
    )
    assert gone(int((tmp_path / "child").read_text()))


def gone(pid: int, seconds: float = 60) -> bool:
    """Tell whether a process ends within ``seconds``; a zombie, which nobody waits for here, has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux")
def test_vela_does_not_outlive_this_program(fake, model, folder, tmp_path):
    script = fake(f'echo $$ > "{tmp_path}/pid.new"; mv "{tmp_path}/pid.new" "{tmp_path}/pid"; exec sleep 60')
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from workflow.evo.config import boards\nfrom workflow.evo.npu import vela\n"
        "vela.find_vela = lambda board: Path(sys.argv[1])\n"
        "vela.compile_model(Path(sys.argv[2]), boards.load_board('preset-u55-256'), Path(sys.argv[3]), 60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, script, model, folder], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as parent:
        deadline = time.monotonic() + 120
        while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        parent.send_signal(signal.SIGKILL)
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("body", ["ulimit -c 0; kill -SEGV $$", "exit 139"])
def test_a_segmentation_fault_is_named_and_points_at_the_model(fake, model, folder, body):
    fake(body)
    assert failure(model, folder) == (
        f"{model}: Vela crashed for preset-u55-256 (SIGSEGV) "
        "— the model is probably damaged: delete it and run snakemake again"
    )


def test_a_killed_vela_points_at_memory(fake, model, folder):
    fake("kill -KILL $$")
    assert failure(model, folder) == (
        f"{model}: Vela crashed for preset-u55-256 (SIGKILL) — the system may be short of memory"
    )


TRACEBACK = """cat <<'END'
Traceback (most recent call last):
  File "vela.py", line 137, in process
    compiled_model = compile()
RuntimeError: Compilation failed: DEPTHWISE_CONV_2D 'deep'
 - OFM depth must be right
Failed to parse
END
exit 1"""


def test_exit_code_1_gives_the_end_of_the_traceback_and_logs_the_rest(fake, model, folder, capfd):
    fake(TRACEBACK)
    assert failure(model, folder) == (
        f"{model}: Vela failed for preset-u55-256 with exit code 1 (RuntimeError: Compilation failed: "
        "DEPTHWISE_CONV_2D 'deep' - OFM depth must be right Failed to parse) — the log has the end of its output"
    )
    assert 'vela:   File "vela.py", line 137, in process' in capfd.readouterr().err


def test_exit_code_1_without_a_word(fake, model, folder):
    fake("exit 1")
    assert "with exit code 1 (it printed nothing)" in failure(model, folder)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("vela: error: argument --accelerator-config: invalid choice", 2),
        ("ethosu.vela.errors.CliOptionError: Section not found", 1),
        ("ethosu.vela.errors.ConfigOptionError: arena_mem_area", 1),
    ],
)
def test_settings_that_vela_refuses_are_the_users_to_mend(fake, model, folder, said, code):
    fake(f"echo usage; echo '{said}'; exit {code}")
    assert failure(model, folder, UserError) == (
        f"board preset-u55-256: Vela refuses the settings of the board ({said})"
    )


SPOILED = {
    "nothing at all": "rm *",
    "no model": "rm model_vela.tflite",
    "empty model": ": > model_vela.tflite",
    "half a model": 'head -c 300 "$canned/model_vela.tflite" > model_vela.tflite',
    "no summary": "rm model_summary_X.csv",
    "empty summary": ": > model_summary_X.csv",
    "header only": 'head -n 1 "$canned/model_summary_X.csv" > model_summary_X.csv',
    "half a summary": 'sed "s/,6336$//" "$canned/model_summary_X.csv" > model_summary_X.csv',
    "other columns": 'printf "a,b\\n1,2\\n" > model_summary_X.csv',
    "no rows": "rm model_per-layer.csv",
    "empty rows": ": > model_per-layer.csv",
    "half a row": 'head -c 300 "$canned/model_per-layer.csv" > model_per-layer.csv',
    "noise": "head -c 4000 /dev/urandom > model_per-layer.csv",
    "no total": 'sed "s/16\\.0/nan/" "$canned/model_summary_X.csv" > model_summary_X.csv',
    "no number": 'sed "s/3136/nan/" "$canned/model_per-layer.csv" > model_per-layer.csv',
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_an_incomplete_output_is_refused_although_vela_exits_with_0(fake, model, folder, spoil):
    fake(f'{WELL}; cd "$out" && {spoil}')
    message = failure(model, folder)
    assert message.startswith(f"{model}: Vela 9.9.9 ended without an error, but its output is incomplete (")
    assert "\n" not in message


def test_another_clock_than_the_boards_is_refused(fake, model, folder):
    fake(WELL)
    assert failure(model, folder, UserError, board=replace(BOARD, clock_mhz=400)) == (
        "board preset-u55-256: 'clock_mhz' is 400, but Vela computes Ethos_U55_High_End_Embedded with 500 MHz "
        "— write clock_mhz: 500"
    )


def test_a_missing_model_is_named_before_vela_starts(fake, folder, tmp_path):
    fake(WELL)
    assert failure(tmp_path / "none.tflite", folder) == (
        f"{tmp_path}/none.tflite: model not found — run the rule `export_int8` first"
    )
    assert not (tmp_path / "arguments").exists()


def test_a_missing_vela_says_how_to_install_it(monkeypatch, model, folder, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert failure(model, folder) == (f"{tmp_path}/bin/vela: the compiler Vela is not installed — run `make setup`")


def test_a_vela_that_cannot_start_says_so(monkeypatch, model, folder, tmp_path):
    script = tmp_path / "vela"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    monkeypatch.setattr(vela, "find_vela", lambda board=None: script)
    message = failure(model, folder)
    assert message.startswith(f"{script}: Vela does not start (FileNotFoundError: ")
    assert message.endswith(" — run `make setup`")


def test_the_environments_own_vela_comes_first(monkeypatch, tmp_path):
    for place in ("environment", "elsewhere"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "vela").write_text("#!/bin/sh\n")
        (tmp_path / place / "vela").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "environment" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere") + os.pathsep + os.environ["PATH"])
    assert vela.find_vela() == tmp_path / "environment" / "vela"
    (tmp_path / "environment" / "vela").unlink()
    assert vela.find_vela() == tmp_path / "elsewhere" / "vela"


# the judgement

TOTALS = Summary(500.0, 12.5, 6250000, 6000000, 1, 2, 3, 4, 5, 454.25, 0.0, 0.0, 1600.0)


def result(path: Path, **changes: object) -> Compiled:
    cpu = (CpuOperator("again", "Quantize", "because"), CpuOperator("b", "Add", "of another type"))
    return Compiled(path, "9.9.9", replace(TOTALS, **changes), (), cpu)


def judged(source: Path, compiled: Compiled, board=BOARD) -> dict:
    document = assess(source, compiled, board)
    dump_json("compatibility", document)
    return document


def test_a_model_that_runs_on_the_npu_as_a_whole(model, tmp_path):
    path = vela_models.compiled(tmp_path / "c.tflite")
    document = judged(model, result(path))
    assert (document["ops_percent"], document["macs_percent"], document["npu_blobs"]) == (100.0, 100.0, 1)
    assert document["operators"] == {"source": 2, "cpu": 0}
    assert document["macs"] == {"source": sum(vela_models.MACS), "cpu": 0}
    assert document["cpu_operators"] == []
    assert document["estimate"] == {
        "by": "Vela 9.9.9", "clock_mhz": 500.0, "system_config": "Ethos_U55_High_End_Embedded",
        "memory_mode": "Shared_Sram", "cycles": 6250000, "latency_ms": 12.5, "covers_all_operators": True,
        "bound_by": {"npu": 0, "sram": 0, "dram": 0, "flash": 0}, "assumed": [],
    }  # fmt: skip
    assert document["memory"] == {
        "sram": {"used_kib": 454.25, "budget_kib": 4096, "fits": True},
        "flash": {"used_kib": path.stat().st_size / 1024, "budget_kib": 32768, "fits": True},
        "dram": {"used_kib": 0.0, "budget_kib": None, "fits": None},
    }
    assert document["sha256"] == {"source": sha256_file(model), "compiled": sha256_file(path)}


def test_operators_and_macs_are_counted_in_both_files(tmp_path):
    source = vela_models.with_island(tmp_path / "s.tflite")
    document = judged(source, result(vela_models.compiled(tmp_path / "c.tflite", island=True, blobs=2)))
    assert document["operators"] == {"source": 5, "cpu": 2}
    assert document["ops_percent"] == pytest.approx(60)
    assert document["macs_percent"] == pytest.approx(100 * vela_models.MACS[0] / sum(vela_models.MACS))
    assert document["npu_blobs"] == 2
    assert document["estimate"]["covers_all_operators"] is False
    assert document["cpu_operators"] == [
        {"name": "again", "type": "QUANTIZE", "reason": "because"},
        {"name": "b", "type": "CONV_2D", "reason": None},
    ]


def test_a_model_that_stays_on_the_cpu_has_no_estimate(model):
    document = judged(model, result(model, cycles_total=0, latency_ms=0.0, sram_kib=0.0))
    assert (document["ops_percent"], document["macs_percent"], document["npu_blobs"]) == (0.0, 0.0, 0)
    assert document["estimate"]["cycles"] is None
    assert document["estimate"]["latency_ms"] is None
    assert document["memory"]["sram"] == {"used_kib": None, "budget_kib": 4096, "fits": None}


@pytest.mark.parametrize(
    ("budgets", "fits"),
    [
        ({"sram_kib": 454}, {"sram": False, "flash": True, "dram": None}),
        ({"sram_kib": 455}, {"sram": True, "flash": True, "dram": None}),
        ({"sram_kib": None, "flash_kib": 1, "dram_kib": 1}, {"sram": None, "flash": False, "dram": True}),
    ],
)
def test_memory_is_held_against_the_boards(model, tmp_path, budgets, fits):
    compiled = result(vela_models.compiled(tmp_path / "c.tflite", island=True))
    document = judged(model, compiled, replace(BOARD, **budgets))
    assert {kind: memory["fits"] for kind, memory in document["memory"].items()} == fits


def test_constants_that_lie_in_the_sram_count_as_sram(model, tmp_path):
    compiled = result(vela_models.compiled(tmp_path / "c.tflite"), on_chip_flash_kib=4000.0)
    document = judged(model, compiled, replace(BOARD, memory_mode="Sram_Only"))
    assert document["memory"]["sram"] == {"used_kib": 4454.25, "budget_kib": 4096, "fits": False}


def test_a_model_without_convolutions_has_no_share_of_macs(tmp_path):
    path = vela_models.compiled(tmp_path / "c.tflite")
    assert judged(path, result(path))["macs_percent"] is None


def test_the_document_is_written_against_its_schema(model, tmp_path):
    document = assess(model, result(vela_models.compiled(tmp_path / "c.tflite")), BOARD)
    write_json(tmp_path / "compatibility.json", "compatibility", document)
    with pytest.raises(jsonschema.ValidationError):
        write_json(tmp_path / "compatibility.json", "compatibility", {**document, "further": 1})


def test_a_damaged_compiled_file_is_not_judged(model, tmp_path):
    (tmp_path / "c.tflite").write_bytes(model.read_bytes()[:200])
    with pytest.raises(EvoError, match="LiteRT model"):
        assess(model, result(tmp_path / "c.tflite"), BOARD)
