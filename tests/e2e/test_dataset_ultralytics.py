"""Ultralytics reads a linked dataset completely, writes beside the links only, and judges labels as the check does."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

from tests.quick_python import quick_python
from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.findings import FATAL, SEVERITIES
from workflow.evo.data.labels import parse_labels
from workflow.evo.data.view import link

ROOT = Path(__file__).resolve().parents[2]

READ = """
import json, sys
from pathlib import Path
from workflow.evo.host.ultralytics_env import prepare
prepare(Path("settings"))
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
counts = {}
for path in sys.argv[1:]:
    data = check_det_dataset(path)
    for split in ("train", "val"):
        read = YOLODataset(img_path=data[split], data=data, task="detect", imgsz=32, augment=False, cache="disk")
        counts[f"{path} {split}"] = [len(read), sum(len(item["cls"]) for item in read.labels)]
print(json.dumps(counts))
"""

JUDGE = """
import json, sys
from pathlib import Path
from workflow.evo.host.ultralytics_env import prepare
prepare(Path("settings"))
from ultralytics.data.utils import verify_image_label
verdicts = []
for content in json.loads(Path("labels.json").read_text()):
    Path("label.txt").write_text(content)
    image, boxes, *_ = verify_image_label(("image.png", "label.txt", "", False, 3, 0, 0, False))
    verdicts.append(None if image is None else len(boxes))
print(json.dumps(verdicts))
"""


def run(code: str, folder: Path, *arguments: object) -> object:
    done = subprocess.run(
        [quick_python(), "-c", code, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_view_is_read_from_anywhere_and_the_dataset_stays_untouched(tmp_path):
    dataset = load_dataset(save_dataset(tmp_path / "data", images=3))
    padded = save_image(tmp_path / "data/images/train/padded.jpg")
    padded.write_bytes(padded.read_bytes() + b"\0")
    view = link(dataset, tmp_path / "view").parent
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    counts = run(READ, elsewhere, "../view/dataset.yaml", view / "dataset.yaml")
    assert list(counts.values()) == [[4, 6], [3, 6]] * 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before
    assert not (view / "view/labels/train.cache").exists()
    assert len(list(view.rglob("*.npy"))) == 7
    assert [path.name for path in elsewhere.iterdir()] == ["settings"]


def test_labels_are_refused_exactly_when_ultralytics_would_drop_the_image(tmp_path):
    words = ["0", "1", "2", "3", "-1", "0.0", "1.5", "nan", "inf", "x", "0.5", "0.25", "1", "1.005", "1.02"]
    words += ["-0.005", "-0.02", "1e-3", "300", "0,5", "1_0", "\x0c", "\ufeff", "#"]
    rng = random.Random(0)

    def row() -> str:
        columns = [rng.choice("012"), *(rng.choice(["0.5", "0.25", "0.1", "1", "0"]) for _ in range(4))]
        for _ in range(rng.choice([0, 0, 1, 2])):
            columns[rng.randrange(5)] = rng.choice(words)
        return " ".join(columns[: rng.choice([5, 5, 5, 5, 4])])

    contents = ["\n".join(row() for _ in range(rng.randint(0, 3))) for _ in range(2000)]
    (tmp_path / "labels.json").write_text(json.dumps(contents))
    save_image(tmp_path / "image.png")
    for content, boxes in zip(contents, run(JUDGE, tmp_path), strict=True):
        labels = parse_labels(content.encode())
        fatal = any(SEVERITIES[code] == FATAL for code in labels.problems)
        fatal = fatal or not all(0 <= class_id < 3 for class_id in labels.instances)
        assert (boxes is None) == fatal, content
        assert fatal or labels.instances.total() == boxes, content
