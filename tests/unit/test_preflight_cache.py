"""Preflights that were made before are found again, and only by what they depend on."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.synthetic import make_session, write_preflight
from workflow.evo.config.boards import load_board
from workflow.evo.files import read_json
from workflow.evo.npu import preflight_cache
from workflow.evo.npu.preflight_cache import find, keep, key, merged

NAME = "level4_relu"
BOARD = "preset-u55-256"
GIVEN = {
    "network": "a" * 64,
    "imgsz": 128,
    "executed": {"backbone": {"ReLU": 27}},
    "board": load_board(BOARD),
    "time_limit": 600,
    "code": "b" * 64,
}


@pytest.fixture
def document(tmp_path):
    session = make_session(tmp_path)
    write_preflight(session, NAME)
    found = read_json(session.layout.variant(NAME).npu_check, "npu")
    return {name: value for name, value in found.items() if name != "schema_version"}


def test_the_same_preflight_is_found_byte_for_byte_for_any_variant_of_that_network(tmp_path, document):
    keep(tmp_path / "cache", key(**GIVEN), BOARD, document)
    assert json.dumps(find(tmp_path / "cache", key(**GIVEN), NAME)) == json.dumps(document)
    assert find(tmp_path / "cache", key(**GIVEN), "mine") == {**document, "variant": "mine"}


@pytest.mark.parametrize(
    "change",
    [
        {"network": "c" * 64},
        {"imgsz": 160},
        {"executed": {"backbone": {"ReLU": 26}}},
        {"board": replace(GIVEN["board"], vela_config=Path(__file__))},
        {"time_limit": 1},
        {"code": "c" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_preflight_depends_on_makes_another_one(change):
    assert key(**{**GIVEN, **change}) != key(**GIVEN)


@pytest.mark.parametrize("package", [*preflight_cache.PACKAGES, "ultralytics"])
def test_another_version_of_a_compiler_makes_another_one(monkeypatch, package):
    before = key(**GIVEN)
    if package == "ultralytics":
        monkeypatch.setattr(preflight_cache, "ultralytics_version", lambda: "0")
    else:
        original = preflight_cache.version
        monkeypatch.setattr(preflight_cache, "version", lambda name: "0" if name == package else original(name))
    assert key(**GIVEN) != before


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"preflight": "KEY", "document": {"nc": 1}}', "[" * 100_000]
)
def test_a_damaged_preflight_is_made_again(tmp_path, document, damage):
    keep(tmp_path, "KEY", BOARD, document)
    (tmp_path / "KEY.json").write_text(damage)
    assert find(tmp_path, "KEY", NAME) is None


def test_a_preflight_under_the_name_of_another_is_not_taken(tmp_path, document):
    keep(tmp_path, "KEY", BOARD, document)
    (tmp_path / "KEY.json").rename(tmp_path / "OTHER.json")
    assert find(tmp_path, "OTHER", NAME) is None


def test_a_board_that_did_not_compile_is_tried_again(tmp_path, document):
    keep(tmp_path, "KEY", "preset-u65-512", document)
    assert find(tmp_path, "KEY", NAME) is None


def test_boards_are_kept_each_by_itself_and_put_together_in_the_order_of_the_session(tmp_path, document):
    failed = {"code": "quoted", "parameters": {"text": "no time left"}}
    further = {
        **document,
        "boards": {"other": {**document["boards"][BOARD], "board": "other"}},
        "failed": {"third": failed},
    }
    keep(tmp_path, "one", BOARD, document)
    keep(tmp_path, "two", "other", further)
    found = [find(tmp_path, name, NAME) for name in ("one", "two")]
    assert [list(one["boards"]) for one in found] == [[BOARD], ["other"]]
    whole = merged([found[1], found[0], further], ["third", BOARD, "other"])
    assert list(whole["boards"]) == [BOARD, "other"]
    assert whole["failed"] == {"third": failed}
    assert whole["operators"] == document["operators"]


def test_the_oldest_preflights_go_first(tmp_path, document, monkeypatch):
    monkeypatch.setattr(preflight_cache, "LIMIT", 2)
    for number in range(4):
        keep(tmp_path, f"KEY{number}", BOARD, document)
        os.utime(tmp_path / f"KEY{number}.json", (number, number))
    assert sorted(path.name for path in tmp_path.glob("KEY*")) == ["KEY2.json", "KEY3.json"]


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path, document):
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file" / "cache", "KEY", BOARD, document)
    assert find(tmp_path / "file" / "cache", "KEY", NAME) is None
