"""How the shell line of a rule connects a script with the terminal and the log."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMON = (ROOT / "workflow/rules/common.smk").read_text()
FAIL = """
import sys
from workflow.evo.errors import EvoError; from workflow.evo.host.entry_point import entry_point
def main():
    print("of a library")
    {before}
    print("first", file=sys.stderr, flush=True)
    raise EvoError("no luck")
entry_point(main)
"""
KILL_TEE = "import psutil; [(child.kill(), child.wait()) for child in psutil.Process().children()]; 1"


def shell_function(python: str) -> str:
    text = re.search(r'^LOGGED = """(.*?)"""', COMMON, re.DOTALL | re.MULTILINE)[1]
    return text.replace("@CONFIG@", "config.json").replace("@PYTHON@", python)


def called(log: Path, before: str = "pass", **options: object) -> subprocess.CompletedProcess[str]:
    """Run a failing script by the shell line of a rule; return when its `tee` has ended too."""
    script = shlex.quote(FAIL.format(before=before))
    line = f"{shell_function(shlex.quote(sys.executable))}logged {shlex.quote(str(log))} python -c {script}"
    end, held = os.pipe()
    try:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["bash", "-c", line], text=True, check=False, env=environment, pass_fds=[held], cwd=ROOT, **options
        )
        os.close(held)
        assert os.read(end, 1) == b"", "the end of the file comes with the end of the last process"
    finally:
        os.close(end)
    return done


def test_the_terminal_and_the_log_get_what_is_said_and_the_log_the_output_too(tmp_path):
    done = called(log := tmp_path / "a log.log", capture_output=True)
    assert (done.returncode, done.stderr, done.stdout) == (1, "first\nerror: no luck\n", "")
    assert set(log.read_text().splitlines()) == {"of a library", "first", "error: no luck"}


def test_the_log_is_complete_when_nobody_reads_the_terminal_any_more(tmp_path):
    end, broken = os.pipe()
    os.close(end)
    done = called(log := tmp_path / "train.log", stderr=broken)
    os.close(broken)
    assert done.returncode == 1
    assert {"of a library", "first", "error: no luck"} <= set(log.read_text().splitlines())


def test_the_error_is_in_the_log_when_tee_is_killed(tmp_path):
    before = KILL_TEE + "\n    raise EvoError('no luck')"
    done = called(log := tmp_path / "train.log", before, capture_output=True)
    assert done.returncode == 1
    assert {"of a library", "error: no luck"} == set(log.read_text().splitlines())


@pytest.mark.parametrize(("name", "reason"), [("gone/train.log", "No such file or directory"), ("", "Is a directory")])
def test_a_log_that_cannot_be_opened_is_one_line(tmp_path, name, reason):
    done = called(tmp_path / name, capture_output=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path / name}: the log cannot be written ({reason}) — fix that, then run the same command again\n"
    )
