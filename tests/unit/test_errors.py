import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from workflow.evo.errors import EvoError, Preempted, UserError, did_you_mean, nearest
from workflow.evo.host import entry_point as entry_point_module
from workflow.evo.host.entry_point import entry_point


def test_a_message_is_one_line_with_place_fault_and_cure():
    error = UserError("unknown key\n 'epoch'", where="config.yaml", hint="did you mean 'epochs'?")
    assert str(error) == "config.yaml: unknown key 'epoch' — did you mean 'epochs'?"


def test_the_nearest_choice_is_found_whatever_its_case():
    assert nearest("leaked", ["relu", "leaky"]) == "leaky"
    assert nearest("sgdd", ["SGD", "Adam"]) == "SGD"
    assert nearest("ReLU", ["relu", "leaky"]) == "relu"
    assert nearest("banana", ["relu", "leaky"]) is None


def test_without_a_near_choice_the_valid_ones_are_listed():
    assert did_you_mean("banana", ["relu", "leaky"]) == "valid: relu, leaky"
    assert did_you_mean("x", range(100, 200)) == "valid: " + ", ".join(map(str, range(100, 112))) + ", …"
    assert did_you_mean("x", []) == "there is none"


def failing_with(error):
    def main():
        raise error

    return main


@pytest.fixture
def left(monkeypatch) -> list[int]:
    """The exit codes that a process would have ended with."""
    codes: list[int] = []
    monkeypatch.setattr(entry_point_module, "leave", codes.append)
    return codes


@pytest.mark.parametrize(
    ("error", "code"), [(UserError("no such file"), 2), (Preempted("stopped"), 75), (EvoError("disk full"), 1)]
)
def test_an_entry_point_turns_an_error_into_one_line_and_its_exit_code(error, code, left, capsys):
    entry_point(failing_with(error))
    assert left == [code]
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_an_entry_point_passes_the_exit_code_of_its_main_on(returned, code, left):
    entry_point(lambda: returned)
    assert left == [code]


def test_a_defect_of_the_program_keeps_its_traceback(left):
    with pytest.raises(ZeroDivisionError):
        entry_point(lambda: 1 // 0)
    assert left == []


@pytest.mark.parametrize(
    ("raised", "code", "last"),
    [
        ("EvoError('no luck')", 1, "error: no luck"),
        ("UserError('no luck')", 2, "error: no luck"),
        ("1 / 0", 1, "ZeroDi"),
    ],
)
def test_an_error_goes_to_the_log_when_nobody_reads_stderr_any_more(raised, code, last):
    source = "from workflow.evo.errors import *\nfrom workflow.evo.host.entry_point import entry_point\n"
    source += f"def main():\n    import sys\n    sys.stdin.readline()\n    {'raise ' * ('(' in raised)}{raised}\n"
    source += "entry_point(main)"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", source], text=True, cwd=ROOT, **pipes) as process:
        process.stderr.close()
        process.stdin.write("go on\n")
        process.stdin.close()
        said = process.stdout.read()
        assert process.wait(10) == code
    assert said.splitlines()[-1].startswith(last)


PROGRAM = """
import atexit, multiprocessing, pathlib, sys, tempfile, threading, weakref
from workflow.evo.errors import UserError; from workflow.evo.host.entry_point import entry_point

class Kept: pass

def main():
    global folder, kept
    folder, kept = tempfile.TemporaryDirectory(dir="."), Kept()
    pathlib.Path(folder.name, "file").touch()
    weakref.finalize(kept, print, "finalizer")
    atexit.register(print, "atexit")
    gate = threading.Event()
    threading.Thread(target=lambda: (gate.wait(), print("thread"))).start()
    child = multiprocessing.get_context("fork").Process(target=threading.Event().wait, daemon=True)
    child.start()
    pathlib.Path("child").write_text(str(child.pid))
    gate.set()
    sys.stdout.write("no line end")
    {end}

entry_point(main)
print("never")
"""


@pytest.mark.parametrize(("end", "code"), [("return 3", 3), ("raise UserError('wrong')", 2), ("", 0)])
def test_a_process_ends_with_all_that_python_promises(tmp_path, end, code):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(end=end))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert sorted(done.stdout.replace("no line end", "no line end\n").split("\n")) == sorted(
        ["no line end", "thread", "atexit", "finalizer", ""]
    )
    assert done.stdout.index("thread") < done.stdout.index("atexit")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["child", "program.py"]  # no temporary folder
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


def test_an_end_that_nobody_reads_has_the_exit_code_of_python(tmp_path):
    program = "from workflow.evo.host.entry_point import entry_point; entry_point(lambda: print('x', end=''))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},  # an empty one is none
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert done.returncode == entry_point_module.EXIT_UNWRITTEN
