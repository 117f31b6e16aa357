"""The frame of the live view at two widths."""

import io

import pytest
from rich.console import Console

from tests.unit.live_session import HOSTILE, look, start, write, write_busy, write_finished
from tests.unit.synthetic import make_session
from workflow.evo.monitoring.terminal import frame, render
from workflow.evo.results.stages import SESSION, STAGES


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    session = make_session(tmp_path_factory.mktemp("busy"))
    write_busy(session)
    return look(session)


def drawn(state, width, *, colour=False):
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=colour, color_system="standard", highlight=False
    )
    render(state, console)
    return console.file.getvalue() if colour else console.export_text()


@pytest.mark.parametrize("width", [80, 160])
def test_no_line_is_wider_than_the_terminal(busy, width):
    assert max(map(len, drawn(busy, width).splitlines())) <= width


@pytest.mark.parametrize("width", [80, 160])
def test_every_variant_has_its_row_with_the_figures_that_matter(busy, width):
    lines = drawn(busy, width).splitlines()
    (training,) = [line for line in lines if line.startswith("level2_leaky ") and "3/4" in line]
    for figure in ("▶ training", "3/4", "1.23", "2.50", "1.010", ".317", "61.5", "20", "≈1:30"):
        assert figure in training
    for name, stage in (
        ("level2_relu", "✓ done"),
        ("level3_relu", "✗ model"),
        ("level3_leaky", "‖ train"),
        ("level4_relu", "· train"),
        ("level4_leaky", "· model"),
    ):
        assert any(line.startswith(f"{name} ") and stage in line for line in lines), name


def test_a_wide_terminal_shows_batch_jobs_and_accuracy_in_int8(busy):
    text = drawn(busy, 160)
    assert "".join(stage.letter for stage in STAGES if stage.scope != SESSION) in text
    assert "✓✓✓✓✓✓✓✓✓✓" in text
    assert "✓✓✓✓▶······" in text
    assert "40/76" in text
    assert ".495" in text
    assert "1.8 GiB" in text


@pytest.mark.parametrize("width", [80, 160])
def test_totals_gpu_and_disk_are_told(busy, width):
    text = drawn(busy, width)
    assert "1 running, 1 failed, 1 stopped, 2 waiting, 1 done" in text
    assert "epochs 8/20" in text
    assert "GPU busy 97 % · 40.0/80.0 GiB · 61 °C · 305/700 W · Test GPU" in text
    assert "GiB free" in text


def test_reasons_and_incidents_stand_in_whole_sentences_and_steer_no_terminal(busy):
    text = " ".join(drawn(busy, 80).split())
    assert "level3_relu: validate_model: bad model <script>alert(1)</script> [bold red]not markup[/]" in text
    assert "level3_leaky: train: not running since " in text
    assert "waiting: level4_relu with train for its turn on the GPU token" in text
    coloured = drawn(busy, 80, colour=True)
    assert "\x1b[2J" not in coloured and "\x9b" not in coloured and "\u202e" not in coloured
    assert HOSTILE not in coloured


def test_without_a_terminal_there_are_no_colour_codes(busy):
    console = Console(file=io.StringIO(), width=80, highlight=False)
    render(busy, console)
    assert "\x1b" not in console.file.getvalue()


def test_jobs_side_by_side_are_counted_where_there_is_no_room_to_name_them(session):
    start(session)
    write_finished(session, "level2_relu")
    layout = session.layout.variant("level2_relu")
    for rule, output in (("evaluate", layout.metrics), ("evaluate_int8", layout.metrics_int8)):
        output.unlink()
        write(session.root / "logs" / rule / "level2_relu.log", "val …", 1)
    state = look(session)
    assert "▶ evaluate +1 " in drawn(state, 80)
    assert "▶ evaluate, int8 " in drawn(state, 160)


def test_a_low_terminal_shows_the_variants_that_need_a_look_and_counts_the_others(busy):
    console = Console(file=io.StringIO(), width=80)
    console.print(frame(busy, 80, height=21))
    text = console.file.getvalue()
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("level") and "/4" in line]
    assert rows == ["level2_leaky", "level3_relu", "level3_leaky"]
    assert "… and 2 waiting, 1 done" in text


def test_a_finished_session_names_its_report(session):
    start(session)
    for name in session.variant_names:
        write_finished(session, name)
    write(session.layout.report, "<html>")
    text = drawn(look(session), 160)
    assert f"the report: {session.layout.report}" in text
    assert "left ≈" not in text
