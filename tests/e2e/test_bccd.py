"""A real dataset: blood cells, 320 px, 30 epochs on the CPU. An hour on two processors; `-s` shows the figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Workspace, environment

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif("EVO_BCCD" not in os.environ, reason="EVO_BCCD names no data.yaml of the blood-cell dataset"),
]
MODELS = ROOT / "models" / "train"
VARIANTS = {
    "level2_relu": "npu_level2_scales_backbone_relu.yaml",
    "level4_relu": "npu_level4_activation_relu.yaml",
    "level4_leaky": "npu_level4_activation_leaky.yaml",
}
TRAIN = {"epochs": 30, "imgsz": 320, "batch": 16, "nbs": 32, "seed": 0, "device": "cpu", "patience": 0}
SEED_NOISE = 0.03  # of map50_95 on this small test split, one seed against another

INT8_LOSS = {"level4_relu": 0.005, "level4_leaky": 0.010}
BOARD = "ethos-u55-256"

TRAIN_PLAINLY = """
import json, sys
from pathlib import Path
from workflow.evo.ultralytics_env import prepare
model, data, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
prepare(Path("settings"))
from ultralytics import YOLO
YOLO(model).train(data=data, project=str(Path("runs").resolve()), plots=False, **arguments)
"""
VALIDATE = """
import json, sys
from pathlib import Path
from workflow.evo.ultralytics_env import prepare
prepare(Path("settings"))
from ultralytics import YOLO
found = YOLO(sys.argv[1]).val(data=sys.argv[2], split="test", imgsz=320, batch=16, device="cpu", plots=False,
                              project=str(Path("runs").resolve()))
print(json.dumps(dict(zip(("precision", "recall", "map50", "map50_95"), map(float, found.mean_results())))))
"""


def call(folder: Path, code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def bccd(tmp_path_factory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("bccd"))
    configuration = {
        "session": "tiny",
        "data": os.environ["EVO_BCCD"],
        "grid": {"levels": []},
        "models": {f"bccd_{name}": {"yaml": str(MODELS / file)} for name, file in VARIANTS.items()},
        "train": TRAIN,
    }
    workspace.write(configuration)
    run = workspace.snakemake(timeout=5400)
    assert run.returncode == 0, run.stderr
    return workspace


@pytest.mark.parametrize("variant", VARIANTS)
def test_metrics_equal_those_of_yolo_val(bccd, variant):
    results = bccd.path(f"bccd_{variant}")
    ours = json.loads((results / "evaluate" / "metrics.json").read_text())["test"]
    theirs = json.loads(call(bccd.folder, VALIDATE, results / "train" / "best.pt", bccd.path("data", "dataset.yaml")))
    print(f"\n{variant}: test {ours['map50']:.4f} / {ours['map50_95']:.4f}, yolo val says {theirs}")
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("variant", ["level2_relu", "level4_leaky"])
def test_not_worse_than_plain_ultralytics(bccd, variant):
    """The same file and recipe. Plain Ultralytics knows no scope: it puts ReLU into the whole of level 2."""
    dataset = bccd.path("data", "dataset.yaml")
    call(
        bccd.folder,
        TRAIN_PLAINLY,
        MODELS / VARIANTS[variant],
        dataset,
        json.dumps({**TRAIN, "name": variant}),
    )
    plain = json.loads(call(bccd.folder, VALIDATE, f"runs/{variant}/weights/best.pt", dataset))
    ours = json.loads(bccd.path(f"bccd_{variant}", "evaluate", "metrics.json").read_text())["test"]
    print(f"\n{variant}: test map50_95 {ours['map50_95']:.4f}, plain Ultralytics {plain['map50_95']:.4f}")
    assert ours["map50_95"] >= plain["map50_95"] - SEED_NOISE


@pytest.mark.parametrize("variant", INT8_LOSS)
def test_the_int8_file_is_as_accurate_as_the_weights_and_runs_on_the_npu_alone(bccd, variant):
    npu = bccd.path(f"bccd_{variant}", "npu")
    change = json.loads((npu / "metrics_int8.json").read_text())["difference"]["test"]["map50_95"]
    verdict = json.loads((npu / BOARD / "compatibility.json").read_text())
    print(f"\n{variant}: int8 {change:+.4f}, {verdict['operators']}, {verdict['estimate']['latency_ms']:.2f} ms")
    assert abs(change) <= INT8_LOSS[variant]
    assert verdict["cpu_operators"] == []


def test_latency_is_at_most_two_fifths_of_the_stock_export_of_the_stock_network(bccd):
    """Side by side in one run; the stock network's weights do not matter for its latency, so it trains one epoch."""
    models = {name: bccd.path(f"bccd_{name}", "train", "best.pt") for name in INT8_LOSS}
    models["stock"] = MODELS / "npu_level1_reference_silu.yaml"
    command = ["-m", "tools.bench_npu", "--folder", bccd.folder / "bench", "--data", bccd.path("data", "dataset.yaml")]
    command += ["--imgsz", "320", "--split", "test", "--epochs", "1", "--board", BOARD]
    command += [word for name, path in models.items() for word in ("--model", f"{name}={path}")]
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=environment(), check=True)
    rows = json.loads((bccd.folder / "bench" / "table.json").read_text())
    latency = {(row["model"], row["path"]): row["latency_ms"] for row in rows}
    print(f"\n{(bccd.folder / 'bench' / 'table.md').read_text()}")
    for name in INT8_LOSS:
        assert latency[name, "this workflow"] <= 0.40 * latency["stock", "stock"]
