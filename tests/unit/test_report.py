"""What the session reports say, and the pictures inside the page."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from tests.unit import synthetic
from tests.unit.report_pages import assert_tables_are_whole
from tests.unit.report_pages import render as both
from workflow.evo.config.variants import ROOT
from workflow.evo.reporting import columns, images
from workflow.evo.reporting.columns import COLUMNS
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.views import views
from workflow.evo.text.facts import sentence


def test_a_picture_is_as_wide_as_its_share_of_the_page_allows(tmp_path):
    from PIL import Image

    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "plain.png")
    Image.effect_noise((2000, 1000), 80).save(tmp_path / "noise.png")
    plain, noise = (images.embed(tmp_path / name, 100_000) for name in ("plain.png", "noise.png"))
    assert width(plain) == images.WIDTHS[0]
    assert width(noise) < images.WIDTHS[0]
    assert len(noise) * 3 / 4 < 100_100


def width(uri: str) -> int:
    import base64
    import io

    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).width


def test_a_small_picture_is_not_enlarged(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 32)).save(tmp_path / "small.png")
    assert width(images.embed(tmp_path / "small.png", 100_000)) == 64


def test_networks_that_detect_nothing_have_no_winner(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name in session.variant_names[:2]:
        synthetic.write_checks(session, name)
        best = synthetic.write_training(session, name)["weights"]["best"]
        nothing = {**synthetic.split_metrics(0.0), "recall": 0.0}
        synthetic.write_metrics(session, name, nothing, None, best)
        synthetic.write_npu(session, name, nothing, None, best)
    summary = compare(session)
    assert sentence(summary["headline"]["fact"]) == (
        "No variant detects anything yet: mAP50-95 on val is 0.000 for all 2 evaluated variants."
    )
    accuracies = {"val_map50_95", "val_map50", "test_map50_95", "val_recall", "int8_map50_95", "int8_difference"}
    found = {criterion["key"] for criterion in summary["criteria"]}
    assert not found & accuracies
    assert {"epochs_seconds", "inference_ms", "vela_latency_ms"} <= found


def test_tied_variants_are_not_behind_themselves(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name, score in zip(session.variant_names[:3], (0.40, 0.40, 0.39), strict=True):
        synthetic.write_done(session, name, score)
    found = compare(session)["headline"]
    assert sentence(found["fact"]) == "level2_relu and level2_leaky share the highest mAP50-95 on val, 0.400."
    assert found["caveat"] is None, "without evidence nothing is said of what can be told apart"


def test_a_note_on_several_networks_stands_once(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name in session.variant_names[:2]:
        synthetic.write_checks(session, name, notes=["nc 80 in the file, 3 in the dataset"])
    sentence = "level2_relu and level2_leaky: nc 80 in the file, 3 in the dataset"
    assert all(text.count(sentence) == 1 for text in both(session))


def test_a_forecast_of_the_environment_check_is_not_reported(tmp_path):
    session = synthetic.make_session(tmp_path)
    synthetic.write_shared(session)
    summary = compare(session)
    basis = synthetic.quoted("timed")
    forecast = {"severity": "info", "code": "cpu_training", "parameters": {"seconds": 41.5 * 3600, "basis": basis}}
    summary["environment"]["findings"].append(forecast)
    remarks = views(summary)["remarks"]
    assert remarks == summary["environment"]["findings"][:1]
    for text in both(session):
        assert "41 h" not in text
        assert sentence(summary["environment"]["findings"][0]) in text


def test_a_further_column_is_one_entry(tmp_path, monkeypatch):
    session = synthetic.make_session(tmp_path)
    synthetic.write_done(session, "level2_relu", 0.4)
    added = columns.Column("layers", lambda v, _: v.document["model"]["layers"] if v.document["model"] else None)
    shown = replace(added, table=columns.MAIN, title="Layers", figure="count", bars=True)
    for column, titles in ((added, 0), (shown, 1)):
        monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, column))
        header, first, *_ = columns.session_csv(compare(session)).splitlines()
        assert (header.rpartition(",")[2], first.rpartition(",")[2]) == ("layers", "23")
        html, markdown = both(session)
        assert (html.count(">Layers<"), markdown.count("| Layers |")) == (titles, titles)
        assert_tables_are_whole(markdown)


def test_the_reports_start_without_heavy_imports():
    code = (
        "import sys; import workflow.scripts.render_report, workflow.scripts.compare_variants;"
        "print([m for m in ('torch', 'ultralytics', 'matplotlib', 'altair', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
