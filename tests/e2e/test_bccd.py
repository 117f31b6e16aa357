"""A real dataset: blood cells, 320 px, 30 epochs on the CPU. An hour on two processors; `-s` shows the figures."""

from __future__ import annotations

import json
import os
import statistics
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
SEEDS = (0, 1, 2)
SEED_NOISE = 0.03  # of map50_95 on this small test split, one seed against another

INT8_LOSS = {"level4_relu": 0.005, "level4_leaky": 0.010}
LATENCY_SHARE = {"level4_relu": 0.40, "level4_leaky": 0.46}  # LeakyReLU is looked up, ReLU costs nothing on this NPU
BOARD = "preset-u55-256"

TRAIN_PLAINLY = """
import json, sys
from pathlib import Path
from workflow.evo.host.ultralytics_env import prepare
model, data, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
prepare(Path("settings"))
from workflow.evo.training import tracking
tracking.allow(())
from ultralytics import YOLO
YOLO(model).train(data=data, project=str(Path("runs").resolve()), plots=False, **arguments)
"""
VALIDATE = """
import json, sys
from pathlib import Path
from workflow.evo.host.ultralytics_env import prepare
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


class Bccd:
    """Trainings of the dataset, each made once: by this workflow and by plain Ultralytics."""

    def __init__(self, folder: Path):
        self.folder = folder

    def results(self, variant: str, seed: int = 0) -> Path:
        """Run the whole workflow for one variant; return the folder of its results."""
        workspace = Workspace(_made(self.folder / f"{variant}_seed{seed}"))
        workspace.write(
            {
                "session": "tiny",
                "data": os.environ["EVO_BCCD"],
                "grid": {"levels": []},
                "models": {f"bccd_{variant}": {"yaml": str(MODELS / VARIANTS[variant])}},
                "train": {**TRAIN, "seed": seed},
            }
        )
        run = workspace.snakemake(timeout=5400)
        assert run.returncode == 0, run.stderr
        return workspace.path(f"bccd_{variant}")

    def metrics(self, variant: str, seed: int = 0) -> dict[str, float]:
        return json.loads((self.results(variant, seed) / "evaluate" / "metrics.json").read_text())["test"]

    def dataset(self, variant: str, seed: int = 0) -> Path:
        """Return the dataset YAML that plain Ultralytics can read: the view that a run of ours has made."""
        return self.results(variant, seed).parent / "data" / "dataset.yaml"

    def plain(self, variant: str, seed: int = 0) -> dict[str, float]:
        """Train with plain Ultralytics, the same file and recipe; return its metrics on the test split."""
        folder, dataset = _made(self.folder / f"{variant}_seed{seed}_plain"), self.dataset(variant, seed)
        best = folder / "runs" / "plain" / "weights" / "best.pt"
        if not (folder / "done").exists():
            arguments = {**TRAIN, "seed": seed, "name": "plain", "exist_ok": True}
            call(folder, TRAIN_PLAINLY, MODELS / VARIANTS[variant], dataset, json.dumps(arguments))
            (folder / "done").touch()
        return json.loads(call(folder, VALIDATE, best, dataset))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def bccd(tmp_path_factory) -> Bccd:
    """In the folder that EVO_BCCD_RUNS names, if any: a second run goes on there."""
    folder = os.environ.get("EVO_BCCD_RUNS")
    return Bccd(Path(folder).resolve() if folder else tmp_path_factory.mktemp("bccd"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_metrics_equal_those_of_yolo_val(bccd, variant):
    ours = bccd.metrics(variant)
    best = bccd.results(variant) / "train" / "best.pt"
    theirs = json.loads(call(bccd.folder, VALIDATE, best, bccd.dataset(variant)))
    print(f"\n{variant}: test {ours['map50']:.4f} / {ours['map50_95']:.4f}, yolo val says {theirs}")
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("variant", ["level2_relu", "level4_leaky"])
def test_not_worse_than_plain_ultralytics(bccd, variant):
    """The same file and recipe. Plain Ultralytics knows no scope: it puts ReLU into the whole of level 2."""
    ours, plain = bccd.metrics(variant), bccd.plain(variant)
    print(f"\n{variant}: test map50_95 {ours['map50_95']:.4f}, plain Ultralytics {plain['map50_95']:.4f}")
    assert ours["map50_95"] >= plain["map50_95"] - SEED_NOISE


def test_the_mean_over_seeds_is_that_of_plain_ultralytics(bccd):
    """One standard deviation of the difference between seeds is what two equal trainings differ by."""
    variant = "level4_leaky"
    ours = [bccd.metrics(variant, seed)["map50_95"] for seed in SEEDS]
    plain = [bccd.plain(variant, seed)["map50_95"] for seed in SEEDS]
    print(f"\n{variant}, test map50_95\n| seed | this workflow | plain Ultralytics |\n|--:|--:|--:|")
    for row in zip(SEEDS, ours, plain, strict=True):
        print("| {} | {:.4f} | {:.4f} |".format(*row))
    spread = max(statistics.stdev(ours), statistics.stdev(plain))
    print(f"means {statistics.fmean(ours):.4f} and {statistics.fmean(plain):.4f}, standard deviation {spread:.4f}")
    assert statistics.fmean(ours) >= statistics.fmean(plain) - spread


@pytest.mark.parametrize("variant", INT8_LOSS)
def test_the_int8_file_is_as_accurate_as_the_weights_and_runs_on_the_npu_alone(bccd, variant):
    npu = bccd.results(variant) / "npu"
    change = json.loads((npu / "metrics_int8.json").read_text())["difference"]["test"]["map50_95"]
    verdict = json.loads((npu / BOARD / "compatibility.json").read_text())
    print(f"\n{variant}: int8 {change:+.4f}, {verdict['operators']}, {verdict['estimate']['latency_ms']:.2f} ms")
    assert abs(change) <= INT8_LOSS[variant]
    assert verdict["cpu_operators"] == []


def test_latency_is_a_fraction_of_the_stock_export_of_the_stock_network(bccd):
    """Side by side in one run; the stock network's weights do not matter for its latency, so it trains one epoch."""
    models = {name: bccd.results(name) / "train" / "best.pt" for name in INT8_LOSS}
    models["stock"] = MODELS / "npu_level1_reference_silu.yaml"
    command = ["-m", "tools.bench_npu", "--folder", bccd.folder / "bench", "--data", bccd.dataset("level4_relu")]
    command += ["--imgsz", "320", "--split", "test", "--epochs", "1", "--board", BOARD]
    command += [word for name, path in models.items() for word in ("--model", f"{name}={path}")]
    subprocess.run([sys.executable, *map(str, command)], cwd=ROOT, env=environment(), check=True)
    rows = json.loads((bccd.folder / "bench" / "table.json").read_text())
    latency = {(row["model"], row["path"]): row["latency_ms"] for row in rows}
    print(f"\n{(bccd.folder / 'bench' / 'table.md').read_text()}")
    for name, share in LATENCY_SHARE.items():
        assert latency[name, "this workflow"] <= share * latency["stock", "stock"]
