"""Boards: the ones that come with the workflow, and a user's own."""

import configparser
import re
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from workflow.evo.config.boards import BOARDS, MODES, RENAMED, SYSTEMS, board_names, load_board
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


PRESETS = ("preset-u55-128", "preset-u55-256", "preset-u65-256", "preset-u65-512", "preset-u85-256")
"""Arm's reference configurations, named after their accelerator."""

PRODUCTS = (
    *("alif-e7-he", "alif-e7-hp", "alif-e8", "himax-wiseeye2", "infineon-psoc-e84", "nuvoton-m55m1", "nxp-imx93"),
    "renesas-ra8p1",
)


@pytest.mark.parametrize("name", PRESETS)
def test_these_presets_come_with_the_workflow(name):
    assert load_board(name).accelerator == name.replace("preset", "ethos")
    assert "not a product" in load_board(name).platform


def test_these_boards_come_with_the_workflow():
    assert sorted((*PRESETS, *PRODUCTS)) == board_names()
    for name in PRODUCTS:
        assert load_board(name).platform and "not a product" not in load_board(name).platform


@pytest.mark.parametrize("name", board_names())
def test_a_board_computes_with_the_clock_of_its_system_configuration(name, vela_ini):
    board = load_board(name)
    values = board.system_config
    values = vela_ini[f"System_Config.{values}"] if isinstance(values, str) else values
    assert board.clock_mhz == float(values["core_clock"]) / 1e6


@pytest.mark.parametrize("name", board_names())
def test_every_figure_of_a_board_has_a_source(name):
    board = load_board(name)
    figures = {"clock_mhz", *(key for key in ("sram_kib", "flash_kib", "dram_kib") if getattr(board, key) is not None)}
    if not isinstance(board.system_config, str):
        figures.add("system_config")
    assert set(board.source) - {"memory_mode"} == figures
    assert all(len(text) > 15 for text in board.source.values())
    assert board.assumed or board.sram_kib is not None, "a figure that is absent is named"


@pytest.mark.parametrize("name", board_names())
def test_the_sram_of_a_board_holds_the_cache_of_its_memory_mode(name, vela_ini):
    board = load_board(name)
    if isinstance(board.memory_mode, str):
        cache = int(vela_ini[f"Memory_Mode.{board.memory_mode}"].get("arena_cache_size", "0"))
        assert cache <= (board.sram_kib or 0) * 1024
    else:
        assert "arena_cache_size" not in board.memory_mode


def test_what_vela_knows_is_known(vela_ini):
    properties = load_schema("board")["properties"]
    for names, section in ((SYSTEMS, "System_Config."), (MODES, "Memory_Mode.")):
        known = {name.removeprefix(section) for name in vela_ini.sections() if name.startswith(section)}
        assert set(names) == known
    source = (Path(find_spec("ethosu.vela").origin).parent / "architecture_features.py").read_text()
    accelerators = set(re.findall(r'"(ethos-u\d+-\d+)"', source))
    assert set(properties["accelerator"]["enum"]) == accelerators


def test_a_board_of_ones_own_is_loaded_by_path_and_needs_no_budget(own, tmp_path, monkeypatch):
    board = load_board(own())
    assert asdict(board) == {
        "name": "mine", "platform": "", **GOOD, "sram_kib": None, "flash_kib": None, "dram_kib": None, "source": {},
        "vela_config": None, "vela": None, "assumed": [],
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert load_board("mine.yaml") == board


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("preset-u55-265", "did you mean 'preset-u55-256'?"),
        ("Preset-U85-256", "did you mean 'preset-u85-256'?"),
        ("corstone", "valid: alif-e7-he, "),
        ("../boards/preset-u55-256", "did you mean 'preset-u55-256'?"),
        ("", "valid: alif-e7-he, "),
    ],
)
def test_an_unknown_board_is_refused_with_the_nearest_one(name, hint):
    assert refusal(name).startswith(f"board: unknown board '{name}' — {hint}")


def test_a_missing_board_file_is_refused_with_the_path_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal("none.yaml").startswith(
        f"board: board file not found: {tmp_path}/none.yaml — or one of alif-e7-he, "
    )


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


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_name_of_version_0_1_0_is_refused_with_the_new_one(old, new):
    assert refusal(old) == f"board: the board '{old}' is now called {new}"
    assert new in board_names()


# Values of one's own, and a vendor's file

VALUES = {"core_clock": 200_000_000, "axi0_port": "Sram", "axi1_port": "OffChipFlash", "OffChipFlash_clock_scale": 0.25}
MODE = {"const_mem_area": "Axi1", "arena_mem_area": "Axi0", "cache_mem_area": "Axi0"}


def test_values_of_a_board_become_sections_of_an_ini_file(own):
    board = load_board(own(system_config=VALUES, memory_mode=MODE))
    parser = configparser.ConfigParser()
    parser.read_string(board.own_sections())
    system, mode = f"System_Config.{board.system_name}", f"Memory_Mode.{board.mode_name}"
    assert parser.sections() == [system, mode]
    assert float(parser[system]["core_clock"]) == 200e6
    assert parser[system]["offchipflash_clock_scale"] == "0.25"
    assert dict(parser[mode]) == MODE


def test_the_name_of_a_system_begins_as_vela_expects_it(own):
    assert load_board(own(system_config=VALUES, memory_mode=MODE)).system_name == "Ethos_U55_mine"
    assert load_board(own()).system_name == "Ethos_U55_Deep_Embedded"
    assert load_board("alif-e8").system_name == "Ethos_U85_alif_e8"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"clock_mhz": 100}, "'clock_mhz' is 100, but core_clock of 'system_config' is 200 MHz"),
        ({"system_config": {**VALUES, "Sram_latency": 3}}, "unknown key 'system_config.Sram_latency'"),
        ({"system_config": {**VALUES, "axi0_port": "Tape"}}, "unknown system_config.axi0_port 'Tape'"),
        ({"system_config": {"core_clock": 200e6}}, "missing: 'axi0_port', 'axi1_port'"),
        ({"system_config": {**VALUES, "core_clock": "200e6]\n[x"}}, "'system_config.core_clock' must be a number"),
        ({"memory_mode": {"const_mem_area": "Axi1"}}, "missing: 'arena_mem_area', 'cache_mem_area'"),
        ({"memory_mode": "a]\n[b"}, "'memory_mode': "),
        ({"vela": {"path": "x"}}, "missing: 'version'"),
    ],
)
def test_wrong_values_are_refused_by_key(own, changes, expected):
    path = own(**{"system_config": VALUES, "memory_mode": MODE, **changes})
    assert refusal(path).startswith(f"{path}: {expected}")


def test_a_vendors_file_is_named_and_has_to_have_the_sections(own, tmp_path):
    vendor = tmp_path / "vendor.ini"
    vendor.write_text("[System_Config.RTSS]\ncore_clock=200e6\n[Memory_Mode.Shared]\nconst_mem_area=Axi1\n")
    settings = {"vela_config": "vendor.ini", "system_config": "RTSS", "memory_mode": "Shared"}
    board = load_board(own(**settings))
    assert board.vela_config == vendor
    assert board.own_sections() == "[System_Config.Ethos_U55_RTSS]\ninherit=System_Config.RTSS\n"
    path = own(**{**settings, "memory_mode": "Sharde"})
    assert refusal(path) == f"{vendor}: no section [Memory_Mode.Sharde] — 'memory_mode' of {path} names it"
    path = own(**{**settings, "vela_config": "none.ini"})
    assert refusal(path) == f"'vela_config' of {path}: ini file of Vela not found: {tmp_path / 'none.ini'}"
    vendor.write_text("no section\n")
    assert refusal(own(**settings)).startswith(f"{vendor}: not an ini file (")
