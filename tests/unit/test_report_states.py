"""The state of a variant as its reports have it: which stage is missing, which failed, and what is stale."""

import csv
import io
import shutil
from dataclasses import replace

import pytest

from tests.unit.report_pages import Page, assert_tables_are_whole, render
from tests.unit.synthetic import NPU, digest, make_session, write_checks, write_done, write_shared, write_training
from workflow.evo.reporting.columns import figures, session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.render import variant_markdown
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.results.collect import collect_variant
from workflow.evo.results.stages import BY_RULE, STAGES, VARIANT
from workflow.evo.text.facts import sentence

NAME = "level3_leaky"
BOARD = "preset-u55-256"
SECOND = "preset-u65-512"


@pytest.fixture
def two_boards(tmp_path):
    return make_session(tmp_path, npu=replace(NPU, boards=(BOARD, SECOND)))


def report(session, name=NAME) -> str:
    return variant_markdown(collect_variant(session, name))


def status(session, name=NAME) -> tuple[str, str, str | None]:
    summary = collect_variant(session, name)
    return summary["status"], summary["stage"], summary["reason"] and sentence(summary["reason"])


def write_log(session, rule: str, text: str, name: str):
    path = session.layout.root / "logs" / rule / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_every_configured_board_has_to_be_compiled(two_boards):
    write_done(two_boards, NAME, 0.4)
    two_boards.layout.variant(NAME).board(SECOND).compatibility.unlink()
    assert status(two_boards) == ("missing", "compile_npu", f"{SECOND}: not run yet")
    write_log(two_boards, "compile_npu", "error: Vela ran out of memory\n", f"{NAME}.{SECOND}")
    assert status(two_boards) == ("failed", "compile_npu", f"{SECOND}: Vela ran out of memory")
    assert list(collect_variant(two_boards, NAME)["npu"]) == [BOARD]


@pytest.mark.parametrize("rule", [stage.rule for stage in STAGES if stage.scope == VARIANT and stage.schema])
def test_each_stage_without_a_result_is_named_with_the_error_of_its_log(session, rule):
    write_done(session, NAME, 0.4)
    if BY_RULE[rule].before_training_only:
        session.layout.variant(NAME).training.unlink()
    BY_RULE[rule].output(session.layout, NAME).unlink()
    assert status(session)[:2] == ("missing", rule)
    write_log(session, rule, "error: out of luck\n", NAME)
    assert status(session) == ("failed", rule, "out of luck")


def test_a_memory_check_that_failed_is_a_failed_variant_before_the_training_and_nothing_after_it(session):
    write_shared(session)
    write_checks(session, NAME)
    session.layout.variant(NAME).memory.unlink()
    write_log(session, "check_memory", "error: not even one image fits\n", NAME)
    assert status(session) == ("failed", "check_memory", "not even one image fits")
    write_done(session, NAME, 0.4)
    session.layout.variant(NAME).memory.unlink()
    assert status(session) == ("done", "bundle_deploy", None)


def test_a_bundle_that_failed_is_a_failed_variant(two_boards):
    write_done(two_boards, NAME, 0.4)
    two_boards.layout.variant(NAME).board(SECOND).deploy.rmdir()
    assert status(two_boards) == ("missing", "bundle_deploy", f"{SECOND}: not run yet")
    write_log(two_boards, "bundle_deploy", "error: no room\n", f"{NAME}.{SECOND}")
    assert status(two_boards) == ("failed", "bundle_deploy", f"{SECOND}: no room")
    summary = compare(two_boards)
    row = next(row for row in csv.DictReader(io.StringIO(session_csv(summary))) if row["variant"] == NAME)
    assert (row["status"], row["stage"], row["reason"]) == ("failed", "bundle_deploy", f"{SECOND}: no room")
    assert summary["decisions"][0]["chosen"] is None, "a variant without its bundle is not recommended"
    html, markdown = render(two_boards)
    assert f"{SECOND}: no room" in Page(html).text
    assert f"{SECOND}: no room" in markdown


def test_a_stage_that_failed_is_named_before_one_that_has_only_not_run(session):
    write_done(session, NAME, 0.4)
    shutil.rmtree(session.layout.variant(NAME).npu)
    session.layout.variant(NAME).metrics.unlink()
    assert status(session) == ("missing", "evaluate", "not run yet")
    write_log(session, "export_int8", "error: the int8 model has 2 SILU\n", NAME)
    assert status(session) == ("failed", "export_int8", "the int8 model has 2 SILU")


def test_a_session_trained_before_the_npu_stages_is_missing_at_the_export(session):
    write_shared(session)
    write_done(session, NAME, 0.4)
    shutil.rmtree(session.layout.variant(NAME).npu)
    session.layout.variant(NAME).npu_check.unlink()
    summary = collect_variant(session, NAME)
    assert status(session) == ("missing", "export_int8", "not run yet")
    assert summary["preflight"] is summary["npu"] is summary["int8"] is summary["export"] is None
    text = report(session)
    assert "\nNot compiled.\n" in text
    assert "| val | 0.400 |" in text
    html, markdown = render(session)
    assert "No variant is complete yet; the accuracy of level3_leaky is measured." in Page(html).text
    assert not {"npu", "int8"} & set(Page(html).ids)
    assert_tables_are_whole(markdown)


def test_a_damaged_result_fails_its_stage(two_boards):
    write_done(two_boards, NAME, 0.4)
    two_boards.layout.variant(NAME).board(SECOND).compatibility.write_text("{")
    found = status(two_boards)
    assert found[:2] == ("failed", "compile_npu")
    assert found[2].startswith(f"{SECOND}: ") and "damaged or not of this version" in found[2]


def test_int8_metrics_of_another_model_are_not_shown(session):
    write_done(session, NAME, 0.4)
    metrics = session.layout.variant(NAME).metrics_int8.read_text()
    session.layout.variant(NAME).metrics_int8.write_text(metrics.replace(digest("int8", NAME), "0" * 64))
    assert status(session) == (
        "failed",
        "evaluate_int8",
        "metrics_int8.json is of another model than metadata.json: run snakemake again",
    )
    summary = collect_variant(session, NAME)
    assert summary["int8"] is None
    assert summary["export"] and summary["npu"], "the model itself is as it should be"
    assert "0.395" not in report(session)


def test_a_model_compiled_from_another_one_is_not_shown(two_boards):
    write_done(two_boards, NAME, 0.4)
    path = two_boards.layout.variant(NAME).board(SECOND).compatibility
    path.write_text(path.read_text().replace(digest("int8", NAME), "0" * 64))
    assert status(two_boards) == (
        "failed",
        "compile_npu",
        f"{SECOND}: compatibility.json is of another model than metadata.json: run snakemake again",
    )
    assert list(collect_variant(two_boards, NAME)["npu"]) == [BOARD]


def test_nothing_that_is_made_of_other_weights_is_shown_after_a_new_training(session):
    write_done(session, NAME, 0.4)
    write_training(session, NAME, weights={"best": digest("new"), "last": digest("new last")})
    summary = collect_variant(session, NAME)
    assert status(session)[:2] == ("failed", "evaluate")
    assert summary["metrics"] is summary["export"] is summary["npu"] is summary["int8"] is None
    assert summary["preflight"], "the untrained network is the same"
    html, _ = render(session)
    assert "4.27 ms" not in Page(html).text
    found = figures(VariantSummary(summary), BOARD)
    assert {found[column] for column in ("int8_map50_95", "vela_cycles", "board")} == {None}
