"""What exact resume costs: epochs of this workflow beside epochs of plain Ultralytics, in one run.

    .venv/bin/python -m tools.overhead                       # epochs of 50 images
    .venv/bin/python -m tools.overhead --images 2000 --epochs 4

Both train the same network on the same images with the same recipe, one after the other, several times. An epoch is
timed from one row of results.csv to the next: training, validation, and everything that is written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.errors import EvoError
from workflow.evo.files import write_atomically
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.layout import SessionLayout

VARIANT = "level4_relu"
RECIPE = {
    "batch": 16,
    "nbs": 16,
    "workers": 0,
    "device": "cpu",
    "optimizer": "SGD",
    "lr0": 0.01,
    "warmup_epochs": 0,
    "close_mosaic": 0,
    "patience": 0,
    "seed": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.overhead", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50, metavar="N", help="training images (default: %(default)s)")
    parser.add_argument("--imgsz", type=int, default=128, metavar="PX", help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=12, metavar="N", help="of each training (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="trainings each (default: %(default)s)")
    options = parser.parse_args()
    train = {**RECIPE, "epochs": options.epochs, "imgsz": options.imgsz}
    seconds: dict[str, list[float]] = {"this workflow": [], "plain Ultralytics": []}
    for number in range(options.rounds):
        session = f"overhead_{options.images}_{number}"
        layout = SessionLayout(ROOT / "results" / session)
        _train_ours(session, options.images, train)
        seconds["this workflow"] += epoch_seconds(layout.variant(VARIANT).results_csv)
        seconds["plain Ultralytics"] += epoch_seconds(_train_plainly(layout, train))
    sizes = [folder_bytes(item) for item in layout.variant(VARIANT).checkpoints.glob("epoch*")]
    print(table(seconds, options, max(sizes)))


def epoch_seconds(results_csv: Path) -> list[float]:
    """Return the time of each epoch but the first, from the training's clock in ``results.csv``."""
    table = pd.read_csv(results_csv)
    return table.rename(columns=str.strip)["time"].diff().dropna().tolist()


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def table(seconds: dict[str, list[float]], options: argparse.Namespace, checkpoint: int) -> str:
    """Return the Markdown table, with the ratio of the medians."""
    ours, plain = (statistics.median(values) for values in seconds.values())
    lines = [
        f"Epochs of {options.images} images at {options.imgsz} px on the CPU, {VARIANT}, "
        f"{options.rounds} trainings each.",
        "",
        "| trained by | epochs timed | fastest, s | median, s | slowest, s |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {name} | {len(values)} | {min(values):.2f} | {statistics.median(values):.2f} | {max(values):.2f} |"
            for name, values in seconds.items()
        ),
        "",
        f"Ratio of the medians {ours / plain:.3f}, of the fastest "
        f"{min(seconds['this workflow']) / min(seconds['plain Ultralytics']):.3f}; "
        f"one checkpoint takes {checkpoint / 2**20:.1f} MiB, two are kept.",
    ]
    return "\n".join(lines)


def _train_ours(session: str, images: int, train: dict[str, object]) -> None:
    """Run the workflow up to the training."""
    overlay = {
        "session": session,
        "digits": {"train": images, "val": 16, "test": 0},
        "grid": {"levels": [4], "activations": ["relu"]},
        "train": train,
    }
    config = ROOT / "results" / f"{session}.yaml"
    write_atomically(config, yaml.safe_dump(overlay))
    command = [sys.executable, "-m", "snakemake", f"results/{session}/{VARIANT}/train/best.pt", "--cores", "1"]
    if subprocess.run([*command, "--configfile", str(config)], cwd=ROOT, check=False).returncode:
        raise EvoError("the workflow failed", where=f"results/{session}", hint="see above; the same command continues")


def _train_plainly(layout: SessionLayout, train: dict[str, object]) -> Path:
    """Train with Ultralytics alone; return its results.csv."""
    folder = layout.root / "plain"
    code = (
        "import json, sys\nfrom ultralytics import YOLO\n"
        "from workflow.evo.training import tracking\ntracking.allow(())\n"
        "YOLO(sys.argv[1]).train(data=sys.argv[2], project=sys.argv[3], name='run', exist_ok=True, plots=False, "
        "**json.loads(sys.argv[4]))"
    )
    ultralytics_env.prepare(folder / "settings")  # the child inherits it
    arguments = [str(model_file(4, "relu")), str(layout.dataset_yaml), str(folder), json.dumps(train)]
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True)
    return folder / "run" / "results.csv"


if __name__ == "__main__":
    entry_point(main)
