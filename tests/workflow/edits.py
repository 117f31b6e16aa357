"""Edits of a finished session, and what each makes again: nothing more."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .finished import Place

SESSION = {"compare_variants"}
REPORTS = {"render_report", *SESSION}
BUNDLE = {"bundle_deploy", *REPORTS}
COMPILATION = {"compile_npu", *BUNDLE}
EVALUATION = {"evaluate", "evaluate_int8", *BUNDLE}
EXPORT = {"export_int8", "evaluate_int8", *COMPILATION}
RENAMED = EXPORT | EVALUATION
TRAINING = {"train", *RENAMED}
PREFLIGHT = {"preflight_npu", *REPORTS}
CHECKS = {"verify_activations", *PREFLIGHT}
NOTHING: set[str] = set()
ARGUMENT = {"check_environment", *TRAINING}
"""A training argument is a parameter of `check_environment` too: Ultralytics itself has to accept it."""
DATA = {"check_dataset", *SESSION}


@dataclass(frozen=True)
class Edit:
    """One row of the table.

    Attributes:
        name: what is edited, in words.
        do: edits.
        again: the rules that run again.
        only: the variant that its jobs are for, when not all are concerned.
    """

    name: str
    do: Callable[[Place], object]
    again: set[str]
    only: str | None = None


def _change(**overlay: object) -> Callable[[Place], object]:
    return lambda place: place.change(**overlay)


def _train(**arguments: object) -> Callable[[Place], object]:
    return _change(train=arguments)


def _photos(name: str, change: Callable[[bytes], bytes]) -> Callable[[Place], object]:
    def do(place: Place) -> None:
        path = place.file("photos", *name.split("/"))
        path.write_bytes(change(path.read_bytes()))

    return do


def _file(name: str, old: str, new: str) -> Callable[[Place], object]:
    return lambda place: place.edit(place.file(*name.split("/")), old, new)


def _checkout(name: str, old: str, new: str) -> Callable[[Place], object]:
    return lambda place: place.edit(place.checkout() / name, old, new)


def _installed(**versions: str) -> Callable[[Place], object]:
    return lambda place: place.versions.update({name.replace("_", "-"): version for name, version in versions.items()})


def _delete(*parts: str) -> Callable[[Place], object]:
    def do(place: Place) -> None:
        path = place.result(*parts)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return do


def _touch(place: Place) -> None:
    """Touch what a git checkout, an editor or a copy touches: configuration, networks, dataset, checks."""
    for path in (place.workspace.config, place.file("mine.yaml"), place.file("start.pt")):
        os.utime(path)
    for path in [*place.file("photos").rglob("*"), *place.result("mine", "check").iterdir()]:
        os.utime(path)
    for path in (place.checkout() / "workflow").rglob("*"):
        os.utime(path)


def _new_board(place: Place) -> None:
    folder = place.checkout() / "config" / "boards"
    shutil.copy(folder / "preset-u55-256.yaml", folder / "ethos-u55-new.yaml")


def _measured(place: Place) -> None:
    place.file("silicon.csv").write_text("board,variant,ms,who,when\npreset-u55-256,mine,9.5,me,2026-11-30\n")
    place.change(npu={"measurements": "silicon.csv"})


def _move_dataset(place: Place) -> None:
    place.file("photos").rename(place.file("elsewhere"))
    place.change(data="elsewhere/data.yaml")


def _new_image(split: str) -> Callable[[Place], object]:
    def do(place: Place) -> None:
        folder = place.file("photos", "images", split)
        (folder / "further.png").write_bytes((folder / f"{split}0.png").read_bytes() + b"x")

    return do


def _schema(path: Path) -> None:
    """Raise the version that documents of a schema are written in."""
    text, count = re.subn(
        r'("schema_version": \{[^}]*?(?:"const": |"enum": \[))(\d+)',
        lambda m: f"{m[1]}{int(m[2]) + 1}",
        path.read_text(),
    )
    assert count == 1, path
    path.write_text(text)


def _documents(place: Place) -> list[Path]:
    """Return the schemas of the documents that a session consists of."""
    schemas = sorted((place.checkout() / "workflow" / "schemas").iterdir())
    return [path for path in schemas if '"schema_version"' in path.read_text()]


def _record(place: Place) -> None:
    shutil.rmtree(place.file(".snakemake"))


def _code(name: str, text: str = "OURS = 1") -> Callable[[Place], object]:
    """Add a line to a module of the library."""
    future = "from __future__ import annotations"
    return _checkout(f"workflow/evo/{name}", future, f"{future}\n\n{text}")


OF_TRAINING = ("training/run.py", "training/trainer.py", "training/recovery.py")
OF_RUNNING = ("config/loading.py", "host/gpu.py", "session/lifecycle.py", "files.py", "errors.py")
BOX = b"0 0.4 0.4 0.2 0.2\n"

EDITS = (
    Edit("nothing", lambda _: None, NOTHING),
    # The configuration
    Edit(
        "session: another name",
        _change(session="other"),
        {*TRAINING, *CHECKS, "validate_model", "check_environment", *DATA},
    ),
    Edit(
        "grid: one variant more",
        _change(grid={"levels": [2, 3]}),
        {*TRAINING, *CHECKS, "validate_model"},
        "level3_relu",
    ),
    Edit("grid: one variant less", _change(grid={"levels": []}), SESSION),
    Edit(
        "models: one less",
        lambda place: place.edit(place.workspace.config, "models:\n  mine:\n    yaml: mine.yaml\n", "models: {}\n"),
        SESSION,
    ),
    Edit(
        "models: the same network in another file",
        lambda place: (
            shutil.copy(place.file("mine.yaml"), place.file("yours.yaml")),
            place.change(models={"mine": {"yaml": "yours.yaml"}}),
        ),
        NOTHING,
    ),
    Edit("train.epochs", _train(epochs=3), ARGUMENT),
    Edit("train.lr0", _train(lr0=0.02), ARGUMENT),
    Edit("train.batch", _train(batch=2), ARGUMENT),
    Edit("train.seed", _train(seed=1), ARGUMENT),
    Edit("train.imgsz", _train(imgsz=96), {*ARGUMENT, *PREFLIGHT}),
    Edit("train.iou, of validation", _train(iou=0.6), ARGUMENT),
    Edit("train.mosaic", _train(mosaic=0.5), ARGUMENT),
    Edit("train.workers", _train(workers=2), NOTHING),
    Edit("train.device: cpu to a GPU", _train(device=0), NOTHING),
    Edit(
        "train.cache, plots, verbose, save_period, profile",
        _train(cache="disk", plots=True, verbose=False, save_period=1, profile=True),
        NOTHING,
    ),
    Edit("train.deterministic", _train(deterministic=False), NOTHING),
    Edit(
        "train.mask_ratio, kobj, auto_augment, dnn, save_json …",
        _train(
            mask_ratio=2,
            overlap_mask=False,
            kobj=2.0,
            pose=1.0,
            auto_augment="augmix",
            erasing=0.1,
            dropout=0.1,
            dnn=True,
            save_json=True,
            cls_remap=False,
        ),
        NOTHING,
    ),
    Edit("train.pretrained: from random to a file", _train(pretrained="start.pt"), {*TRAINING, *CHECKS}),
    Edit("track", _change(track=["tensorboard"]), NOTHING),
    Edit("evaluate.splits: without test", _change(evaluate={"splits": ["val"]}), EVALUATION),
    Edit("npu.boards: another", _change(npu={"boards": ["preset-u85-256"]}), {*PREFLIGHT, *COMPILATION}),
    Edit(
        "npu.boards: one more",
        _change(npu={"boards": ["preset-u55-256", "preset-u85-256"]}),
        {*PREFLIGHT, *COMPILATION},
    ),
    Edit("npu.kernels", _change(npu={"kernels": "optimised"}), {"evaluate_int8", *BUNDLE}),
    Edit("npu.measurements", _measured, REPORTS),
    Edit("ship", _change(ship={"objective": "latency", "min_map50_95": 0.3}), REPORTS),
    Edit("npu.gate", _change(npu={"gate": "warn"}), REPORTS),
    Edit("npu.max_latency_ms", _change(npu={"max_latency_ms": 0.001}), REPORTS),
    Edit("npu.min_ops_percent", _change(npu={"min_ops_percent": 100}), REPORTS),
    Edit("npu.calibration_images", _change(npu={"calibration_images": 9}), EXPORT),
    Edit("npu.time_limit", _change(npu={"time_limit": 60}), NOTHING),
    Edit("report.language", _change(report={"language": "ko"}), REPORTS),
    # The dataset
    Edit("touched: configuration, networks, dataset, checks, the whole checkout", _touch, NOTHING),
    Edit("a comment in the dataset YAML", _photos("data.yaml", lambda text: b"# ours\n" + text), NOTHING),
    Edit("the dataset moved", _move_dataset, NOTHING),
    Edit("a class renamed", _file("photos/data.yaml", "cat", "tabby"), {*DATA, *RENAMED}),
    Edit("a label in test", _photos("labels/test/test0.txt", lambda _: BOX), {*DATA, *EVALUATION}),
    Edit("an image in test", _photos("images/test/test0.png", lambda image: image + b"x"), {*DATA, *EVALUATION}),
    Edit("a further image in test", _new_image("test"), {*DATA, *EVALUATION}),
    Edit("the key test taken out", _file("photos/data.yaml", "test: images/test\n", ""), {*DATA, *EVALUATION}),
    Edit("a label in val", _photos("labels/val/val0.txt", lambda _: BOX), {*DATA, *TRAINING}),
    Edit("a label in train", _photos("labels/train/train0.txt", lambda _: BOX), {*DATA, *TRAINING}),
    Edit("an image in train", _photos("images/train/train0.png", lambda image: image + b"x"), {*DATA, *TRAINING}),
    Edit("a further image in train", _new_image("train"), {*DATA, *TRAINING}),
    Edit(
        "line ends of Windows in a label in train",
        _photos("labels/train/train0.txt", lambda text: text.replace(b"\n", b"\r\n")),
        NOTHING,
    ),
    Edit(
        "a byte order mark in a label in val",
        _photos("labels/val/val0.txt", lambda text: b"\xef\xbb\xbf" + text),
        NOTHING,
    ),
    # Networks
    Edit("a comment in a model YAML", _file("mine.yaml", "nc:", "# ours\nnc:"), NOTHING),
    Edit(
        "a network",
        _file("mine.yaml", "torch.nn.LeakyReLU(0.1)", "torch.nn.LeakyReLU(0.2)"),
        {"validate_model", *CHECKS, *TRAINING},
        "mine",
    ),
    # Boards and software
    Edit("a new board file, in use nowhere", _new_board, NOTHING),
    Edit(
        "the clock of the board in use",
        _checkout("config/boards/preset-u55-256.yaml", "clock_mhz: 500", "clock_mhz: 400"),
        {*PREFLIGHT, *COMPILATION},
    ),
    Edit(
        "the source of a figure in a board file",
        _checkout("config/boards/preset-u55-256.yaml", "source:", "# ours\nsource:"),
        NOTHING,
    ),
    Edit("another Vela", _installed(ethos_u_vela="9.9.9"), {*PREFLIGHT, *COMPILATION}),
    Edit("another litert-torch", _installed(litert_torch="9.9.9"), {*PREFLIGHT, *EXPORT}),
    Edit("another quantiser", _installed(ai_edge_quantizer="9.9.9"), {*PREFLIGHT, *EXPORT}),
    Edit("another torch", _installed(torch="9.9.9"), TRAINING),
    Edit("another Ultralytics", _installed(ultralytics_opencv_headless="9.9.9"), TRAINING),
    Edit("albumentations installed, which augments", _installed(albumentations="2.0.8"), TRAINING),
    Edit(
        "another numpy, Snakemake, scikit-learn",
        _installed(numpy="9.9.9", snakemake="9.28.0", scikit_learn="9.9.9"),
        NOTHING,
    ),
    # The project itself
    Edit(
        "a new schema version of every JSON document",
        lambda place: [_schema(path) for path in _documents(place)],
        NOTHING,
    ),
    Edit("a comment in code of the reports", _code("reporting/render.py", "# ours"), NOTHING),
    Edit("code of the reports", _code("reporting/render.py"), REPORTS),
    Edit("code of the gates", _code("npu/gates.py"), REPORTS),
    Edit("code of the sentences", _code("text/sentences/npu.py"), BUNDLE),
    Edit("code of the check of a dataset", _code("data/labels.py"), DATA),
    Edit("code of an export", _code("npu/export.py"), {*PREFLIGHT, *EXPORT}),
    Edit("code of an evaluation", _code("evaluation/validation.py"), EVALUATION),
    Edit("code of an int8 evaluation", _code("evaluation/int8.py"), {"evaluate_int8", *BUNDLE}),
    Edit("code of a bundle", _code("deploy/header.py"), BUNDLE),
    Edit("code of the trainings", lambda place: [_code(name)(place) for name in OF_TRAINING], NOTHING),
    Edit(
        "code that runs jobs and reads configurations",
        lambda place: [_code(name)(place) for name in OF_RUNNING],
        NOTHING,
    ),
    Edit("a template of the reports", _checkout("workflow/evo/reporting/templates/variant.md.j2", "#", "# #"), REPORTS),
    Edit(
        "Korean texts, while reports are English",
        _checkout("workflow/locales/ko/LC_MESSAGES/reports.po", 'msgstr "', 'msgstr "x'),
        NOTHING,
    ),
    # Deleted: what no other file is made of any more, and no person asked for, stays away
    Edit("environment.json deleted", _delete("environment.json"), NOTHING),
    Edit("fingerprint.json deleted", _delete("data", "fingerprint.json"), NOTHING),
    Edit("dataset.yaml deleted", _delete("data", "dataset.yaml"), NOTHING),
    Edit("model.json deleted", _delete("mine", "check", "model.json"), NOTHING, "mine"),
    Edit("activations.json deleted", _delete("mine", "check", "activations.json"), NOTHING, "mine"),
    Edit("npu.json deleted", _delete("mine", "check", "npu.json"), NOTHING, "mine"),
    Edit("the whole folder check/ deleted", _delete("mine", "check"), NOTHING, "mine"),
    Edit("best.pt deleted", _delete("mine", "train", "best.pt"), TRAINING, "mine"),
    Edit("last.pt deleted", _delete("mine", "train", "last.pt"), NOTHING, "mine"),
    Edit("results.csv deleted", _delete("mine", "train", "results.csv"), NOTHING, "mine"),
    Edit("training.json deleted", _delete("mine", "train", "training.json"), TRAINING, "mine"),
    Edit("the checkpoints deleted", _delete("mine", "train", ".checkpoints"), NOTHING),
    Edit("metrics.json deleted", _delete("mine", "evaluate", "metrics.json"), {"evaluate", *BUNDLE}, "mine"),
    Edit("curves.json deleted", _delete("mine", "evaluate", "curves.json"), NOTHING),
    Edit("plots deleted", _delete("mine", "evaluate", "plots"), NOTHING, "mine"),
    Edit("model_int8.tflite deleted", _delete("mine", "npu", "model_int8.tflite"), NOTHING, "mine"),
    Edit("metadata.json deleted", _delete("mine", "npu", "metadata.json"), NOTHING, "mine"),
    Edit("metrics_int8.json deleted", _delete("mine", "npu", "metrics_int8.json"), {"evaluate_int8", *BUNDLE}, "mine"),
    Edit(
        "compatibility.json deleted",
        _delete("mine", "npu", "preset-u55-256", "compatibility.json"),
        COMPILATION,
        "mine",
    ),
    Edit("the bundle deleted", _delete("mine", "npu", "preset-u55-256", "deploy"), BUNDLE, "mine"),
    Edit("a training report deleted", _delete("mine_training_report.md"), REPORTS, "mine"),
    Edit("report.html deleted", _delete("report.html"), SESSION),
    Edit(
        "logs and benchmarks deleted",
        lambda place: [shutil.rmtree(place.result(name), ignore_errors=True) for name in ("logs", "benchmarks")],
        NOTHING,
    ),
    Edit("Snakemake's record deleted", _record, NOTHING),
)
