import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow.evo.errors import EvoError, Preempted, UserError
from workflow.evo.host.console import duration
from workflow.evo.host.process import StopRequest, exclusive_lock

ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux")


@contextlib.contextmanager
def python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, **options}
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


# exclusive_lock

HOLDER = """
import sys
from pathlib import Path
from workflow.evo.host.process import exclusive_lock
with exclusive_lock(Path(sys.argv[1]), "the training", print):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(path):
    with python(HOLDER, path) as process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_second_holder_is_refused_by_the_pid_of_the_first(tmp_path):
    lock, told = tmp_path / "train" / "lock", []
    with holder(lock) as first, pytest.raises(EvoError) as refused, exclusive_lock(lock, "it", told.append, 0):
        pass
    assert str(refused.value) == (
        f"{lock}: it is in use by process {first.pid} — wait for it to end, or end it, then run the same command again"
    )
    assert refused.value.exit_code == 1
    assert told == []


def test_the_error_is_the_one_asked_for(tmp_path):
    with holder(tmp_path / "lock"), pytest.raises(UserError):  # noqa: SIM117
        with exclusive_lock(tmp_path / "lock", "it", print, 0, error=UserError):
            pass


def test_the_lock_is_free_right_after_kill_9(tmp_path):
    with holder(tmp_path / "lock") as first:
        first.kill()
        first.wait()
        with exclusive_lock(tmp_path / "lock", "it", pytest.fail, 0):
            assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_who_waits_is_told_once_and_goes_on_when_the_holder_ends(tmp_path):
    told = []
    with holder(tmp_path / "lock") as first:

        def say(text):
            told.append(text)
            first.kill()

        with exclusive_lock(tmp_path / "lock", "it", say, 30):
            pass
        assert told == [f"waiting for process {first.pid} to let go of it"]


def test_the_lock_is_let_go_after_the_block_and_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / "lock", "it", pytest.fail, 0):
        raise RuntimeError
    with exclusive_lock(tmp_path / "lock", "it", pytest.fail, 0):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_in_one_line(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UserError) as refused, exclusive_lock(tmp_path / "lock", "it", pytest.fail, 0):
        pass
    assert str(refused.value) == (
        f"{tmp_path / 'lock'}: the file system of this file has no locks (flock: {os.strerror(number)}) — work in a "
        "folder of another one with `snakemake -s …/Snakefile -d FOLDER`, or have this one mounted with locks "
        "(Lustre: -o flock; NFS: lockd)"
    )


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (lambda path: path.symlink_to("precious"), "a lock has to be a regular file, and this is not one"),
        (lambda path: path.symlink_to("nowhere"), "a lock has to be a regular file, and this is not one"),
        (os.mkfifo, "a lock has to be a regular file, and this is not one"),
        (lambda path: path.mkdir(), "a folder stands where a file is needed"),
    ],
    ids=["link", "dangling link", "pipe", "folder"],
)
def test_what_lies_in_place_of_a_lock_is_refused_and_left_as_it_is(tmp_path, plant, said):
    precious, lock = tmp_path / "precious", tmp_path / ".lock"
    precious.write_text("photographs")
    plant(lock)
    with pytest.raises(UserError) as refused, exclusive_lock(lock, "it", pytest.fail, 0):
        pass
    assert str(refused.value).startswith(f"{lock}: {said} — move it ")
    assert precious.read_text() == "photographs"
    assert {path.name for path in tmp_path.iterdir()} == {"precious", ".lock"}


@pytest.mark.parametrize("plant", [lambda path: path.touch(), lambda path: path.symlink_to("nowhere")])
def test_a_session_whose_folder_is_something_else_is_refused(tmp_path, plant):
    plant(tmp_path / "session")
    lock = tmp_path / "session" / ".lock"
    with (
        pytest.raises(UserError, match="stands where a folder is needed — move it out of the way") as refused,
        exclusive_lock(lock, "it", print),
    ):
        pass
    assert str(refused.value).startswith(f"{tmp_path / 'session'}: ")


def test_who_waits_for_a_lock_gives_up_when_asked_to_stop(tmp_path):
    told = []

    def check_stop():
        if told:
            raise Preempted("stopped")

    with holder(tmp_path / "lock") as first:
        with pytest.raises(Preempted), exclusive_lock(tmp_path / "lock", "it", told.append, 30, check_stop=check_stop):
            pass
        assert told == [f"waiting for process {first.pid} to let go of it"]


# StopRequest


def test_a_stop_before_the_training_began_is_heeded_by_its_name():
    request = object.__new__(StopRequest)  # no handlers in the process of the tests
    request.signal = None
    request.check()
    request.signal = signal.SIGTERM
    with pytest.raises(Preempted) as stopped:
        request.check()
    assert stopped.value.exit_code == 75
    assert str(stopped.value) == (
        "stopped by SIGTERM before the training began; what was finished earlier is kept"
        " — run the same command again to continue"
    )


STOPPABLE = """
import os, signal, sys, time
from workflow.evo.host.process import StopRequest
signal.alarm(30)
request = StopRequest()
if sys.argv[1:] == ["fork"]:
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
        time.sleep(30)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), request.signal, flush=True)
    sys.exit()
print("ready", flush=True)
told = None
while True:
    time.sleep(0.005)
    if request.signal is not told:
        told = request.signal
        print(told.name, flush=True)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_is_noted_and_the_process_goes_on(name):
    with python(STOPPABLE) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.Signals[name])
        assert process.stdout.readline() == f"{name}\n"
        assert process.poll() is None


def test_a_second_interrupt_acts_at_once():
    with python(STOPPABLE) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == -signal.SIGINT


def test_an_interrupt_after_a_request_to_terminate_is_the_first_one():
    with python(STOPPABLE) as process:
        assert process.stdout.readline() == "ready\n"
        for name in ("SIGTERM", "SIGINT"):
            process.send_signal(signal.Signals[name])
            assert process.stdout.readline() == f"{name}\n"
        assert process.poll() is None


def test_an_interrupt_that_is_ignored_already_stays_so():
    with python("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + STOPPABLE) as process:
        assert process.stdout.readline() == "ready\n"
        for name in ("SIGINT", "SIGTERM"):
            process.send_signal(signal.Signals[name])
        assert process.stdout.readline() == "SIGTERM\n"


def test_a_forked_worker_is_ended_by_the_signal():
    with python(STOPPABLE, "fork") as process:
        os.kill(int(process.stdout.readline()), signal.SIGTERM)
        assert process.stdout.readline() == f"-{signal.SIGTERM.value} None\n"


# forks_end_with_this_process

FORKING = """
import os, signal, sys
from pathlib import Path
from workflow.evo.host.process import forks_end_with_this_process, exclusive_lock
forks_end_with_this_process()
with exclusive_lock(Path(sys.argv[1]), "it", print, 0):
    if os.fork() == 0:
        if os.fork() == 0:
            print("held", flush=True)
        signal.pause()
    signal.pause()
"""


@LINUX
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_forks_that_hang_end_with_the_training_and_keep_no_lock(tmp_path, end):
    with python(FORKING, tmp_path / "lock") as process:
        assert process.stdout.readline() == "held\n"
        process.send_signal(end)
        process.wait(120)
        with exclusive_lock(tmp_path / "lock", "it", print, 30):
            pass
        assert process.stdout.read() == ""  # both forks have let go of it


# die_with_parent

GRANDCHILD = """
import os, signal, sys
from workflow.evo.host.process import die_with_parent
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"SIGTERM\\n"), os._exit(0)))
die_with_parent()
os.write(1, b"%d\\n" % os.getpid())
signal.alarm(30)
while True:
    signal.pause()
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@LINUX
def test_a_child_is_asked_to_stop_when_its_parent_is_killed():
    with python(PARENT, GRANDCHILD) as parent:
        assert int(parent.stdout.readline()) != parent.pid
        parent.kill()
        assert parent.stdout.readline() == "SIGTERM\n"


@LINUX
def test_a_child_whose_parent_lives_is_left_alone():
    with python(PARENT, GRANDCHILD) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.05)
        os.kill(child, 0)
        os.kill(child, signal.SIGTERM)
        assert parent.stdout.readline() == "SIGTERM\n"


# Console

TALKER = """
import os, sys
from workflow.evo.host.console import Console
console = Console("level2_relu")
console.log("first")
print("of a library", file=sys.stderr, flush=True)
sys.stdin.readline()
console.log("second")
console.give_back()
os.write(2, b"given back\\n")
"""


def test_the_person_gets_lines_on_stderr_and_libraries_go_to_stdout():
    with python(TALKER, stderr=subprocess.PIPE) as process:
        out, err = process.communicate("\n", timeout=120)
    assert out == "of a library\n"
    first, second, third = err.splitlines()
    assert first[2] == first[5] == ":"
    assert first[8:] == " level2_relu: first" and second[8:] == " level2_relu: second"
    assert third == "given back"


SAY_TWICE = TALKER.partition("console.give_back()")[0] + "print('trained on')"


def test_a_closed_pipe_does_not_end_a_training():
    with python(SAY_TWICE, stderr=subprocess.PIPE) as process:
        assert process.stderr.readline().endswith(" level2_relu: first\n")
        process.stderr.close()
        process.stdin.write("\n")
        process.stdin.close()
        said = process.stdout.read()
        assert "trained on\n" in said and " level2_relu: second\n" in said, "the log has it"
        assert process.wait(120) == 0


def test_a_terminal_that_is_gone_does_not_end_a_training():
    terminal, end = os.openpty()
    with python(SAY_TWICE, stderr=end, start_new_session=True) as process:
        os.close(end)
        assert b"first" in os.read(terminal, 200)
        os.close(terminal)
        process.stdin.write("\n")
        process.stdin.close()
        assert "trained on\n" in process.stdout.read()
        assert process.wait(120) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (35.4, "0:35"), (59.6, "1:00"), (725, "12:05"), (3599.7, "1:00:00"), (25330, "7:02:10")],
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds) == text
