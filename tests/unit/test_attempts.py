import subprocess
import sys
from pathlib import Path

import pytest

from workflow.evo.host import attempts

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import os, sys
from workflow.evo.errors import EvoError; from workflow.evo.host.entry_point import entry_point

def main():
    print("attempt", sys.argv[1], flush=True)
    if "again" in sys.argv:
        os.execv(sys.executable, [sys.executable, "-c", os.environ["SCRIPT"], sys.argv[1], "then", "fails"])
    if "killed" in sys.argv:
        os.kill(os.getpid(), 9)
    if "fails" in sys.argv:
        raise EvoError("no luck")

entry_point(main)
"""


@pytest.fixture
def log(tmp_path):
    (tmp_path / "train").mkdir()
    return tmp_path / "train" / "level2_relu.log"


def attempt(log, *words):
    """Run a script as a rule does, whose log Snakemake has deleted before."""
    log.unlink(missing_ok=True)
    with log.open("w") as stream:
        environment = {"PYTHONPATH": str(ROOT), attempts.VARIABLE: str(log), "SCRIPT": SCRIPT}
        command = [sys.executable, "-c", SCRIPT, *words]
        subprocess.run(command, stdout=stream, stderr=stream, env=environment, check=False)
    return log.read_text()


def kept(log):
    return {path.name: path.read_text().splitlines()[0] for path in attempts.of(log)}


def test_the_log_of_every_attempt_that_failed_or_was_killed_is_kept(log):
    attempt(log, "1", "fails")
    attempt(log, "2", "killed")
    assert "error: no luck" in attempt(log, "3", "fails")
    assert kept(log) == {f"level2_relu.{number}.log": f"attempt {number}" for number in (1, 2, 3)}
    assert "error: no luck" in attempts.of(log)[0].read_text()


def test_a_success_leaves_the_logs_of_the_failures_before_it(log):
    attempt(log, "1", "fails")
    assert attempt(log, "2") == "attempt 2\n"
    assert kept(log) == {"level2_relu.1.log": "attempt 1"}


def test_an_attempt_that_goes_on_in_a_new_process_is_one(log):
    said = attempt(log, "1", "again")
    assert said.splitlines() == ["attempt 1", "attempt 1", "error: no luck"]
    assert list(kept(log)) == ["level2_relu.1.log"]


def test_logs_of_other_jobs_are_left_alone(log):
    other = log.with_name("level2_relu_s1.log")
    attempt(other, "1", "fails")
    attempt(log.with_name("level2_relu.board.log"), "1", "fails")
    attempt(log, "1", "fails")
    assert list(kept(log)) == ["level2_relu.1.log"] and list(kept(other)) == ["level2_relu_s1.1.log"]


def write(log, monkeypatch, size):
    log.unlink(missing_ok=True)
    log.write_bytes(bytes(size))
    monkeypatch.setenv(attempts.VARIABLE, str(log))
    with log.open() as stream:
        monkeypatch.setattr(attempts, "STDOUT", stream.fileno())
        return attempts.keep()


def test_number_and_size_of_the_kept_logs_are_bounded(log, monkeypatch):
    monkeypatch.setattr(attempts, "BYTES", 1000)
    for _ in range(attempts.KEPT + 3):
        write(log, monkeypatch, 10)
    assert [path.name for path in attempts.of(log)] == [f"level2_relu.{number}.log" for number in range(4, 14)]
    write(log, monkeypatch, 950)
    assert len(attempts.of(log)) == 6
    write(log, monkeypatch, 5000)
    assert [path.stat().st_size for path in attempts.of(log)] == [950, 5000]


def test_a_script_that_is_called_by_hand_keeps_nothing(log, monkeypatch):
    log.write_text("of a rule")
    monkeypatch.setenv(attempts.VARIABLE, str(log))
    with (log.parent / "other").open("w") as stream:
        monkeypatch.setattr(attempts, "STDOUT", stream.fileno())
        assert attempts.keep() is None
    monkeypatch.delenv(attempts.VARIABLE)
    assert attempts.keep() is None and attempts.of(log) == []
