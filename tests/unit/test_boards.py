"""Boards: the ones that come with the workflow, and a user's own."""

import configparser
import re
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from workflow.evo.config.boards import BOARDS, board_names, load_board
from workflow.evo.errors import UserError
from workflow.evo.files import load_schema

GOOD = {
    "accelerator": "ethos-u55-64",
    "system_config": "Ethos_U55_Deep_Embedded",
    "memory_mode": "Shared_Sram",
    "clock_mhz": 200,
}


@pytest.fixture(scope="module")
def vela_ini() -> configparser.ConfigParser:
    (package,) = find_spec("ethosu").submodule_search_locations
    parser = configparser.ConfigParser()
    parser.read(Path(package) / "config_files" / "Arm" / "vela.ini")
    return parser


@pytest.fixture
def own(tmp_path):
    def write(**changes: object) -> str:
        document = {key: value for key, value in {**GOOD, **changes}.items() if value != "absent"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document))
        return str(tmp_path / "mine.yaml")

    return write


def refusal(name: str) -> str:
    with pytest.raises(UserError) as refused:
        load_board(name)
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    return str(refused.value)


PRESETS = ("ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512", "ethos-u85-256")
"""Boards that are named after their accelerator."""


@pytest.mark.parametrize("name", PRESETS)
def test_these_boards_come_with_the_workflow(name):
    assert name in board_names()
    assert load_board(name).accelerator == name


@pytest.mark.parametrize("name", board_names())
def test_a_board_computes_with_the_clock_of_its_system_configuration(name, vela_ini):
    board = load_board(name)
    assert board.clock_mhz == float(vela_ini[f"System_Config.{board.system_config}"]["core_clock"]) / 1e6


@pytest.mark.parametrize("name", board_names())
def test_every_figure_of_a_board_has_a_source(name):
    board = load_board(name)
    figures = {"clock_mhz", *(key for key in ("sram_kib", "flash_kib", "dram_kib") if getattr(board, key) is not None)}
    assert set(board.source) == figures
    assert all(len(text) > 40 for text in board.source.values())
    assert board.platform
    assert board.sram_kib is not None


@pytest.mark.parametrize("name", board_names())
def test_the_sram_of_a_board_holds_the_cache_of_its_memory_mode(name, vela_ini):
    board = load_board(name)
    assert int(vela_ini[f"Memory_Mode.{board.memory_mode}"].get("arena_cache_size", "0")) <= board.sram_kib * 1024


def test_the_schema_knows_what_vela_knows(vela_ini):
    properties = load_schema("board")["properties"]
    for key, section in (("system_config", "System_Config."), ("memory_mode", "Memory_Mode.")):
        known = {name.removeprefix(section) for name in vela_ini.sections() if name.startswith(section)}
        assert set(properties[key]["enum"]) == known
    source = (Path(find_spec("ethosu.vela").origin).parent / "architecture_features.py").read_text()
    accelerators = set(re.findall(r'"(ethos-u\d+-\d+)"', source))
    assert set(properties["accelerator"]["enum"]) == accelerators


def test_a_board_of_ones_own_is_loaded_by_path_and_needs_no_budget(own, tmp_path, monkeypatch):
    board = load_board(own())
    assert asdict(board) == {
        "name": "mine", "platform": "", **GOOD, "sram_kib": None, "flash_kib": None, "dram_kib": None, "source": {},
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert load_board("mine.yaml") == board


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ethos-u55-265", "did you mean 'ethos-u55-256'?"),
        ("Ethos-U85-256", "did you mean 'ethos-u85-256'?"),
        ("corstone", "valid: ethos-u55-128, "),
        ("../boards/ethos-u55-256", "did you mean 'ethos-u55-256'?"),
        ("", "valid: ethos-u55-128, "),
    ],
)
def test_an_unknown_board_is_refused_with_the_nearest_one(name, hint):
    assert refusal(name).startswith(f"board: unknown board '{name}' — {hint}")


def test_a_missing_board_file_is_refused_with_the_path_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("none.yaml").startswith(f"board: board file not found: {tmp_path}/none.yaml — or one of ethos-u55-")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sram_kb": 512}, "unknown key 'sram_kb', did you mean 'sram_kib'?"),
        ({"source": {"sram": "x"}}, "unknown key 'source.sram', did you mean 'sram_kib'?"),
        ({"sram_kib": "512"}, "'sram_kib' must be a whole number or null, not '512'"),
        ({"sram_kib": 512.0}, "'sram_kib' must be a whole number or null, not 512.0"),
        ({"sram_kib": True}, "'sram_kib' must be a whole number or null, not True"),
        ({"sram_kib": 0}, "'sram_kib': 0 is less than the minimum of 1"),
        ({"clock_mhz": "200"}, "'clock_mhz' must be a number, not '200'"),
        ({"accelerator": "ethos-u55-65"}, "unknown accelerator 'ethos-u55-65', did you mean 'ethos-u55-64'?"),
        ({"accelerator": 55}, "'accelerator' must be text, not 55"),
        ({"memory_mode": "SharedSram"}, "unknown memory_mode 'SharedSram', did you mean 'Shared_Sram'?"),
        ({"memory_mode": "absent", "clock_mhz": "absent"}, "missing: 'memory_mode', 'clock_mhz'"),
        (
            {"accelerator": "ethos-u85-256"},
            "'system_config' Ethos_U55_Deep_Embedded belongs to another generation than 'accelerator' ethos-u85-256",
        ),
    ],
)
def test_a_wrong_board_file_is_refused_by_key(own, changes, expected):
    path = own(**changes)
    assert refusal(path) == f"{path}: {expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2]", "a board is a table of keys and values"),
        ("", "missing: 'accelerator', 'system_config', 'memory_mode', 'clock_mhz'"),
        ("a: [", "not valid YAML ("),
        ("!!python/object/apply:os.system ['touch pwned']", "not valid YAML ("),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        ("accelerator: a\naccelerator: b", "line 2: duplicate key 'accelerator', first in line 1"),
        ("clock_mhz: .nan", "'nan' is not a finite number in 'clock_mhz'"),
        ("[" * 10_000, "nested too deep in line 1"),
        ("#" * 200_000, "board file cannot be read (larger than 100,000 bytes)"),
    ],
)
def test_a_board_file_is_data(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert expected in refusal("mine.yml")
    assert not (tmp_path / "pwned").exists()


def test_a_name_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "my board.yaml").write_text(yaml.safe_dump(GOOD))
    assert "the name 'my board' cannot name a folder" in refusal(str(tmp_path / "my board.yaml"))


def test_every_board_file_is_a_board():
    assert [path.stem for path in sorted(BOARDS.iterdir())] == board_names()
