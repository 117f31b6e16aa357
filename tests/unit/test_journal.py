import json
from datetime import datetime

import pytest

from workflow.evo.results.journal import Journal, now
from workflow.evo.text.facts import fact, sentence


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".checkpoints"


def messages(folder):
    return [sentence(incident) for incident in Journal(folder).incidents()]


def test_the_time_has_an_offset():
    assert datetime.fromisoformat(now()).tzinfo is not None


def test_attempts_at_one_recipe_are_counted_across_processes(folder):
    assert Journal(folder).start_attempt("recipe", 16) is False
    started = Journal(folder).run["started"]
    assert Journal(folder).start_attempt("recipe", 16) is True
    assert Journal(folder).start_attempt("recipe", 16) is True
    assert Journal(folder).run == {"recipe": "recipe", "started": started, "attempts": 3, "batch": 16}


def test_a_lowered_batch_survives_the_next_attempt(folder):
    journal = Journal(folder)
    journal.start_attempt("recipe", 16)
    journal.run["batch"] = 8
    journal.save()
    later = Journal(folder)
    assert later.start_attempt("recipe", 16) is True
    assert later.run["batch"] == 8


def test_a_new_recipe_starts_afresh(folder):
    journal = Journal(folder)
    journal.start_attempt("recipe", 16)
    journal.start_attempt("recipe", 16)
    journal.incident("resume", fact("quoted", text="of the first recipe"))
    assert Journal(folder).start_attempt("another", 4) is False
    assert Journal(folder).run["attempts"] == 1
    assert Journal(folder).run["batch"] == 4
    assert messages(folder) == []


def test_a_run_that_stopped_for_good_says_why_until_a_retry_is_allowed(folder):
    journal = Journal(folder)
    journal.start_attempt("recipe", 16)
    assert journal.stopped("recipe") is None
    journal.run["nonfinite"] = 5
    reason = fact("nonfinite_again", variant="v", epoch=5, error=fact("fitness_nonfinite", value="nan"))
    journal.stop(reason)
    assert Journal(folder).stopped("recipe") == reason
    assert Journal(folder).stopped("another recipe") is None
    Journal(folder).allow_retry()
    assert Journal(folder).stopped("recipe") is None
    assert "nonfinite" not in Journal(folder).run
    assert Journal(folder).run["attempts"] == 1


def test_a_retry_where_nothing_stopped_writes_nothing(folder):
    Journal(folder).allow_retry()
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b'{"recipe": "rec', b"\xff\x00"], ids=["empty", "cut", "binary"])
def test_a_damaged_run_file_starts_afresh(folder, content):
    Journal(folder).start_attempt("recipe", 16)
    (folder / "run.json").write_bytes(content)
    assert Journal(folder).start_attempt("recipe", 16) is False
    assert Journal(folder).run["attempts"] == 1


def test_incidents_keep_order_and_details(folder):
    Journal(folder).incident("resume", fact("quoted", text="resumed — from “5”"), epoch=5)
    Journal(folder).incident("out_of_memory", fact("quoted", text="halved\nin two lines\u2028"), batch_after=8)
    first, second = Journal(folder).incidents()
    assert (first["kind"], sentence(first), first["epoch"]) == ("resume", "resumed — from “5”", 5)
    assert (sentence(second), second["batch_after"]) == ("halved\nin two lines\u2028", 8)
    datetime.fromisoformat(first["time"])


def test_a_line_cut_anywhere_is_left_out_and_costs_no_other(folder):
    Journal(folder).incident("resume", fact("quoted", text="first"))
    file = folder / "incidents.jsonl"
    whole = file.read_bytes()
    line = json.dumps({"message": "abgestürzt — mitten im Wort"}, ensure_ascii=False).encode()
    for length in range(1, len(line)):
        file.write_bytes(whole + line[:length])
        assert messages(folder) == ["first"]
        Journal(folder).incident("resume", fact("quoted", text="after the crash"))
        assert messages(folder) == ["first", "after the crash"]


def test_zeros_left_by_a_crash_of_the_machine_are_left_out(folder):
    Journal(folder).incident("resume", fact("quoted", text="first"))
    with (folder / "incidents.jsonl").open("ab") as stream:
        stream.write(b"\0" * 64)
    Journal(folder).incident("resume", fact("quoted", text="second"))
    assert messages(folder) == ["first", "second"]


@pytest.mark.parametrize(
    "entry",
    [
        {"time": "soon", "kind": "oom", "message": "m"},
        {"time": "0001-01-01T00:00:00", "kind": "oom", "message": "m"},
        {"time": "9999-12-31T23:59:59-14:00", "kind": "oom", "message": "m"},
        {"time": 5, "kind": "oom", "message": "m"},
        {"kind": "oom", "message": "m"},
        {"time": "2026-01-01T00:00:00+00:00", "message": "m"},
        {"time": "2026-01-01T00:00:00+00:00", "kind": [], "message": "m"},
    ],
)
def test_an_incident_without_a_moment_or_a_kind_is_left_out(folder, entry):
    Journal(folder).incident("resume", fact("quoted", text="first"))
    with (folder / "incidents.jsonl").open("a") as stream:
        stream.write(json.dumps(entry) + "\n")
    assert messages(folder) == ["first"]


def test_json_nested_without_end_is_left_out(folder):
    Journal(folder).incident("resume", fact("quoted", text="first"))
    with (folder / "incidents.jsonl").open("a") as stream:
        stream.write("[" * 100_000 + "\n")
    assert messages(folder) == ["first"]
    (folder / "run.json").write_text("[" * 100_000)
    assert Journal(folder).run == {}


@pytest.mark.parametrize("run", [{"started": "soon", "attempts": 1}, {"started": 3, "attempts": 1}])
def test_bookkeeping_without_a_moment_starts_afresh(folder, run):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(run))
    assert Journal(folder).run == {}


def test_without_a_file_there_are_no_incidents(folder):
    assert Journal(folder).incidents() == []


def test_incidents_and_a_stop_of_version_0_1_0_are_quoted(folder):
    folder.mkdir()
    old = {"time": "2026-01-01T00:00:00+00:00", "kind": "oom", "message": "batch halved", "batch_before": 4}
    (folder / "incidents.jsonl").write_text(json.dumps(old) + "\n")
    run = {"recipe": "recipe", "started": "2026-01-01T00:00:00+00:00", "attempts": 1, "batch": 4, "stopped": "no luck"}
    (folder / "run.json").write_text(json.dumps(run))
    (incident,) = Journal(folder).incidents()
    assert (incident["code"], sentence(incident), incident["batch_before"]) == ("quoted", "batch halved", 4)
    assert "message" not in incident
    assert str(Journal(folder).stopped("recipe")) == "no luck"
