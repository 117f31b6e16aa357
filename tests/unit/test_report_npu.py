"""What the reports say of the NPU and of the int8 model: what is estimated, what is measured, what is stale."""

import csv
import io
import re
from dataclasses import replace

import pytest

from tests.unit.report_pages import HOSTILE, Page, assert_tables_are_whole, render, said
from tests.unit.synthetic import (
    NPU,
    digest,
    make_session,
    quoted,
    split_metrics,
    write_checks,
    write_done,
    write_npu,
    write_preflight,
    write_shared,
)
from workflow.evo.files import write_json
from workflow.evo.reporting.columns import session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.render import session_markdown, variant_markdown
from workflow.evo.results.collect import collect_variant
from workflow.evo.text.facts import sentence
from workflow.evo.text.wording import kibibytes, latency, percent, placed, signed, used

NAME = "level3_leaky"
BOARD = "preset-u55-256"
SECOND = "preset-u65-512"
CPU = [
    {"name": "model/softmax|x", "type": "SOFTMAX", "reason": "has no `axis`"},
    {"name": "model/gather", "type": "GATHER", "reason": None},
]


@pytest.fixture
def two_boards(tmp_path):
    return make_session(tmp_path, npu=replace(NPU, boards=(BOARD, SECOND)))


def rewrite(session, value=0.4, name=NAME, floating=None, **changes):
    """Write a finished variant, and its NPU results once more with what a test is about."""
    write_done(session, name, value)
    reference = floating or split_metrics(value)
    write_npu(session, name, split_metrics(value), None, digest("best", name), floating=reference, **changes)


def report(session, name=NAME) -> str:
    return variant_markdown(collect_variant(session, name))


def status(session, name=NAME) -> tuple[str, str, str | None]:
    summary = collect_variant(session, name)
    return summary["status"], summary["stage"], summary["reason"] and sentence(summary["reason"])


def criteria(session) -> dict[str, dict]:
    return {criterion["key"]: criterion for criterion in compare(session)["criteria"]}


def rows(session) -> dict[str, dict[str, str]]:
    return {row["variant"]: row for row in csv.DictReader(io.StringIO(session_csv(compare(session))))}


def test_a_finished_variant_shows_its_compiled_model_and_its_int8_accuracy(session):
    write_done(session, NAME, 0.4)
    text = report(session)
    assert status(session) == ("done", "bundle_deploy", None)
    for row in (
        "| Operators on the NPU | 179 of 179, 100.0 % | 179 of 179, 100.0 % |",
        "| MACs on the NPU | 100.0 % | 100.0 % |",
        "| SRAM | 119 of 4,096 KiB, fits | 119 of 4,096 KiB, fits |",
        "| DRAM | 0 KiB | 0 KiB |",
        "| Gates | | passed |",
        "| val | mAP50-95 | 0.400 | 0.395 | -0.005 |",
        "| test | mAP50-95 | 0.400 | 0.385 | -0.015 |",
        "| red cell | 0.400 | 0.395 | -0.005 |  |",
        "| Calibration | 128 images of train, seed 0 |",
        "| Folded LEAKY_RELU | 45 |",
        f"| model_int8.tflite, SHA-256 | {digest('int8', NAME)} |",
    ):
        assert row in text
    assert_tables_are_whole(text)


def test_what_vela_estimates_stands_apart_and_is_called_an_estimate(session):
    write_done(session, NAME, 0.4)
    text = report(session)
    counted, _, estimated = text.partition("| Estimated by Vela, not measured | Trained | Untrained |")
    assert "Cycles" not in counted and "4.27 ms" not in counted
    assert "| Cycles | 2,134,502 | 2,134,502 |\n| Latency | 4.27 ms | 4.27 ms |" in estimated
    assert "preset-u55-256, Ethos_U55_High_End_Embedded, Shared_Sram, 500 MHz, Vela 5.2.0" in estimated


def test_no_report_says_that_nothing_is_estimated(session):
    write_shared(session)
    write_done(session, NAME, 0.4)
    html, markdown = render(session)
    text = Page(html).text
    for words in (text, " ".join(markdown.split())):
        assert "nothing estimated" not in words
        assert "is measured; a dash" not in words
        assert re.search(r"cycles and latency on an NPU are estimated by Vela\b.* not measured", words)
    assert re.findall(r'<t[hd] class="n[^"]*estimate[^"]*">[^<]*4\.27 ms', html), "the latency is not marked"
    assert not re.findall(r'<td class="(?![^"]*estimate)[^"]*">4\.27 ms', html.partition('id="npu"')[2])


def test_the_untrained_network_is_held_against_the_trained_one(session):
    write_done(session, NAME, 0.4)
    write_preflight(session, NAME, cycles=2_000_000)
    assert "| Cycles | 2,134,502 | 2,000,000 |" in report(session)
    html, markdown = render(session)
    assert f"| {NAME} | {BOARD} | 2,134,502 | 4.27 ms | 2,000,000 | yes |" in markdown
    assert "2,134,502untrained 2,000,000" in Page(html).text.replace(" untrained", "untrained")


def test_a_variant_that_is_only_checked_shows_the_untrained_network(session):
    write_checks(session, NAME)
    text = report(session)
    assert "| Operators on the NPU | — | 179 of 179, 100.0 % |" in text
    assert "| Latency | — | 4.27 ms |" in text
    html, _ = render(session)
    page = Page(html)
    assert {"npu"} <= set(page.ids) and "int8" not in page.ids
    row = next(row for row in page.rows if row[:2] == [NAME, f"{BOARD}untrained"])
    assert row[6] == "—", "an untrained latency is taken for the trained one"


def test_other_boards_of_the_preflight_are_listed_for_a_choice(session):
    write_done(session, NAME, 0.4)
    write_preflight(session, NAME, boards=[BOARD, "preset-u85-256"])
    text = report(session)
    assert "### Other boards, untrained" in text
    assert "| preset-u85-256 | 179 of 179, 100.0 % |" in text
    assert "### preset-u85-256" not in text
    assert_tables_are_whole(text)


def test_operators_on_the_cpu_are_listed_with_their_reasons(session):
    rewrite(session, boards={BOARD: {"cpu": CPU}})
    text = report(session)
    assert "| Operators on the NPU | 177 of 179, 98.9 % |" in text
    assert "| Operators on the CPU | 2 | 0 |" in text
    assert r"| SOFTMAX | model/softmax\|x | has no \`axis\` |" in text
    assert "| GATHER | model/gather | no reason given |" in text
    assert "The estimate excludes the time of the operators on the CPU." in text
    html, markdown = render(session)
    page = Page(html)
    assert ["SOFTMAX", "model/softmax|x", "has no `axis`"] in page.rows
    assert ["GATHER", "model/gather", "no reason given"] in page.rows
    assert "2 on the CPU" in page.text
    assert f"| {NAME} | {BOARD} | SOFTMAX | model/softmax\\|x | has no \\`axis\\` |" in markdown
    assert "no, excluding those on the CPU" in markdown
    assert_tables_are_whole(text)
    assert_tables_are_whole(markdown)


def test_an_estimate_without_the_cpu_is_said_to_be_and_wins_nothing(session):
    write_done(session, "level2_relu", 0.3)
    write_done(session, "level2_leaky", 0.3)
    rewrite(session, boards={BOARD: {"cpu": CPU, "cycles": 1000}})
    summary = compare(session)
    assert sentence(summary["headline"]["fact"]).endswith(
        "estimated latency 0.00 ms on preset-u55-256 (Vela), without the operators on the CPU."
    )
    assert NAME not in criteria(session)["vela_latency_ms"]["variants"]


def test_a_model_of_which_nothing_runs_on_the_npu_has_no_latency(session):
    write_done(session, "level2_relu", 0.3)
    rewrite(session, boards={BOARD: {"nothing": True}})
    text = report(session)
    assert "| Operators on the NPU | 0 of 179, 0.0 % |" in text
    assert "| Latency | — | 4.27 ms |" in text
    assert "| SRAM | — | 119 of 4,096 KiB, fits |" in text
    assert "**Nothing runs on the NPU.**" in text
    assert "The estimate excludes" not in text
    html, markdown = render(session)
    assert "nothing runs on the NPU" in markdown
    assert "without the CPU" not in html
    assert Page(html).variant(NAME)[4:9] == ["0.400", "+0.000", "0.0 %", "—", "—"]
    assert rows(session)[NAME]["vela_latency_ms"] == rows(session)[NAME]["sram_kib"] == ""
    summary = compare(session)
    assert sentence(summary["headline"]["fact"]) == (
        "level3_leaky has the highest mAP50-95 on val, 0.400, 0.100 ahead of level2_relu; 0.400 in int8."
    )
    assert "vela_latency_ms" not in criteria(session), "one value is no comparison"


def test_two_boards_have_two_tables_and_the_first_one_decides(two_boards):
    for name, first, second in (("level2_relu", 900_000, 1_000_000), ("level2_leaky", 800_000, 2_000_000)):
        rewrite(two_boards, name=name, boards={BOARD: {"cycles": first}, SECOND: {"cycles": second}})
    text = report(two_boards, "level2_relu")
    assert text.index(f"### {BOARD}") < text.index(f"### {SECOND}")
    assert "| Cycles | 1,000,000 | 2,134,502 |" in text
    summary = compare(two_boards)
    assert summary["boards"] == [BOARD, SECOND]
    found = criteria(two_boards)["vela_latency_ms"]
    assert sentence(found["title"]) == "Lowest estimated latency on preset-u55-256 (Vela)"
    assert (found["variants"], found["value"], found["figure"]) == (["level2_leaky"], 1.6, "latency")
    assert {row["board"] for row in rows(two_boards).values() if row["status"] == "done"} == {BOARD}
    html, markdown = render(two_boards)
    assert len([row for row in Page(html).rows if row[:2] == ["level2_relu", SECOND]]) == 1
    assert f"| level2_relu | {SECOND} | trained |" in markdown
    assert_tables_are_whole(markdown)


def test_a_class_that_int8_loses_is_marked_and_fails_the_variant(session):
    floating = split_metrics(0.4)
    int8 = split_metrics(0.4)
    int8["per_class"]["platelet"] = {**int8["per_class"]["platelet"], "map50_95": 0.1}
    write_done(session, NAME, 0.4)
    write_npu(session, NAME, int8, None, digest("best", NAME), floating=floating)
    assert status(session) == (
        "failed",
        "evaluate_int8",
        "the int8 model lost more than half of the AP50-95 of: 'platelet' 0.400 to 0.100 (val)",
    )
    text = report(session)
    assert "| platelet | 0.400 | 0.100 | -0.300 | **collapsed** |" in text
    assert "| red cell | 0.400 | 0.400 | +0.000 |  |" in text
    html, markdown = render(session)
    assert ["platelet", "0.100-0.300, collapsed"] in Page(html).rows
    assert "| platelet | 0.100 (-0.300) **collapsed** |" in markdown
    assert html.count(", collapsed<") == 1


def test_a_class_without_objects_has_dashes_as_int8(session):
    absent = split_metrics(0.4, absent=["platelet"])
    write_done(session, NAME, 0.4)
    write_npu(session, NAME, absent, None, digest("best", NAME))
    assert "| platelet | — | — | — |  |" in report(session)
    html, markdown = render(session)
    assert ["platelet", "——"] in Page(html).rows
    assert "| platelet | — (—) |" in markdown


def test_the_int8_file_has_a_row_in_the_proof_of_activations(session):
    write_done(session, NAME, 0.4)
    row = "int8 file | LEAKY_RELU 45, LOGISTIC 12 | LEAKY_RELU 45, LOGISTIC 12 | — | — |"
    html, markdown = render(session)
    assert f"| {row}" in report(session)
    assert f"| {NAME} | {row}" in markdown
    assert "The operators of the int8 file are as expected." in report(session)
    assert [row[-1] for row in Page(html).rows if "LOGISTIC" in row[-1]] == ["as expectedLEAKY_RELU 45, LOGISTIC 12"]
    summary = collect_variant(session, NAME)
    summary["export"]["activations"]["found"]["LEAKY_RELU"] = 44
    assert "The operators of the int8 file are NOT as expected." in variant_markdown(summary)


def test_float_operators_left_in_the_int8_file_are_named(session):
    rewrite(session, float_operators=[{"type": "MUL", "name": "a|b", "why": quoted(HOSTILE)}])
    assert "| Float operators left | 1 |\n| MUL | a\\|b: &lt;script&gt;alert(1)&lt;/script&gt; |" in report(session)


def test_a_missed_gate_is_read_first_and_stands_beside_its_board(tmp_path):
    session = make_session(tmp_path, npu=replace(NPU, boards=(BOARD, SECOND), gate="warn", max_latency_ms=3.0))
    write_shared(session)
    write_done(session, NAME, 0.4)
    write_preflight(session, NAME, boards=[BOARD], failed={SECOND: "Vela crashed"})
    missed = ["estimated latency 4.27 ms (Vela), limit: 3 ms", "the compiler failed: Vela crashed"]
    assert said(compare(session)["warnings"]) == [
        f"{NAME} misses a gate: {BOARD}: {missed[0]}.",
        f"{NAME} misses a gate: {SECOND}: {missed[1]}.",
    ]
    assert status(session)[0] == "done"
    assert f"\n{SECOND}: the compiler failed on the untrained network: Vela crashed\n" in report(session)
    html, markdown = render(session)
    gates = {row[1]: row[-1] for row in Page(html).rows if row[0] == NAME and row[1] in (BOARD, SECOND)}
    assert gates == {BOARD: f"missed: {missed[0]}", SECOND: f"missed: {missed[1]}"}
    assert f"| missed: {missed[1]} |" in markdown
    assert rows(session)[NAME]["gate"] == "missed"


def test_a_trained_model_that_outgrows_its_board_is_warned_about(session):
    rewrite(session, boards={BOARD: {"flash_kib": 4572.2, "sram_kib": 5000}})
    assert said(compare(session)["warnings"]) == [
        f"{NAME} needs 5,000 KiB of SRAM, {BOARD} has 4,096 KiB.",
        f"{NAME} needs 4,573 KiB of flash, {BOARD} has 4,572 KiB.",
    ]
    assert "| Flash | 4,573 of 4,572 KiB, DOES NOT FIT | 1,644 of 4,572 KiB, fits |" in report(session)


def test_estimates_and_calibrations_of_different_settings_do_not_compare(session):
    for name in ("level2_relu", NAME):
        write_done(session, name, 0.4)
    assert said(compare(session)["warnings"]) == []
    layout = session.layout.variant(NAME)
    text = layout.board(BOARD).compatibility.read_text()
    layout.board(BOARD).compatibility.write_text(text.replace("Vela 5.2.0", "Vela 5.1.0"))
    layout.npu_metadata.write_text(layout.npu_metadata.read_text().replace('"images": 128', '"images": 64'))
    assert said(compare(session)["warnings"]) == [
        "The variants were calibrated on different samples: their int8 accuracies are not comparable.",
        "The variants were compiled with different settings for preset-u55-256: Vela's estimates are not comparable.",
    ]


def test_the_smallest_change_by_int8_counts_in_both_directions(session):
    for name, int8 in (("level2_relu", 0.42), ("level2_leaky", 0.39), ("level3_relu", 0.0)):
        write_done(session, name, 0.4)
        floating = split_metrics(0.0 if name == "level3_relu" else 0.4)
        write_npu(session, name, split_metrics(int8), None, digest("best", name), floating=floating)
    found = criteria(session)["int8_difference"]
    assert found["variants"] == ["level2_leaky"], "a network that finds nothing loses nothing, and wins nothing"
    assert found["value"] == pytest.approx(0.01)
    assert criteria(session)["int8_map50_95"]["variants"] == ["level2_relu"]


def test_float_and_int8_stand_side_by_side_as_measured_on_the_same_input(session):
    write_done(session, NAME, 0.38)  # as yolo val measures it, each image padded to its own shape
    assert f"| {NAME} | 3 | leaky | 0.380 | 0.375 | -0.005 |" in session_markdown(compare(session))
    rewrite(session, 0.41, floating=split_metrics(0.42))
    assert f"| {NAME} | 3 | leaky | 0.420 | 0.410 | -0.010 |" in session_markdown(compare(session))
    session.layout.variant(NAME).metrics_int8.unlink()
    assert f"| {NAME} | 3 | leaky | 0.410 | — | — |" in session_markdown(compare(session))


def test_each_criterion_of_the_npu_has_its_own_winner(session):
    facts = {
        "level2_relu": {"cycles": 1_000_000, "sram_kib": 300.0, "flash_kib": 900.0},
        "level2_leaky": {"cycles": 2_000_000, "sram_kib": 200.0, "flash_kib": 800.0},
        "level3_relu": {"cycles": 3_000_000, "sram_kib": 100.0, "flash_kib": 1000.0},
    }
    for name, changes in facts.items():
        rewrite(session, name=name, boards={BOARD: changes})
    found = criteria(session)
    assert {key: found[key]["variants"] for key in ("vela_latency_ms", "sram_kib", "flash_kib")} == {
        "vela_latency_ms": ["level2_relu"],
        "sram_kib": ["level3_relu"],
        "flash_kib": ["level2_leaky"],
    }
    assert all(BOARD in sentence(found[key]["title"]) for key in ("vela_latency_ms", "sram_kib", "flash_kib"))
    assert found["vela_latency_ms"]["estimate"]


def test_the_csv_has_the_unrounded_figures_of_the_first_board(session):
    write_done(session, NAME, 0.4)
    found, missing = rows(session)[NAME], rows(session)["level4_relu"]
    expected = {
        "int8_map50_95": "0.395",
        "test_int8_map50_95": "0.385",
        "board": BOARD,
        "ops_percent": "100.0",
        "macs_percent": "100.0",
        "npu_blobs": "1",
        "cpu_operators": "0",
        "vela_cycles": "2134502",
        "vela_latency_ms": "4.269004",
        "sram_kib": "118.3125",
        "flash_kib": "1643.546875",
        "dram_kib": "0.0",
        "gate": "passed",
    }
    assert {column: found[column] for column in expected} == expected
    assert float(found["int8_difference"]) == pytest.approx(-0.005)
    assert {missing[column] for column in expected} == {""}


def test_hostile_names_of_operators_and_classes_are_text(session):
    names = [HOSTILE, "pipe | `tick`"]
    reason = f"{HOSTILE} | [link](http://x)"
    write_done(session, NAME, 0.4, names=names)
    cpu = [{"name": f"a|b{HOSTILE}", "type": "<b>GATHER</b>", "reason": reason}]
    metrics = split_metrics(0.4, names)
    write_npu(session, NAME, metrics, None, digest("best", NAME), names=names, boards={BOARD: {"cpu": cpu}})
    text = report(session)
    html, markdown = render(session)
    page = Page(html)
    assert ["<b>GATHER</b>", f"a|b{HOSTILE}", reason] in page.rows
    assert [row[0] for row in page.rows if row[0] == HOSTILE] == [HOSTILE] * 2  # in int8, and in float
    assert "script" not in page.tags and page.handlers == []
    for words in (html, text, markdown):
        assert "<script" not in words
        assert "<b>GATHER" not in words
    for words in (text, markdown):
        assert (
            r"a\|b&lt;script&gt;alert(1)&lt;/script&gt; | &lt;script&gt;alert(1)&lt;/script&gt; \| \[link\](http://x) |"
            in words
        )
        assert_tables_are_whole(words)
    assert r"| pipe \| \`tick\` | 0.400 | 0.400 | +0.000 |  |" in text


def test_the_summary_of_a_variant_holds_what_its_schema_promises(two_boards, tmp_path):
    write_done(two_boards, NAME, 0.4)
    summary = collect_variant(two_boards, NAME)
    write_json(tmp_path / "summary.json", "summary", summary)
    assert set(summary["npu"]) == {BOARD, SECOND} == set(summary["preflight"]["boards"])
    assert summary["preflight"]["gate"]["passed"] is True
    assert "schema_version" not in {*summary["preflight"], *summary["int8"], *summary["export"], *summary["npu"][BOARD]}


def test_what_is_absent_is_a_dash_in_every_wording():
    assert {say(None) for say in (latency, signed, percent, kibibytes, placed, used)} == {"—"}


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "+0.000"), (-0.0004, "+0.000"), (-0.0006, "-0.001"), (0.0125, "+0.013"), (-1, "-1.000")]
)
def test_a_difference_has_a_sign_unless_it_rounds_to_nothing(value, text):
    assert signed(value) == text


def test_memory_is_rounded_up_so_that_what_does_not_fit_never_looks_as_if():
    assert used({"used_kib": 100.2, "budget_kib": 100, "fits": False}) == "101 of 100 KiB, DOES NOT FIT"
    assert used({"used_kib": 99.5, "budget_kib": 100, "fits": True}) == "100 of 100 KiB, fits"
    assert used({"used_kib": 1234.0, "budget_kib": None, "fits": None}) == "1,234 KiB"
