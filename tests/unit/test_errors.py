import subprocess
import sys
from pathlib import Path

import pytest

from workflow.evo.errors import EvoError, Preempted, UserError, did_you_mean, entry_point, nearest

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize(
    ("error", "code"), [(UserError("no such file"), 2), (Preempted("stopped"), 75), (EvoError("disk full"), 1)]
)
def test_an_entry_point_turns_an_error_into_one_line_and_its_exit_code(error, code, capsys):
    with pytest.raises(SystemExit) as stopped:
        entry_point(failing_with(error))
    assert stopped.value.code == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_an_entry_point_passes_the_exit_code_of_its_main_on(returned, code):
    with pytest.raises(SystemExit) as stopped:
        entry_point(lambda: returned)
    assert stopped.value.code == code


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        entry_point(lambda: 1 // 0)


@pytest.mark.parametrize(
    ("raised", "code", "last"),
    [
        ("EvoError('no luck')", 1, "error: no luck"),
        ("UserError('no luck')", 2, "error: no luck"),
        ("1 / 0", 1, "ZeroDi"),
    ],
)
def test_an_error_goes_to_the_log_when_nobody_reads_stderr_any_more(raised, code, last):
    source = "from workflow.evo.errors import *\nfrom workflow.evo.errors import entry_point\n"
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
