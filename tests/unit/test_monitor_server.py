"""The live page as a web server: what it answers, to whom, and that its page can load and run nothing of others."""

import http.client
import json
import os
import re
import threading

import pytest

from tests.unit.live_session import watch, write, write_busy
from tests.unit.synthetic import make_session
from workflow.evo.errors import UserError
from workflow.evo.monitoring.server import PAGES, STATIC, LiveServer, is_local, serve


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = make_session(tmp_path_factory.mktemp("busy"))
    write_busy(made)
    return made


@pytest.fixture(scope="module")
def served(session):
    with LiveServer(watch(session), "127.0.0.1", 0, 0.0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    return answer, answer.read()


def test_the_page_its_parts_and_the_state_are_served(served):
    for path, (name, kind) in PAGES.items():
        answer, body = ask(served, path)
        assert (answer.status, answer.headers["Content-Type"], body) == (200, kind, (STATIC / name).read_bytes())
    answer, body = ask(served, "/state.json?x=1")
    assert answer.headers["Content-Type"] == "application/json"
    assert [variant["name"] for variant in json.loads(body)["variants"]][:2] == ["level2_relu", "level2_leaky"]


@pytest.mark.parametrize("path", ["/", "/state.json", "/nothing"])
def test_every_answer_forbids_scripts_of_others_and_caching(served, path):
    answer, _ = ask(served, path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8050", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_a_name_that_is_not_local_is_refused(served, host):
    answer, body = ask(served, "/state.json", Host=host)
    assert answer.status == 403
    assert b"level2_relu" not in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:8050", "127.1.2.3", "[::1]:8050", "[::1]"])
def test_local_names_are_known_whatever_the_port_of_a_tunnel(host):
    assert is_local(host)


def test_nothing_else_is_served(served):
    for path in ("/config.json", "/../config.json", "/static/page.js", "//etc/passwd", "/page.html"):
        assert ask(served, path)[0].status == 404
    assert ask(served, "/", method="POST")[0].status == 501
    answer, body = ask(served, "/", method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


def test_the_report_is_served_once_it_is_there_and_may_load_nothing(served, session):
    answer, body = ask(served, "/report")
    assert (answer.status, body) == (404, b"There is no report yet.\n")
    write(session.layout.report, "<html>the report</html>")
    answer, body = ask(served, "/report")
    assert (answer.status, body) == (200, b"<html>the report</html>")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "connect-src" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_a_report_that_is_not_a_file_is_not_served(kind, served, session, tmp_path):
    """A link could hand out any file of the user, and a named pipe would hold the thread."""
    report = session.layout.report
    report.unlink(missing_ok=True)
    (tmp_path / "secret").write_text("secret")
    if kind == "pipe":
        os.mkfifo(report)
    elif kind == "folder":
        report.mkdir()
    else:
        report.symlink_to(tmp_path / "secret" if kind == "link" else "/dev/zero")
    try:
        answer, body = ask(served, "/report")
        assert (answer.status, body) == (404, b"There is no report yet.\n")
    finally:
        report.rmdir() if kind == "folder" else report.unlink()


def test_a_report_too_large_to_be_one_is_not_served(served, session, monkeypatch):
    write(session.layout.report, "<html>the report</html>")
    monkeypatch.setattr("workflow.evo.monitoring.server.MAX_REPORT", 5)
    assert ask(served, "/report")[0].status == 404


@pytest.mark.parametrize(
    ("local", "readers"), [(True, "other users of this host"), (False, "whoever reaches this address")]
)
def test_who_can_read_the_page_is_said_at_its_start(local, readers, session, monkeypatch, capsys):
    def end(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveServer, "serve_forever", end)
    serve(watch(session), "127.0.0.1" if local else "0.0.0.0", 0, 0.0)
    assert f"{readers} can read it: there is no password" in capsys.readouterr().err


def test_a_session_that_cannot_be_read_is_said_in_one_line_and_comes_back(served, session):
    config = session.layout.config.read_text()
    session.layout.config.write_text("{")
    answer, body = ask(served, "/state.json")
    assert (answer.status, body.count(b"\n")) == (503, 1)
    assert b"config.json" in body
    session.layout.config.write_text(config)
    assert ask(served, "/state.json")[0].status == 200


def test_many_pages_cost_one_look_per_interval(session):
    view = watch(session)
    looks = []
    original = view.read
    view.read = lambda: looks.append(1) or original()
    with LiveServer(view, "127.0.0.1", 0, 60.0) as server:
        assert server.state() == server.state()
    assert len(looks) == 1


def test_a_port_that_is_taken_is_refused_with_what_to_do(served):
    with pytest.raises(UserError, match=r"cannot listen there .* — choose another with --port, 0 for any free one"):
        LiveServer(served.watch, "127.0.0.1", served.server_address[1], 1.0)


def test_the_page_names_no_other_place_and_writes_text_as_text():
    for path in STATIC.iterdir():
        text = path.read_text()
        assert not re.search(
            r"https?://|//[a-z]+\.|innerHTML|insertAdjacentHTML|outerHTML|eval\(|document\.write", text
        )
        assert not re.search(r"\son[a-z]+=|<script>|<style|style=", text)
