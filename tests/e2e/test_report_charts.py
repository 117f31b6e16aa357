"""The charts of the page: each is valid Vega-Lite, described, and stands beside its figures."""

from __future__ import annotations

from tests.unit.synthetic import make_session, write_curves, write_done
from workflow.evo.reporting.charts.chart import Palette
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.evidence import read_curves
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.reporting.timeline import read_timeline
from workflow.evo.text.language import ENGLISH


def test_every_chart_is_valid_vega_lite_and_has_a_table_or_stands_beside_one(tmp_path):
    session = make_session(tmp_path)
    for name in session.variant_names:
        write_done(session, name, 0.4)
    write_curves(session)
    import altair

    from workflow.evo.reporting import page

    summary, root = compare(session), session.layout.root
    variants, boards = [VariantSummary(document) for document in summary["variants"]], summary["boards"]
    evidence = page.Evidence(
        variants,
        variants,
        read_curves(root, variants),
        [
            {"variant": "level2_relu", "board": boards[0], "part": "neck", "type": "Conv2D", "cycles": 7},
            {"variant": "level2_relu", "board": boards[0], "part": "other", "type": "Add", "cycles": 2},
        ],
        read_timeline(root, variants),
        Palette.of(variants),
    )
    drawn = page.draw(summary, evidence, ENGLISH)
    assert set(drawn) == {
        *("pareto", "curve-map50_95", "curve-map50", "curve-box_loss", "curve-cls_loss", "classes-heat"),
        *("pr", "pr-classes", "confusion", "operators", "timeline"),
    }
    for chart in drawn.values():
        altair.Chart.from_dict({**chart.spec, "data": {"values": []}} if "layer" not in chart.spec else chart.spec)
        assert chart.description
        assert all(len(row) == len(chart.head) for row in chart.rows), chart.id
        assert "chosen" in [parameter["name"] for parameter in chart.spec["params"]], chart.id
    assert {name for name, chart in drawn.items() if not chart.rows} == {"classes-heat", "pr-classes"}
