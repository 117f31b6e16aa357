"""The report of a session: one HTML file and one Markdown file, from whatever exists."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.unit.report_pages import HOSTILE, Page, assert_tables_are_whole, render
from tests.unit.synthetic import (
    CLASSES,
    digest,
    finish,
    make_session,
    quoted,
    split_metrics,
    write_checks,
    write_curves,
    write_done,
    write_metrics,
    write_npu,
    write_shared,
    write_training,
)
from workflow.evo.config.variants import Variant
from workflow.evo.files import read_json
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.images import embed
from workflow.evo.results.journal import Journal
from workflow.evo.text.facts import fact
from workflow.scripts import compare_variants, render_report

NO_VALUE = re.compile(r"\b(nan|none|null|undefined|inf)\b", re.IGNORECASE)


@pytest.fixture
def finished(session):
    """A session whose six variants are done."""
    write_shared(session)
    for index, name in enumerate(session.variant_names):
        write_done(session, name, 0.3 + index / 50)
    return session


def test_the_page_is_well_formed_and_loads_nothing(finished):
    write_curves(finished)
    html, markdown = render(finished, curves=True)
    page = Page(html)
    assert "svg" in page.tags
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert "<script" not in html
    assert page.handlers == []
    assert [load[:21] for load in page.loads if not load.startswith(("data:", "#"))] == []
    assert re.findall(r"https?://|@import|url\((?!#)", html) == []
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert_tables_are_whole(markdown)


def test_every_variant_stands_in_both_reports_with_its_figures(finished):
    html, markdown = render(finished)
    page = Page(html)
    for index, name in enumerate(finished.variant_names):
        row, value = page.variant(name), 0.3 + index / 50
        assert row[3:6] == [f"{value:.3f}", f"{value - 0.005:.3f}", "-0.005"]
        assert row[6:9] == ["100.0 %", "2,134,502", "4.27 ms"]
        assert row[-2:] == ["passed", "done"]
        assert re.search(rf"^\| {name} \|.* {0.3 + index / 50:.3f} \|.*\| done \|$", markdown, re.MULTILINE)


def test_the_same_session_renders_to_the_same_bytes(finished):
    assert render(finished, curves=True) == render(finished, curves=True)


def test_a_session_without_any_result_renders(session):
    html, markdown = render(session)
    page = Page(html)
    assert "No variant has a measured accuracy yet." in page.text
    assert page.text.count("not run yet") == 6
    assert "The dataset has not been checked yet." in page.text
    assert not {"criteria", "curves", "classes", "predictions", "activations"} & set(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert not NO_VALUE.search(page.text.replace("None recorded.", ""))
    assert "Best by criterion" not in markdown
    assert not NO_VALUE.search(markdown.replace("\nNone.\n", ""))
    assert_tables_are_whole(markdown)


def test_a_session_that_is_only_checked_shows_its_networks_and_proofs_but_no_winner(session):
    write_shared(session)
    for name in session.variant_names:
        write_checks(session, name, notes=["the file says 80 classes, the dataset 3"])
    assert compare(session)["criteria"] == []
    html, markdown = render(session)
    assert {"activations", "data"} <= set(Page(html).ids)
    assert 'id="criteria"' not in html
    assert "the file says 80 classes, the dataset 3" in html
    assert "ReLU 27" in markdown
    assert "| level2_relu | preset-u55-256 | untrained | 179 of 179, 100.0 % |" in markdown
    assert 'id="int8"' not in html
    assert_tables_are_whole(markdown)


def test_a_missing_variant_is_named_with_its_stage_and_has_dashes(finished):
    finished.layout.variant("level3_leaky").metrics.unlink()
    html, markdown = render(finished)
    page = Page(html)
    assert "level3_leaky is missing at evaluate: not run yet" in page.text
    assert "- level3_leaky is **missing** at evaluate: not run yet" in markdown
    assert page.variant("level3_leaky")[-1] == "missing"
    assert "5 of 6" in page.text


def test_a_failed_variant_is_shown_with_its_reason(finished):
    layout = finished.layout.variant("level4_relu")
    layout.training.unlink()
    layout.metrics.unlink()
    log = finished.layout.root / "logs" / "train" / "level4_relu.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"epoch 1\nerror: loss is not finite in {HOSTILE} | `x`\n")
    html, markdown = render(finished)
    assert f"level4_relu is failed at train: loss is not finite in {HOSTILE} | `x`" in Page(html).text
    assert "<script" not in html
    assert r"loss is not finite in &lt;script&gt;alert(1)&lt;/script&gt; \| \`x\`" in markdown
    assert_tables_are_whole(markdown)


def test_a_damaged_result_fails_its_variant_and_not_the_report(finished):
    finished.layout.variant("level2_relu").metrics.write_text('{"schema_version": 1, "val": NaN')
    finished.layout.fingerprint.write_text("{}")
    html, _ = render(finished)
    page = Page(html)
    assert page.variant("level2_relu")[-1] == "failed"
    assert "damaged or not of this version" in page.text
    assert "The dataset has not been checked yet." in page.text


def test_hostile_class_names_are_text(session):
    names = [HOSTILE, "a\"b'c", "pipe | `tick` *star*"]
    write_shared(session, names)
    for name in session.variant_names[:2]:
        write_done(session, name, 0.4, names=names)
    html, markdown = render(session)
    page = Page(html)
    assert "<script" not in html
    assert "script" not in page.tags
    # accuracy per class in int8, accuracy per class, objects per class
    assert [row[0] for row in page.rows if row[0] in names] == names * 3
    assert "<script" not in markdown
    assert "| &lt;script&gt;alert(1)&lt;/script&gt; |" in markdown
    assert r"| pipe \| \`tick\` \*star\* |" in markdown
    assert_tables_are_whole(markdown)


def test_hostile_findings_and_environment_are_text(session):
    finding = {"severity": "warning", **quoted(HOSTILE), "count": 2, "examples": ["a|b`c.jpg"]}
    write_shared(session, findings=[finding])
    html, markdown = render(session)
    assert "<script" not in html
    assert HOSTILE in Page(html).text
    assert r"- warning: &lt;script&gt;alert(1)&lt;/script&gt; (2×, e.g. a\|b\`c.jpg)" in markdown


def test_a_model_path_with_quotes_and_markup_is_text(tmp_path):
    path = Path("/models/\"><img src=x onerror='alert(1)'>.yaml")
    session = make_session(tmp_path, [Variant("own", path)])
    write_shared(session)
    write_done(session, "own", 0.4)
    html, _ = render(session)
    page = Page(html)
    assert "img" not in page.tags
    assert page.handlers == []
    assert path.as_posix() in page.text


def test_a_further_model_has_dashes_for_level_and_activation(tmp_path):
    session = make_session(tmp_path, [Variant("own", Path("/models/own.yaml"))])
    html, markdown = render(session)
    assert set(Page(html).variant("own")[1:-1]) == {"—"}
    assert "| own | — | — | — |" in markdown


def test_without_incidents_the_section_says_so(finished):
    html, markdown = render(finished)
    assert "None recorded." in Page(html).text
    assert "## Incidents\n\nNone.\n" in markdown


def test_one_incident_stands_once_with_its_variant(finished):
    incident = {"time": "2026-03-01T08:10:00+01:00", "kind": "out_of_memory", "message": f"batch 16 → 8 {HOSTILE}"}
    write_done(finished, "level2_leaky", 0.4, incidents=[incident])
    html, markdown = render(finished)
    text = Page(html).text
    assert text.count("batch 16 → 8") == 1
    assert f"level2_leaky : batch 16 → 8 {HOSTILE}" in text
    assert "None recorded." not in text
    assert "- level2_leaky, 1 Mar 2026, 08:10 GMT+01:00, out of memory: batch 16 → 8 &lt;script&gt;" in markdown
    assert "\nNone.\n" not in markdown


def test_incidents_of_an_unfinished_training_are_already_shown(session):
    write_shared(session)
    write_checks(session, "level2_relu")
    journal = Journal(session.layout.variant("level2_relu").checkpoints)
    journal.start_attempt("recipe", 16)
    journal.incident("crash", fact("quoted", text="the process was killed"))
    html, _ = render(session)
    text = Page(html).text
    assert "level2_relu : the process was killed" in text
    assert "attempt 1, not finished; last incident: the process was killed" in text


def test_without_a_test_split_no_column_of_it_is_shown(session):
    write_shared(session, test=False)
    for name in session.variant_names:
        write_done(session, name, 0.4, test=False)
    html, markdown = render(session)
    page = Page(html)
    assert "Accuracy on test" not in page.text
    assert "No test split was evaluated." in page.text
    assert "test mAP50" not in markdown
    assert "on test" not in markdown
    assert_tables_are_whole(markdown)


def test_metrics_without_a_value_are_dashes(session):
    write_shared(session)
    for name in session.variant_names[:2]:
        write_checks(session, name)
        training = write_training(session, name)
        write_metrics(session, name, split_metrics(None), split_metrics(None), training["weights"]["best"])
        write_npu(session, name, split_metrics(None), split_metrics(None), training["weights"]["best"])
    html, markdown = render(session)
    page = Page(html)
    row = page.variant("level2_relu")
    assert row[3:6] == ["—"] * 3
    assert row[-1] == "done"
    assert "No variant has a measured accuracy yet." in page.text
    assert not NO_VALUE.search(page.text.replace("None recorded.", ""))
    assert not NO_VALUE.search(markdown.replace("\nNone.\n", ""))


def test_a_class_without_objects_in_val_has_dashes(finished):
    for name in finished.variant_names:
        metrics = split_metrics(0.4, absent=["platelet"])
        write_metrics(finished, name, metrics, None, digest("best", name))
    html, markdown = render(finished)
    assert ["platelet", "0", *["—"] * 6] in Page(html).rows
    assert "| platelet | 0 | — | — | — | — | — | — |" in markdown


def test_an_epoch_that_is_not_a_number_leaves_a_gap_in_its_curve(finished):
    path = finished.layout.variant("level2_relu").results_csv
    lines = path.read_text().splitlines()
    lines[2] = "2,2," + ",".join(["nan"] * 11)
    path.write_text("\n".join(lines) + "\n")
    assert compare(finished)["variants"][0]["history"]["map50_95"][1] is None
    html, _ = render(finished, curves=True)
    assert 'data-chart="curve-map50_95"' in html
    assert not re.search(r"\bnan\b", html, re.IGNORECASE)


def test_one_variant_alone_is_not_ranked(tmp_path):
    session = make_session(tmp_path, [Variant("level2_relu", Path("/models/a.yaml"), 2, "relu")])
    write_shared(session)
    write_done(session, "level2_relu", 0.4)
    html, markdown = render(session, curves=True)
    page = Page(html)
    assert (
        "level2_relu reaches mAP50-95 0.400 on val (0.395 in int8 and estimated latency 4.27 ms on preset-u55-256 "
        "(Vela)); no other variant is evaluated, so there is no ranking." in page.text
    )
    assert "ship level2_relu: no other complete variant qualifies." in page.text
    assert "criteria" not in page.ids
    assert "1 of 1" in page.text
    assert_tables_are_whole(markdown)


def test_a_tie_names_all_of_its_variants(session):
    write_shared(session)
    for name, value in zip(session.variant_names, (0.4004, 0.4001, 0.2, 0.2, 0.2, 0.2), strict=True):
        write_done(session, name, value)
    html, markdown = render(session)
    page = Page(html)
    assert "level2_relu and level2_leaky share the highest mAP50-95 on val, 0.400." in page.text
    row = next(row for row in page.rows if row[0] == "Highest mAP50-95 on val")
    assert row[1:3] == ["level2_relu and level2_leaky", "0.400"]
    assert "equal at the precision shown" in row[3]
    assert "| Highest mAP50-95 on val | level2_relu and level2_leaky (tie) | 0.400 |" in markdown


def test_images_stand_in_the_page_once_and_unreadable_ones_are_left_out(finished):
    write_curves(finished)
    html, _ = render(finished)
    assert html.count("data:image/jpeg;base64,") == 2
    assert html.count('<use href="#scene-') == 2 * 7, "the labels, and what six variants find"
    (finished.layout.data / "images" / "val" / "0.png").write_bytes(b"no picture")
    assert render(finished)[0].count("data:image/jpeg;base64,") == 1


def test_an_unreadable_image_is_left_out_whatever_the_reader_raises(tmp_path, monkeypatch):
    """Ultralytics replaces Pillow's open by one that asks for another package where Pillow gives up."""

    def ask_for_another_package(*_arguments, **_names):
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr("PIL.Image.open", ask_for_another_package)
    (tmp_path / "none.png").write_bytes(b"no picture")
    assert embed(tmp_path / "none.png", share=1000) is None


def test_the_classes_of_the_dataset_are_listed_with_their_objects(finished):
    html, _ = render(finished)
    rows = Page(html).rows
    for name in CLASSES:
        assert [name, "3,615", "261", "216"] in rows


def test_the_scripts_write_all_files_of_a_session(tmp_path, monkeypatch, capsys):
    session = make_session(tmp_path, [Variant("own", Path("/models/own.yaml"))])
    finish(session, (0.4,))
    for script, words in ((render_report, ["--variant", "own"]), (compare_variants, [])):
        monkeypatch.setattr("workflow.evo.session.command_line.load_session_files", lambda files: session)
        monkeypatch.setattr(sys, "argv", [script.__name__, *words])
        script.main()
    root = session.layout.root
    written = {path.name for path in root.iterdir() if path.is_file()} - {"environment.json"}
    assert written == {
        "own_training_report.md",
        "own_training_summary.json",
        "report.html",
        "report.md",
        "summary.csv",
        "summary.json",
    }
    one, all_of_them = (
        json.loads((root / "own_training_summary.json").read_text()),
        read_json(root / "summary.json", "session_summary"),
    )
    del one["schema_version"]
    assert all_of_them["variants"] == [one]
    assert "own is done; wrote" in capsys.readouterr().err
    anew = (root / "summary.json").read_bytes()
    monkeypatch.setattr(sys, "argv", ["compare_variants", "--summaries", str(session.layout.variant("own").summary)])
    compare_variants.main()
    assert (root / "summary.json").read_bytes() == anew, "of the files that a rule names, the same as read anew"
