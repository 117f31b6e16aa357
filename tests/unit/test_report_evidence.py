"""What the page draws beyond the summaries: operators by part, the timeline, boxes, charts, the policy."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.unit.synthetic import write_curves, write_done
from workflow.evo.reporting.charts.chart import Palette
from workflow.evo.reporting.compare import compare
from workflow.evo.reporting.evidence import part_of, read_curves
from workflow.evo.reporting.page import embedded_json, policy
from workflow.evo.reporting.scenes import scenes
from workflow.evo.reporting.summary import VariantSummary
from workflow.evo.reporting.timeline import WAITING, marks, read_timeline
from workflow.evo.text.facts import sentence

LAYERS = [
    {"index": 0, "module": "Conv", "part": "backbone"},
    {"index": 1, "module": "nn.Upsample", "part": "neck"},
    {"index": 2, "module": "Detect", "part": "detect"},
]
WRAPPED = "litert_torch.Wrapper/workflow.evo.npu.export._RawHeads.of.<locals>.Raw_wrapped/"


@pytest.mark.parametrize(
    ("operator", "part"),
    [
        (f"{WRAPPED}ultralytics.nn.modules.conv.Conv_0/torch.nn.ReLU_act;_quantized", "backbone"),
        (f"{WRAPPED}torch.nn.modules.upsampling.Upsample_1;", "neck"),
        (f"{WRAPPED}torch.nn.modules.container.Sequential_0/ultralytics.nn.modules.conv.Conv_0/act", "detect"),
        ("serving_default_output_3_output", "detect"),
        (f"{WRAPPED}ultralytics.nn.modules.conv.Conv_7/act", "other"),
        ("", "other"),
    ],
)
def test_an_operator_belongs_to_the_part_that_its_name_tells(operator, part):
    assert part_of(operator, LAYERS) == part


def variants_of(session):
    return [VariantSummary(document) for document in compare(session)["variants"]]


def test_curves_of_other_weights_are_not_shown(session):
    write_done(session, "level2_relu", 0.4)
    write_curves(session)
    variants = variants_of(session)
    assert list(read_curves(session.layout.root, variants)) == ["level2_relu"]
    path = session.layout.variant("level2_relu").curves
    path.write_text(path.read_text().replace(json.loads(path.read_text())["weights_sha256"], "0" * 64))
    assert read_curves(session.layout.root, variants) == {}


def benchmark(session, name, seconds, end):
    path = session.layout.root / "benchmarks" / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:01\n")
    os.utime(path, (end, end))


def test_the_timeline_has_jobs_pauses_and_incidents(session):
    incident = {"time": "2026-03-01T08:10:00+01:00", "kind": "oom", "message": "out of memory"}
    write_done(session, "level2_relu", 0.4, incidents=[incident])
    begin = 1772348400.0  # 2026-03-01 08:00 +01:00, when the first attempt of the training began
    benchmark(session, "check_dataset", 20, begin - 100)
    benchmark(session, "validate_model/level2_relu", 10, begin - 60)
    benchmark(session, "train/level2_relu", 600, begin + 5525)
    benchmark(session, "compile_npu/level2_relu.preset-u55-256", 5, begin + 5530)
    variants = variants_of(session)
    bars = read_timeline(session.layout.root, variants)
    assert [(bar.row, bar.stage, bar.start - begin, bar.end - begin) for bar in bars] == [
        (None, "check_dataset", -120, -100),
        ("level2_relu", "validate_model", -70, -60),
        ("level2_relu", WAITING, -60, 0),
        ("level2_relu", "train", 0, 5525),
        ("level2_relu", "compile_npu", 5525, 5530),
    ]
    assert [(mark.row, mark.time - begin, sentence(mark.incident)) for mark in marks(variants)] == [
        ("level2_relu", 600, "out of memory")
    ]


@pytest.mark.parametrize("seconds", ["soon", "nan", "inf", "-5", "1e300", "\0", "9" * 200_000])
def test_a_damaged_benchmark_is_no_job(session, seconds):
    path = session.layout.root / "benchmarks" / "check_dataset.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(f"s\n{seconds}\n")
    assert read_timeline(session.layout.root, variants_of(session)) == []


def test_no_image_outside_of_the_data_folder_is_opened(session, tmp_path):
    write_done(session, "level2_relu", 0.4)
    write_curves(session)
    variants, data = variants_of(session), session.layout.data
    curves = read_curves(session.layout.root, variants)
    assert [scene.name for scene in scenes(curves, data)] == ["0.png", "1.png"]
    assert [box.label for box in scenes(curves, data)[0].found["level2_relu"]] == ["red cell"]
    samples = curves["level2_relu"]["val"]["samples"]
    samples[0]["image"] = str(data / "images" / "val" / "0.png")
    samples[1]["image"] = "images/../images/val/1.png"
    assert scenes(curves, data) == []


def test_many_variants_are_coloured_by_their_activation():
    variants = [
        VariantSummary({"variant": f"v{i}", "first": f"v{i}", "replicate": 0, "activation": ("relu", "leaky")[i % 2]})
        for i in range(20)
    ]
    few, many = Palette.of(variants[:6]), Palette.of(variants)
    assert (few.field, len(few.domain)) == ("first", 6)
    assert (many.field, many.domain) == ("activation", ["relu", "leaky"])
    assert [many.index(v) for v in variants[:4]] == [0, 1, 0, 1]


def test_embedded_json_cannot_leave_its_element_and_reads_back():
    document = {"</script><!--": "a & b \u2028 \u2029"}
    text = embedded_json(document)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == document


def test_the_policy_names_each_script_and_allows_no_eval():
    found = policy(["alert(1)"])
    assert "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in found
    assert "unsafe-eval" not in found
    assert found.startswith("default-src 'none'")
