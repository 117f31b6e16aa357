"""The summaries for programs: JSON of a variant and of a session, CSV of a session; and what they conclude."""

import csv
import io

import pytest

from tests.unit.report_pages import said
from tests.unit.resamples import resamples
from tests.unit.synthetic import (
    NPU,
    digest,
    finish,
    split_metrics,
    write_checks,
    write_done,
    write_metrics,
    write_training,
)
from workflow.evo.files import read_json, write_atomically, write_json
from workflow.evo.reporting.columns import COLUMNS, session_csv
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.criteria import CRITERIA
from workflow.evo.reporting.headline import headline
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.results.collect import collect_variant
from workflow.evo.results.history import read_history
from workflow.evo.text.facts import fact, sentence
from workflow.evo.text.wording import duration, flat, listed, sites


def rows(session) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(session_csv(compare(session)))))


def only_missing(session):
    """Nothing exists."""


def only_checked(session):
    for name in session.variant_names:
        write_checks(session, name)


def one_of_each(session):
    finish(session, (0.3, 0.4, None, None, None, None))
    write_training(session, "level3_relu")
    session.layout.variant("level3_leaky").metrics.parent.mkdir(parents=True)
    session.layout.variant("level3_leaky").metrics.write_text("{")


def without_values(session):
    finish(session, (0.3, None, None, None, None, None))
    write_metrics(session, "level2_relu", split_metrics(None), None, digest("best", "level2_relu"))


def test_a_reason_that_a_spreadsheet_would_compute_is_text(session):
    log = session.layout.root / "logs" / "validate_model" / "level2_relu.log"
    log.parent.mkdir(parents=True)
    log.write_text('error: =HYPERLINK("http://host/","click")\n')
    row = next(row for row in rows(session) if row["variant"] == "level2_relu")
    assert row["reason"] == '\'=HYPERLINK("http://host/","click")'


@pytest.mark.parametrize("make", [only_missing, only_checked, one_of_each, without_values, finish])
def test_summaries_match_their_schemas_whatever_exists(session, tmp_path, make):
    make(session)
    write_json(tmp_path / "session.json", "session_summary", compare(session))
    document = read_json(tmp_path / "session.json", "session_summary")
    assert [v["variant"] for v in document["variants"]] == list(session.variant_names)
    for name in session.variant_names:
        write_json(tmp_path / "variant.json", "summary", collect_variant(session, name))
        assert read_json(tmp_path / "variant.json", "summary")["variant"] == name


@pytest.mark.parametrize("make", [only_missing, only_checked, one_of_each, without_values, finish])
def test_the_csv_has_one_row_per_variant(session, make):
    make(session)
    found = rows(session)
    assert [row["variant"] for row in found] == list(session.variant_names)
    assert list(found[0]) == [column.key for column in COLUMNS]
    assert not {"nan", "none", "null"} & {value.lower() for row in found for value in row.values()}


def test_the_csv_has_unrounded_figures_and_nothing_where_nothing_is_known(session):
    finish(session, (0.123456789, None, None, None, None, None))
    done, missing, *_ = rows(session)
    assert (done["status"], done["map50_95"], done["epochs"], done["incidents"]) == ("done", "0.123456789", "4", "0")
    assert done["training_seconds"] == "5520.0"
    assert done["epochs_seconds"] == "246.0"
    assert done["weights_sha256"] == digest("best", "level2_relu")
    assert (missing["status"], missing["reason"]) == ("missing", "not run yet")
    assert missing["map50_95"] == missing["epochs"] == missing["incidents"] == ""


def test_a_reason_with_commas_quotes_and_lines_stays_in_its_cell(session):
    log = session.layout.root / "logs" / "validate_model" / "level2_relu.log"
    log.parent.mkdir(parents=True)
    log.write_text('error: a, "b"\nand c\n')
    assert rows(session)[0]["reason"] == 'a, "b"; and c'
    assert len(rows(session)) == 6


def test_the_best_variant_leads_by_its_margin(session):
    finish(session, (0.30, 0.42, 0.35, 0.36, 0.37, 0.38))
    headline = compare(session)["headline"]
    assert (headline["best"], headline["map50_95"], headline["lead"]) == ("level2_leaky", 0.42, 0.04)
    assert sentence(headline["fact"]) == (
        "level2_leaky has the highest mAP50-95 on val, 0.420, 0.040 ahead of level4_leaky; "
        f"0.415 in int8 and estimated latency 4.27 ms on {NPU.boards[0]} (Vela)."
    )
    assert (headline["int8_map50_95"], headline["board"]) == (0.415, NPU.boards[0])
    assert headline["vela_latency_ms"] == pytest.approx(4.269004)


def test_variants_that_cannot_be_told_apart_from_the_best_are_named(session):
    finish(session, (0.30, 0.42, 0.35, 0.36, 0.40, 0.41))
    summary = compare(session)
    variants = [VariantSummary(document) for document in summary["variants"]]
    values = {v.name: v.val.map50_95 for v in variants}
    found = headline(variants, NPU.boards[0], resamples(values, 0.01))
    assert found["not_told_apart"] == ["level4_leaky", "level4_relu"]
    assert sentence(found["caveat"]) == (
        "On these images that is not a ranking: level4_leaky and level4_relu cannot be told apart from it."
    )
    sure = headline(variants, NPU.boards[0], resamples(values, 0.001))
    assert (sure["not_told_apart"], sure["caveat"]) == ([], None)


def test_equal_variants_share_the_headline_and_the_criterion(session):
    finish(session, (0.4, 0.4, 0.2, 0.2, 0.2, None))
    summary = compare(session)
    assert (
        sentence(summary["headline"]["fact"])
        == "level2_relu and level2_leaky share the highest mAP50-95 on val, 0.400."
    )
    assert summary["headline"]["lead"] == 0
    criteria = {criterion["key"]: criterion for criterion in summary["criteria"]}
    assert criteria["val_map50_95"]["variants"] == ["level2_relu", "level2_leaky"]
    assert criteria["val_map50_95"]["tie"] and not criteria["val_map50_95"]["all"]
    assert criteria["epochs_seconds"]["all"]


def test_every_criterion_has_its_best_in_its_own_direction(session):
    finish(session)
    criteria = {criterion["key"]: criterion for criterion in compare(session)["criteria"]}
    assert list(criteria) == [criterion.key for criterion in CRITERIA]
    assert criteria["val_map50_95"]["variants"] == ["level2_leaky"]
    assert criteria["parameters"]["value"] == 1_620_000
    assert criteria["parameters"]["variants"] == ["level2_relu", "level2_leaky"]


def test_no_criterion_is_made_of_a_single_value(session):
    finish(session, (0.4, None, None, None, None, None))
    summary = compare(session)
    assert summary["criteria"] == []
    assert summary["headline"]["best"] == "level2_relu"
    assert summary["headline"]["lead"] is None


def test_without_any_metrics_there_is_no_best(session):
    only_checked(session)
    summary = compare(session)
    assert summary["criteria"] == []
    assert summary["as_of"] is None
    assert summary["headline"]["best"] is None
    assert (summary["headline"]["done"], summary["headline"]["variants"]) == (0, 6)


def test_variants_without_a_test_split_have_no_criterion_of_it(session):
    finish(session, test=False)
    assert "test_map50_95" not in {criterion["key"] for criterion in compare(session)["criteria"]}


def test_incidents_of_a_session_name_their_variant(session):
    incident = {"time": "2026-03-01T08:10:00+01:00", "kind": "crash", "message": "killed"}
    finish(session)
    assert compare(session)["incidents"] == []
    write_done(session, "level3_relu", 0.35, incidents=[incident])
    quoted = fact("quoted", text="killed").document()
    expected = {"variant": "level3_relu", "time": incident["time"], "kind": "crash", **quoted}
    assert compare(session)["incidents"] == [expected]


def test_variants_of_different_experiments_are_warned_about(session):
    finish(session)
    assert compare(session)["warnings"] == []
    write_done(
        session,
        "level3_relu",
        0.35,
        data_hash=digest("other data"),
        model_fingerprint=digest("network", "level2_relu"),
        arguments={**session.train.arguments, "optimizer": "MuSGD", "seed": 1},
    )
    assert said(compare(session)["warnings"]) == [
        "level2_relu and level3_relu are the same network.",
        "The variants were trained on different data: their results are not one experiment.",
        "The variants were trained with different seeds: their results are not one experiment.",
    ]


def test_the_newest_training_dates_the_session_across_a_change_of_the_clocks(session):
    finish(session, (0.3, 0.4, None, None, None, None), finished="2026-10-25T02:50:00+02:00")
    write_done(session, "level2_leaky", 0.4, finished="2026-10-25T02:10:00+01:00")
    assert compare(session)["as_of"] == "2026-10-25T02:10:00+01:00"


def test_a_history_has_each_epoch_once_and_none_for_what_is_no_number(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(
        "epoch, metrics/mAP50-95(B),train/box_loss,train/dfl_loss\n1,0.1,2,nan\n2,0.2,inf,nan\n2,0.3,1.5,nan\n3,0.4\n"
    )
    assert read_history(path) == {"epoch": [1, 2, 3], "map50_95": [0.1, 0.3, 0.4], "box_loss": [2.0, 1.5, None]}
    assert read_history(tmp_path / "absent.csv") == {}


def test_plots_are_named_relative_to_the_session(session):
    write_done(session, "level2_relu", 0.4)
    for name in ("BoxPR_curve.png", "val_batch0_pred.jpg"):
        write_atomically(session.layout.variant("level2_relu").plots / "val" / name, b"not opened by any report")
    plots = collect_variant(session, "level2_relu")["plots"]
    assert plots["val"][0] == "level2_relu/evaluate/plots/val/BoxPR_curve.png"
    assert all((session.layout.root / name).is_file() for name in plots["val"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "—"), (0, "0.0 s"), (59.97, "1 min 0 s"), (252, "4 min 12 s"), (5520, "1 h 32 min"), (200_000, "2 d 8 h")],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds, text):
    assert duration(seconds) == text


def test_words_are_listed_and_documents_flattened():
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert [sites(counts) for counts in (None, {}, {"ReLU": 27, "SiLU": 3})] == ["—", "none", "ReLU 27, SiLU 3"]
    nested = {"a": {"b": 1}, "gpus": [{"name": "x"}], "c": ["y", "z"], "d": None}
    assert flat(nested) == {"a.b": 1, "gpus.0.name": "x", "c": "y, z", "d": None}
