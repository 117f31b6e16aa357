"""Figures that somebody measured on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.synthetic import NPU, make_session, write_done
from workflow.evo.config.boards import BOARDS
from workflow.evo.config.variants import ROOT
from workflow.evo.errors import UserError
from workflow.evo.files import read_json
from workflow.evo.npu.measurements import of_variant, read_measurements, silicon_ratio
from workflow.evo.reporting.columns import MAIN, columns, figures
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.text.facts import sentence

BOARD = NPU.boards[0]
HEADER = "board,variant,sha256,ms,cycles,arena_bytes,who,when\n"
ROW = f"{BOARD},level2_relu,,9.5,,,me,2026-11-30\n"
DIGEST = "ab" * 32


def table(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "silicon.csv"
    path.write_text(header + "".join(rows))
    return path


def test_a_row_has_milliseconds_whether_it_gives_them_or_cycles(tmp_path):
    cycles = f"nuvoton-m55m1,,{DIGEST.upper()},,2200000,20480,me,2026-11-30\n"
    first, second = read_measurements(table(tmp_path, ROW, cycles))
    assert (first.row, first.ms, first.arena_kib, first.variant) == (2, 9.5, None, "level2_relu")
    assert second.document() == {"ms": 10.0, "arena_kib": 20.0, "who": "me", "when": "2026-11-30"}
    assert second.sha256 == DIGEST


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (BOARD, "preset-u55-265", "unknown board 'preset-u55-265' — did you mean 'preset-u55-256'?"),
        ("9.5", "-9.5", "'ms' is -9.5: it has to be more than 0"),
        ("9.5", "0", "'ms' is 0: it has to be more than 0"),
        ("9.5", "nan", "'ms' is nan: it has to be more than 0"),
        ("9.5", "fast", "'ms' is 'fast', not a number"),
        ("9.5", "", "neither ms nor cycles — give one of them"),
        ("level2_relu", "", "neither variant nor sha256 — say what ran there"),
        (",,9.5", ",abc,9.5", "sha256 'abc' is not 64 hexadecimal digits"),
        ("2026-11-30", "30.11.26", "'when' is '30.11.26' — write a date as 2026-11-30"),
        (",me,", ",,", "'who' is empty — a measurement has somebody who made it"),
        (",2026-11-30", "", "has not as many cells as the header"),
    ],
)
def test_a_wrong_row_is_refused_in_one_line(tmp_path, old, new, expected):
    path = table(tmp_path, ROW.replace(old, new, 1))
    with pytest.raises(UserError) as refused:
        read_measurements(path)
    assert str(refused.value) == f"{path}, line 2: {expected}"


def test_a_wrong_table_is_refused_in_one_line(tmp_path):
    for header, expected in (
        ("variant,ms,who,when\n", "no column 'board' — the columns are board, variant, sha256"),
        (HEADER.replace("ms,", "msec,"), "unknown column 'msec'"),
    ):
        path = table(tmp_path, ROW, header=header)
        with pytest.raises(UserError, match=expected):
            read_measurements(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        read_measurements(path)


def test_only_the_present_file_of_a_variant_is_measured_and_the_newest_row_counts(tmp_path):
    older = ROW.replace("9.5", "8.5").replace("2026-11-30", "2026-01-01")
    of_a_file = f"{BOARD},,{DIGEST},7.5,,,me,2026-12-01\n"
    of_another = f"{BOARD},level2_relu,{'cd' * 32},1.0,,,me,2026-12-02\n"
    rows = read_measurements(table(tmp_path, ROW, older, of_a_file, of_another))
    found, notes = of_variant(rows, "level2_relu", {BOARD: [DIGEST]})
    assert found[BOARD].ms == 7.5
    assert [str(note) for note in notes] == [
        f"Line 5 of the measurements is of another file of level2_relu on {BOARD} than the present one: it is not used."
    ]
    assert of_variant(rows[:2], "level2_relu", {BOARD: [DIGEST]})[0][BOARD].ms == 9.5
    assert of_variant(rows, "level2_relu", {BOARD: []}) == ({}, []), "nothing is compiled yet"


def test_measured_figures_stand_beside_the_estimate_decide_and_give_the_ratio(tmp_path):
    path = table(tmp_path, ROW, f"{BOARD},level2_leaky,,3.5,,,me,2026-11-30\n")
    session = make_session(tmp_path, npu=replace(NPU, measurements=path), goal={"objective": "latency"})
    for name in session.variant_names[:3]:
        write_done(session, name, 0.4)
    summary = compare(session)
    assert summary["variants"][0]["measured"] == {
        BOARD: {"ms": 9.5, "arena_kib": None, "who": "me", "when": "2026-11-30"}
    }
    shown = [column.key for column in columns(MAIN, [figures(VariantSummary(v), BOARD) for v in summary["variants"]])]
    assert shown.index("measured_latency_ms") == shown.index("vela_latency_ms") + 1
    assert summary["decisions"][0]["passed"] == ["level2_leaky", "level3_relu", "level2_relu"]
    assert "3.50 ms as measured on the device" in sentence(summary["decisions"][0]["why"][0])
    estimate = read_json(session.layout.variant("level2_relu").board(BOARD).compatibility, "compatibility")
    ratio = silicon_ratio([(ms, estimate["estimate"]["latency_ms"]) for ms in (9.5, 3.5)])[0]
    said = [sentence(warning) for warning in summary["warnings"]]
    assert f"On {BOARD} the device took {ratio:.2f} times as long as Vela estimates, by 2 measured files." in said


def test_the_ratio_is_a_geometric_mean():
    assert silicon_ratio([(2.0, 1.0), (8.0, 1.0)]) == (pytest.approx(4.0), 2)
    assert silicon_ratio([]) is None


def test_published_points_give_the_ratio_of_their_board():
    import csv

    with (BOARDS.parent / "measurements" / "published.csv").open(newline="") as stream:
        points = list(csv.DictReader(stream))
    assert len(points) >= 5 and all(point["source"] for point in points)
    assert {point["board"] for point in points} <= {"", *(path.stem for path in BOARDS.iterdir())}
    pairs = [(float(p["ms"]), float(p["estimate_ms"])) for p in points if p["estimate_ms"]]
    ratio, number = silicon_ratio(pairs)
    assert (round(ratio, 2), number) == (1.46, 1)
    assert "published.csv" in (ROOT / "docs" / "boards.md").read_text()
