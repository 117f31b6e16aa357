"""The look of a session's page: its size, its pictures, its curves."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

from tests.unit import synthetic
from workflow.evo.reporting import figures, images, render
from workflow.evo.reporting.compare import compare
from workflow.evo.variants import ROOT


def test_six_variants_with_incompressible_pictures_stay_below_three_megabytes(tmp_path):
    session = synthetic.make_session(tmp_path, train={"epochs": 300})
    first, *others = session.variant_names
    for name in session.variant_names:
        synthetic.write_done(session, name, 0.4)
    synthetic.write_pictures(session, first, 1000)
    for name in others:
        folder = session.layout.variant(name).plots / "val"
        folder.mkdir(parents=True)
        for file in ("val_batch0_labels.jpg", "val_batch0_pred.jpg"):
            (folder / file).hardlink_to(session.layout.variant(first).plots / "val" / file)
    html = render.session_html(compare(session), session.layout.root)
    assert html.count("<img ") == 7, "the labels once, and the predictions of each variant"
    assert 1_000_000 < len(html.encode()) < 3_000_000


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


def test_variants_differ_in_colour_and_activations_in_their_dash(tmp_path):
    drawn = figures.styles(compare(synthetic.make_session(tmp_path))["variants"])
    assert len({style.colour for style in drawn.values()}) == 6
    assert drawn["level2_relu"].dashes == drawn["level3_relu"].dashes == ()
    assert drawn["level2_leaky"].dashes == drawn["level4_leaky"].dashes != ()


def test_more_variants_than_colours_still_differ():
    variants = [{"variant": f"v{i}", "activation": "relu"} for i in range(3 * figures.COLOURS)]
    drawn = figures.styles(variants)
    assert len({(style.colour, style.dashes) for style in drawn.values()}) == len(variants)


def test_curves_are_svg_in_the_colours_of_the_page_with_a_name_on_every_line(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name in session.variant_names[:2]:
        synthetic.write_done(session, name, 0.4)
    variants = compare(session)["variants"]
    shown = figures.training_curves([v for v in variants if v["history"]], figures.styles(variants))
    assert [figure["title"] for figure in shown] == [title for _, title, _ in figures.PANELS]
    for figure in shown:
        svg = ET.fromstring(figure["svg"].replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
        assert [element.text for element in svg.iter("title")] == session.variant_names[:2]
        assert "var(--series-1)" in figure["svg"]
        assert not re.search(r"#0[0-9a-f]{5}\b", figure["svg"]), "a stand-in for a colour is left"


def test_a_single_epoch_is_a_dot_and_a_series_without_values_has_no_panel():
    history = {"epoch": [1], "map50_95": [0.1], "box_loss": [None], "cls_loss": [2.0]}
    variant = {"variant": "<v>", "activation": None, "history": history, "training": None}
    shown = figures.training_curves([variant], figures.styles([variant]))
    assert [figure["title"] for figure in shown] == ["mAP50-95 on val", "Class loss on train"]
    assert "<title>&lt;v&gt;</title>" in shown[0]["svg"]
    assert "<use " in shown[0]["svg"]


def test_networks_that_detect_nothing_have_no_winner(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name in session.variant_names[:2]:
        synthetic.write_checks(session, name)
        best = synthetic.write_training(session, name)["weights"]["best"]
        nothing = {**synthetic.split_metrics(0.0), "recall": 0.0}
        synthetic.write_metrics(session, name, nothing, None, best)
        synthetic.write_npu(session, name, nothing, None, best)
    summary = compare(session)
    assert summary["headline"]["text"] == (
        "No variant detects anything yet: mAP50-95 on val is 0.000 for all 2 evaluated."
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
    assert found["text"] == "level2_relu and level2_leaky share the highest mAP50-95 on val, 0.400."
    assert "and level3_relu is less than 0.03 behind." in found["caveat"]


def test_a_note_on_several_networks_stands_once(tmp_path):
    session = synthetic.make_session(tmp_path)
    for name in session.variant_names[:2]:
        synthetic.write_checks(session, name, notes=["nc 80 in the file, 3 in the dataset"])
    summary = compare(session)
    sentence = "level2_relu and level2_leaky: nc 80 in the file, 3 in the dataset"
    assert render.session_html(summary, session.layout.root).count(sentence) == 1
    assert render.session_markdown(summary).count(sentence) == 1


def test_a_forecast_of_the_environment_check_is_not_reported(tmp_path):
    session = synthetic.make_session(tmp_path)
    synthetic.write_shared(session)
    summary = compare(session)
    forecast = {"severity": "info", "code": "cpu_training", "message": "expected to take 41.5 h"}
    summary["environment"]["findings"].append(forecast)
    for text in (render.session_html(summary, session.layout.root), render.session_markdown(summary)):
        assert "41.5" not in text
        assert summary["environment"]["findings"][0]["message"] in text


def test_the_reports_start_without_heavy_imports():
    code = (
        "import sys; import workflow.scripts.render_report, workflow.scripts.compare_variants;"
        "print([m for m in ('torch', 'ultralytics', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
