"""The command `monitor` as people call it."""

from __future__ import annotations

import json

import pytest

from tests.conftest import run_script
from tests.unit.live_session import start, write, write_busy
from tests.unit.synthetic import make_session


def monitor(folder, *arguments):
    return run_script("monitor", *arguments, folder=folder, small=True, COLUMNS="80")


def test_the_session_that_was_started_last_is_shown_from_a_pipe_once_and_without_colours(session, tmp_path):
    write_busy(session)
    old = make_session(tmp_path, name="old")
    start(old)
    write(old.layout.config, old.layout.config.read_text(), age=10**9)
    done = monitor(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("v3 ")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_state_is_printed_as_json_from_any_working_directory(session, tmp_path):
    write_busy(session)
    done = monitor("/", session.root, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["folder"] == str(session.root)


def test_a_configuration_names_its_session_before_it_has_begun(tmp_path):
    (tmp_path / "mine.yaml").write_text("session: mine\ngrid: {levels: [4]}\n")
    done = monitor(tmp_path, "--config", "mine.yaml", "--once")
    assert done.returncode == 0, done.stderr
    assert "mine  new · 2 new of 2" in done.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no session was started here — name its folder, or start it first"),
        (["nowhere"], "no session was started here: it has no config.json"),
        (["nowhere", "--config", "x.yaml"], "name a folder or configuration files, not both"),
        (["--interval", "0"], "looks are at least 0.2 s apart"),
        (["--serve", "--port", "99999"], "there is no port 99999 — choose one of 0 to 65535"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(tmp_path, arguments, words):
    done = monitor(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
