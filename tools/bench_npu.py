"""The export path of this workflow beside Ultralytics' own, in one run: placement, latency, memory, accuracy.

    make bench-npu
    .venv/bin/python -m tools.bench_npu --data data.yaml --imgsz 320 --model own=own.yaml --model trained=best.pt

Each model is trained by plain Ultralytics unless weights are given, then exported by both paths, compiled by Vela with
the same preset and evaluated on the same square images. Cycles, latency and memory are Vela's estimates.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from workflow.evo.config.boards import Board, board_names, load_board
from workflow.evo.config.variants import ACTIVATIONS, REFERENCE, ROOT, model_file
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.digits import draw
from workflow.evo.data.view import link
from workflow.evo.errors import UserError
from workflow.evo.files import sha256_file, write_atomically
from workflow.evo.host import ultralytics_env
from workflow.evo.host.entry_point import entry_point
from workflow.evo.training import tracking

DIGITS = {"train": 320, "val": 96, "test": 0, "size": 256, "seed": 0}
RECIPE = {"optimizer": "SGD", "lr0": 0.02, "warmup_epochs": 1, "close_mosaic": 3, "fliplr": 0.0, "nbs": 16, "batch": 16}
TIME_LIMIT = 600.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench_npu", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("results/bench_npu"), help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="dataset YAML (default: the embedded digits at 256 px)")
    parser.add_argument("--split", default="val", help="split to evaluate (default: %(default)s)")
    parser.add_argument("--imgsz", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=12, help="default: %(default)s")
    parser.add_argument("--board", default="preset-u55-128", choices=board_names(), help="default: %(default)s")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME=PATH",
        help="model YAML to train, or weights; may be repeated (default: yolov8n with ReLU, LeakyReLU and SiLU)",
    )
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ultralytics_env.prepare(folder / "settings")
    tracking.allow(())
    dataset = link(load_dataset(options.data or draw(folder / "digits", DIGITS)), folder / "data")
    board, rows = load_board(options.board), []
    for name, path in _models(options.model, folder).items():
        best = path if path.suffix == ".pt" else _train(name, path, dataset, options, folder)
        for export in (_stock, _ours):
            rows.append({"model": name, **export(name, best, dataset, options, board, folder)})
            print(_table(rows[-1:], board, options), flush=True)
    table = _table(rows, board, options)
    write_atomically(folder / "table.md", table + "\n")
    write_atomically(folder / "table.json", json.dumps(rows, indent=2) + "\n")
    print(f"\n{table}\n\nwritten to {folder / 'table.md'}")


def _models(named: list[str] | None, folder: Path) -> dict[str, Path]:
    if named:
        models = {}
        for item in named:
            name, _, path = item.partition("=")
            if not path or not Path(path).is_file():
                raise UserError(f"no such model: {item}", hint="write --model NAME=PATH, a .yaml or a .pt")
            models[name] = Path(path).resolve()
        return models
    models = {}
    reference = model_file(1, REFERENCE).read_text()
    for name, activation in ACTIVATIONS.items():
        models[name] = folder / f"yolov8n_{name}.yaml"
        body = "".join(line for line in reference.splitlines(keepends=True) if not line.startswith("activation:"))
        models[name].write_text(f"activation: {activation.expression}\n{body}")
    return models


def _train(name: str, model: Path, dataset: Path, options: argparse.Namespace, folder: Path) -> Path:
    from ultralytics import YOLO

    run = folder / "train" / name
    best, identity = run / "weights" / "best.pt", folder / "train" / f"{name}.json"
    made_of = {"model": sha256_file(model), "data": str(dataset), "epochs": options.epochs, "imgsz": options.imgsz}
    if best.is_file() and identity.is_file() and json.loads(identity.read_text()) == made_of:
        print(f"{name}: trained already: {best}", file=sys.stderr)
        return best
    shutil.rmtree(run, ignore_errors=True)
    YOLO(str(model)).train(
        data=str(dataset),
        epochs=options.epochs,
        imgsz=options.imgsz,
        device="cpu",
        seed=0,
        plots=False,
        project=str(run.parent),
        name=name,
        **RECIPE,
    )
    write_atomically(identity, json.dumps(made_of))
    return best


def _stock(
    name: str, best: Path, dataset: Path, options: argparse.Namespace, board: Board, folder: Path
) -> dict[str, Any]:
    """Ultralytics' own int8 export."""
    from ultralytics import YOLO

    place = _emptied(folder / "stock" / name)
    weights = place / f"{name}.pt"
    shutil.copyfile(best, weights)
    made = YOLO(str(weights)).export(format="litert", quantize=8, data=str(dataset), imgsz=options.imgsz)
    model = Path(made)
    accuracy = {kind: _validate(path, dataset, options, place) for kind, path in (("float", weights), ("int8", model))}
    return {"path": "stock", **_compiled(model, board, place), **accuracy}


def _ours(
    name: str, best: Path, dataset: Path, options: argparse.Namespace, board: Board, folder: Path
) -> dict[str, Any]:
    """Raw heads, NHWC, int8 in and out, islands folded."""
    from workflow.evo.evaluation.int8 import evaluate_int8
    from workflow.evo.models.activations import load_network
    from workflow.evo.npu.calibration import CalibrationImages
    from workflow.evo.npu.export import export_int8
    from workflow.evo.npu.metadata import describe

    place = _emptied(folder / "ours" / name)
    network, model = load_network(best), place / "model_int8.tflite"
    images = CalibrationImages(dataset, options.imgsz, 128, 0)
    exported = export_int8(network, options.imgsz, images, model)
    metadata = describe(
        model,
        exported,
        variant=name,
        names=[str(label) for label in network.names.values()],
        imgsz=options.imgsz,
        reg_max=int(network.model[-1].reg_max),
        calibration={"images": len(images), "seed": 0, "split": "train"},
        activations={"expected": {}, "found": {}},
    )
    found, _ = evaluate_int8(model, metadata, best, dataset, (options.split,), place)
    accuracy = {
        "float": found["float"][options.split]["map50_95"],
        "int8": found[options.split]["map50_95"],
    }
    return {"path": "this workflow", **_compiled(model, board, place), **accuracy}


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _compiled(model: Path, board: Board, place: Path) -> dict[str, Any]:
    from workflow.evo.npu.compatibility import assess
    from workflow.evo.npu.vela import compile_model

    verdict = assess(model, compile_model(model, board, place / "vela", TIME_LIMIT), board)
    return {
        "operators": verdict["operators"]["source"],
        "cpu_operators": verdict["operators"]["cpu"],
        "blobs": verdict["npu_blobs"],
        "cycles": verdict["estimate"]["cycles"],
        "latency_ms": verdict["estimate"]["latency_ms"],
        "sram_kib": verdict["memory"]["sram"]["used_kib"],
        "flash_kib": verdict["memory"]["flash"]["used_kib"],
    }


def _validate(weights: Path, dataset: Path, options: argparse.Namespace, place: Path) -> float:
    from ultralytics import YOLO

    found = YOLO(str(weights), task="detect").val(
        data=str(dataset),
        split=options.split,
        imgsz=options.imgsz,
        rect=False,
        batch=1 if weights.suffix == ".tflite" else 16,
        device="cpu",
        plots=False,
        save_dir=str(place / "val"),
    )
    return float(found.box.map)


def _table(rows: list[dict[str, Any]], board: Board, options: argparse.Namespace) -> str:
    head = (
        f"{board.name} ({board.system_config}, {board.memory_mode}, {board.clock_mhz:g} MHz), {options.imgsz} px, "
        f"{options.split}; latency and memory are Vela's estimates, of the NPU's share only.\n\n"
        "| model | export | CPU operators | blobs | latency, ms | SRAM, KiB | flash, KiB | float mAP50-95 | int8 | "
        "difference |\n"
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    )
    lines = [
        f"| {row['model']} | {row['path']} | {row['cpu_operators']} of {row['operators']} | {row['blobs']} | "
        f"{_number(row['latency_ms'], '.2f')} | {_number(row['sram_kib'], ',.0f')} | {row['flash_kib']:,.0f} | "
        f"{row['float']:.4f} | {row['int8']:.4f} | {row['int8'] - row['float']:+.4f} |"
        for row in rows
    ]
    return head + "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    return "—" if value is None else f"{value:{form}}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    entry_point(main)
