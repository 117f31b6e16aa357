"""Changes of a level-4 network that might make it faster, measured: latency on every board, accuracy over seeds.

    .venv/bin/python -m tools.levels            # a quarter of an hour on two processors, then the table

Each change is trained by the workflow itself, with the demo's data and recipe, once per seed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from workflow.evo.config.boards import board_names
from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.errors import EvoError
from workflow.evo.files import write_atomically
from workflow.evo.host.entry_point import entry_point

BASE = "level4"
CHANGES = {
    "c3": ("C3 for every C2f", ((r"C2f, \[(\d+)\]", r"C3, [\1, False]"), ("C2f,", "C3,"))),
    "narrow_p5": ("max_channels 384 instead of 512", ((r"(n: \[.*), 512\]", r"\1, 384]"),)),
}
"""Name of a change, what it does, and the patterns of the model file that it replaces."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.levels", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="trainings per network (default: 2)")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="for snakemake --cores (default: 2)")
    options = parser.parse_args()
    folder = (ROOT / "results" / "levels").resolve()
    models = write_models(folder)
    overlay = {
        "grid": {"levels": []},
        "models": {name: {"yaml": str(path)} for name, path in models.items()},
        "npu": {"boards": board_names()},
    }
    write_atomically(folder / "session.yaml", yaml.safe_dump(overlay))
    summaries = [run(seed, folder, options.cores) for seed in range(options.seeds)]
    text = table(summaries)
    write_atomically(folder / "table.md", text)
    print(text)


def write_models(folder: Path) -> dict[str, Path]:
    """Write the unchanged network and each changed one; return their files by name."""
    base = model_file(4, "relu").read_text()
    texts = {BASE: base}
    for name, (_, replacements) in CHANGES.items():
        texts[name] = base
        for old, new in replacements:
            texts[name], count = re.subn(old, new, texts[name])
            if not count:
                raise EvoError(f"nothing to change: no '{old}' in the model file", where=model_file(4, "relu"))
    paths = {name: folder / "models" / f"{name}.yaml" for name in texts}
    for name, path in paths.items():
        write_atomically(path, texts[name])
    return paths


def run(seed: int, folder: Path, cores: int) -> dict[str, Any]:
    """Run the workflow with one seed; return its summary.json."""
    session = f"levels_seed{seed}"
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
    command += ["--configfile", "config/demo.yaml", str(folder / "session.yaml")]
    command += ["--config", f"session={session}", f"train={{seed: {seed}}}"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise EvoError("the workflow failed", where=f"results/{session}", hint="see above; the same command continues")
    return json.loads((ROOT / "results" / session / "summary.json").read_text())


def table(summaries: list[dict[str, Any]]) -> str:
    """Return the Markdown table: means over seeds, with the standard deviation where there are several."""
    boards = board_names()
    lines = [
        "| network | parameters | float mAP50-95 | int8 mAP50-95 | " + " | ".join(f"{b}, ms" for b in boards) + " |",
        "|---|--:|--:|--:|" + "--:|" * len(boards),
    ]
    for name in (BASE, *CHANGES):
        runs = [next(v for v in summary["variants"] if v["variant"] == name) for summary in summaries]
        change = CHANGES[name][0] if name in CHANGES else "level 4, ReLU, unchanged"
        accuracy = [
            _mean([run["int8"]["float"]["val"]["map50_95"] for run in runs]),
            _mean([run["int8"]["val"]["map50_95"] for run in runs]),
        ]
        latency = [f"{runs[0]['npu'][board]['estimate']['latency_ms']:.2f}" for board in boards]
        lines.append(f"| {change} | {runs[0]['model']['parameters']:,} | " + " | ".join([*accuracy, *latency]) + " |")
    return "\n".join(lines) + "\n"


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


if __name__ == "__main__":
    entry_point(main)
