import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.evo.errors import EvoError
from workflow.evo.host.kernel_kills import killed_since, oom_kills
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import fact, sentence
from workflow.evo.training import recovery

ROOT = Path(__file__).resolve().parents[2]
EVENTS = "low 0\nhigh 0\nmax 7\noom 3\noom_kill {}\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


@pytest.fixture
def proc(tmp_path):
    return tmp_path / "cgroup"


def put(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    return str(folder)


def test_version_2_counts_in_memory_events(tmp_path, proc):
    proc.write_text("0::/user.slice/job_7\n")
    group = put(tmp_path / "user.slice" / "job_7", "memory.events", EVENTS.format(2))
    assert oom_kills(proc, tmp_path) == {group: 2}


def test_in_a_container_the_own_group_is_the_root(tmp_path, proc):
    proc.write_text("0::/\n")
    group = put(tmp_path, "memory.events", EVENTS.format(1))
    assert oom_kills(proc, tmp_path) == {group: 1}


def test_version_1_counts_in_memory_oom_control(tmp_path, proc):
    proc.write_text("9:cpu,cpuacct:/elsewhere\n4:memory:/jobs/7\n0::/\n")
    group = put(tmp_path / "memory" / "jobs" / "7", "memory.oom_control", CONTROL.format(5))
    assert oom_kills(proc, tmp_path) == {group: 5}


@pytest.mark.parametrize("control", ["oom_kill_disable 0\nunder_oom 0\n", "oom_kill many\n", ""])
def test_a_counter_that_is_not_there_is_no_evidence(tmp_path, proc, control):
    proc.write_text("4:memory:/jobs/7\n")
    put(tmp_path / "memory" / "jobs" / "7", "memory.oom_control", control)
    assert oom_kills(proc, tmp_path) == {}


def test_a_host_without_control_groups_has_no_evidence(tmp_path, proc):
    assert oom_kills(proc, tmp_path) == {}
    proc.write_text("0::/gone\n")
    assert oom_kills(proc, tmp_path) == {}


@pytest.mark.parametrize(
    ("before", "now", "evidence"),
    [
        ({"/g": 1}, {"/g": 2}, fact("oom_kills_counted", group="/g", before=1, now=2)),
        ({"/g": 1}, {"/g": 1}, None),
        ({"/g": 1}, {"/g": 0}, None),
        ({"/g": 1}, {"/other": 5}, None),
        ({}, {"/g": 5}, None),
        ({"/g": 1}, {}, None),
    ],
)
def test_only_a_higher_count_of_the_same_group_is_evidence(before, now, evidence):
    assert killed_since(before, now) == evidence


# What is made of it


class Quiet:
    def log(self, _text):
        pass


def after_death(folder, session, monkeypatch, kills, batch=16):
    """The journal of an attempt that ended without a word, read when the counter is at ``kills``."""
    journal = Journal(folder)
    journal.start_attempt("recipe", batch)
    journal.run["running"] = {"epoch": 3, "batch": batch, "oom_kills": {"/g": 1}}
    journal.save()
    monkeypatch.setattr(recovery, "oom_kills", lambda: kills)
    later = Journal(folder)
    later.start_attempt("recipe", batch)
    return recovery.Recovery(session, "level2_relu", later, Quiet()), later


def test_a_training_that_the_kernel_killed_goes_on_with_half_the_batch(tmp_path, session, monkeypatch):
    policy, journal = after_death(tmp_path, session, monkeypatch, {"/g": 2})
    policy.assess_last_attempt()
    assert Journal(tmp_path).run["batch"] == 8
    (incident,) = journal.incidents()
    assert incident["kind"] == "out_of_memory" and (incident["batch_before"], incident["batch_after"]) == (16, 8)
    assert sentence(incident).startswith(
        "the kernel killed the training because it was out of memory in epoch 3 at batch 16: "
    )
    assert incident["error"] == "oom_kill of /g went from 1 to 2"
    policy.assess_last_attempt()
    assert Journal(tmp_path).run["batch"] == 8, "one death is assessed once"


@pytest.mark.parametrize("kills", [{"/g": 1}, {}, {"/another": 9}])
def test_a_kill_by_a_person_changes_nothing(tmp_path, session, monkeypatch, kills):
    policy, journal = after_death(tmp_path, session, monkeypatch, kills)
    policy.assess_last_attempt()
    assert Journal(tmp_path).run["batch"] == 16 and journal.incidents() == []
    assert "running" not in json.loads((tmp_path / "run.json").read_text())


def test_a_kernel_that_kills_at_one_image_stops_the_training_for_good(tmp_path, session, monkeypatch):
    policy, journal = after_death(tmp_path, session, monkeypatch, {"/g": 2}, batch=1)
    with pytest.raises(EvoError, match="out of memory in epoch 3 even at batch 1"):
        policy.assess_last_attempt()
    assert "even at batch 1" in str(journal.stopped("recipe"))


LOADER = RuntimeError("DataLoader worker (pid 4711) is killed by signal: Killed. ")
TRAINER = SimpleNamespace(batch_size=16, place=fact("in_epoch", epoch=3))


def test_a_data_loader_process_that_the_kernel_killed_halves_the_batch_and_the_counter_is_quoted(
    tmp_path, session, monkeypatch
):
    policy, journal = after_death(tmp_path, session, monkeypatch, {"/g": 2})
    with pytest.raises(recovery.RestartRequired):
        policy.handle(TRAINER, LOADER)
    assert Journal(tmp_path).run["batch"] == 8
    (incident,) = journal.incidents()
    assert incident["kind"] == "out_of_memory" and incident["error"] == "oom_kill of /g went from 1 to 2"
    assert sentence(incident).startswith(
        "the kernel killed a data loader process because it was out of memory in epoch 3 at batch 16: "
        "continued at batch 8"
    )


@pytest.mark.parametrize(
    ("kills", "why"),
    [({"/g": 1}, ", and not by the kernel"), ({}, "; no counter tells whether the kernel was out of memory")],
)
def test_a_data_loader_process_that_somebody_killed_ends_the_attempt_and_keeps_the_batch(
    tmp_path, session, monkeypatch, kills, why
):
    policy, journal = after_death(tmp_path, session, monkeypatch, kills)
    with pytest.raises(EvoError, match=rf"was killed in epoch 3{why} — run the same command again to continue"):
        policy.handle(TRAINER, LOADER)
    assert Journal(tmp_path).run["batch"] == 16 and journal.stopped("recipe") is None
    (incident,) = journal.incidents()
    assert incident["kind"] == "loader_killed"


# The kernel itself

GREEDY = """
import os, sys
from pathlib import Path
from workflow.evo.host.kernel_kills import oom_kills
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
print(sum(oom_kills().values()), flush=True)
if sys.argv[2] == "greedy":
    bytearray(200 << 20)
    print("survived")
"""


@pytest.fixture
def small_group():
    """A control group of 50 MiB, where this host lets a test make one."""
    for parent, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        group = Path("/sys/fs/cgroup", parent, f"evo_test_{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(50 << 20))
            yield group
            return
        except OSError:
            continue
        finally:
            group.rmdir()
    pytest.skip("no control group with a limit of memory can be made here")


def test_the_kernel_counts_what_it_kills(small_group):
    def run(what):
        command = [sys.executable, "-c", GREEDY, str(small_group), what]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    killed = run("greedy")
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "0\n")
    assert run("modest").stdout == "1\n"
