"""What is found out once: by a start for the next one, and by a session for its jobs on other machines."""

from __future__ import annotations

import json
import os

import pytest

from tests.unit.dataset_folder import save_dataset
from workflow.evo import remembered
from workflow.evo.config.loading import load_session
from workflow.evo.config.variants import model_file
from workflow.evo.remembered import FileMemory, sha256_remembered
from workflow.evo.session import identities as finding
from workflow.evo.session.identities import identities, record
from workflow.evo.session.triggers import board_identity


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_dataset(tmp_path / "own")
    (tmp_path / "mine.yaml").write_text(model_file(4, "relu").read_text())
    return load_session({"data": "own/data.yaml", "models": {"mine": {"yaml": "mine.yaml"}}})


@pytest.fixture
def settled(monkeypatch):
    """Files that were written just now count as at rest."""
    monkeypatch.setattr(remembered, "SETTLED_NS", -1_000_000_000)


@pytest.fixture
def parsed(monkeypatch) -> list[str]:
    """The model files that are parsed."""
    seen: list[str] = []
    original = finding.identity
    monkeypatch.setattr(finding, "identity", lambda path, nc: (seen.append(path.name), original(path, nc))[1])
    return seen


def test_what_a_session_recorded_is_taken_without_a_look_at_data_and_networks(session, monkeypatch):
    found = identities(session)
    record(session, found)
    for name in ("session_hashes", "identity", "pretrained_hash", "recipe_document"):
        monkeypatch.delattr(finding, name)
    assert identities(session, recorded=True) == found


def test_the_record_is_of_the_session_that_submitted_not_of_what_has_changed_since(session, tmp_path):
    before = identities(session)
    record(session, before)
    (tmp_path / "own/labels/train/train0.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert identities(session, recorded=True) == before
    after = identities(session)
    assert after.data.training != before.data.training and after.recipes != before.recipes


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"schema_version": 1}', None])
def test_a_damaged_record_or_one_of_another_configuration_is_not_taken(session, damage):
    found = identities(session)
    record(session, found)
    path = session.layout.identities
    if damage is None:
        document = json.loads(path.read_text())
        damage = json.dumps({**document, "configuration": "0" * 64, "pretrained": "1" * 64})
    path.write_text(damage)
    assert identities(session, recorded=True) == found


def test_a_model_file_is_parsed_once_until_it_changes(session, tmp_path, settled, parsed):
    before = identities(session)
    assert len(parsed) == len(session.variants)
    parsed.clear()
    assert identities(session) == before
    assert parsed == []
    (tmp_path / "mine.yaml").write_text(model_file(4, "leaky").read_text())
    after = identities(session)
    assert parsed == ["mine.yaml"]
    assert after.models["mine"] != before.models["mine"]
    assert after.models["level4_relu"] == before.models["level4_relu"]


def test_other_classes_or_another_reader_of_models_parse_all_again(session, tmp_path, settled, parsed, monkeypatch):
    identities(session)
    parsed.clear()
    path = tmp_path / "own/data.yaml"
    path.write_text(path.read_text().replace("- dog", "- dog\n- bird"))
    identities(session)
    assert len(parsed) == len(session.variants)
    parsed.clear()
    monkeypatch.setattr(finding, "module_hash", lambda module: f"another {module}")
    identities(session)
    assert len(parsed) == len(session.variants)


def test_a_model_file_that_is_gone_is_missing(session, tmp_path):
    (tmp_path / "mine.yaml").unlink()
    assert identities(session).models["mine"] == "missing"


def test_a_file_of_a_moment_ago_is_not_remembered(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"weights")
    sha256_remembered(tmp_path / "weights.pt", tmp_path / "memory.json")
    assert not (tmp_path / "memory.json").exists()


def test_large_weights_are_read_once(tmp_path, settled, monkeypatch):
    weights, memory = tmp_path / "weights.pt", tmp_path / "memory.json"
    weights.write_bytes(b"weights")
    first = sha256_remembered(weights, memory)
    remembered._sha256.cache_clear()  # as another process
    monkeypatch.setattr(remembered, "sha256_file", lambda path: f"read {path.name}")
    assert sha256_remembered(weights, memory) == first
    other = tmp_path / "draft"
    other.write_bytes(b"weightz")
    os.utime(other, ns=(weights.stat().st_atime_ns, weights.stat().st_mtime_ns))
    other.rename(weights)
    assert sha256_remembered(weights, memory) == "read weights.pt"


@pytest.mark.parametrize(
    "damage", ["", "[", "[]", '{"version": "1", "files": 3}', '{"version": "1", "files": {"x": 1}}']
)
def test_a_damaged_memory_is_rebuilt(tmp_path, settled, damage):
    memory, file = tmp_path / "memory.json", tmp_path / "file"
    memory.write_text(damage)
    file.write_text("")
    known = FileMemory(memory, "1")
    assert known.ask(file, lambda _: "told") == "told"
    known.save()
    assert FileMemory(memory, "1").ask(file, lambda _: "told again") == "told"
    assert FileMemory(memory, "2").ask(file, lambda _: "told again") == "told again"


def test_a_memory_that_cannot_be_written_costs_time_only(tmp_path, settled):
    (tmp_path / "file").write_text("")
    known = FileMemory(tmp_path / "file" / "memory.json", "1")
    assert known.ask(tmp_path / "file", lambda _: "told") == "told"
    known.save()


def test_a_board_is_read_once_however_many_variants_there_are():
    board_identity.cache_clear()
    for _ in range(3):
        board_identity("preset-u55-256")
    assert board_identity.cache_info().misses == 1
