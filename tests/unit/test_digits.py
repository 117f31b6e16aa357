from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow.evo.data import digits as drawing
from workflow.evo.data.check import check
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.digits import draw, identity
from workflow.evo.data.listing import label_path, list_images
from workflow.evo.errors import EvoError

FEW = {"train": 40, "val": 20, "test": 20, "size": 64, "seed": 0}


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn") / "digits", FEW)


def test_the_same_parameters_draw_the_same_bytes(drawn, tmp_path):
    assert content(draw(tmp_path / "again", FEW).parent) == content(drawn.parent)
    assert content(draw(tmp_path / "again", {**FEW, "seed": 1}).parent) != content(drawn.parent)


def test_the_first_images_do_not_depend_on_how_many_follow(drawn, tmp_path):
    fewer = content(draw(tmp_path / "fewer", {**FEW, "train": 4, "test": 0}).parent)
    del fewer["data.yaml"]
    assert fewer.items() <= content(drawn.parent).items()


def test_the_drawn_dataset_is_sound_and_balanced(drawn):
    document = check(load_dataset(drawn), None)
    assert document["findings"] == []
    assert document["names"] == [str(digit) for digit in range(10)]
    assert {split: row["images"] for split, row in document["splits"].items()} == {"train": 40, "val": 20, "test": 20}
    assert document["splits"]["train"]["width"]["max"] == 64
    assert min(document["splits"]["train"]["per_class"]) >= 4


def test_one_to_three_digits_of_a_quarter_to_a_half_that_do_not_overlap(drawn):
    for image in list_images(load_dataset(drawn), "train"):
        boxes = np.loadtxt(label_path(image), ndmin=2)[:, 1:]
        assert 1 <= len(boxes) <= 3
        assert boxes[:, 2:].max() <= 0.5
        assert boxes[:, 2:].max(axis=1).min() >= 0.2
        low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
        for i in range(len(boxes)):
            for j in range(i):
                assert (np.minimum(high[i], high[j]) <= np.maximum(low[i], low[j]) + 1e-6).any()


def test_a_box_is_brighter_than_the_noise_around_it(drawn):
    image = list_images(load_dataset(drawn), "train")[0]
    pixels = np.asarray(Image.open(image)).max(axis=2)
    inside = np.zeros(pixels.shape, bool)
    for _, x, y, w, h in np.loadtxt(label_path(image), ndmin=2):
        inside[round((y - h / 2) * 64) : round((y + h / 2) * 64), round((x - w / 2) * 64) : round((x + w / 2) * 64)] = (
            True
        )
    assert pixels[inside].mean() > 1.5 * pixels[~inside].mean()


def test_no_handwritten_digit_is_in_two_splits():
    sources = drawing._split_sources(0)
    digits = {split: [d.tobytes() for part in parts for d in part] for split, parts in sources.items()}
    assert sum(map(len, digits.values())) == 1797
    # The bundled digits have no two equal ones, so disjoint contents are disjoint digits.
    assert len({d for part in digits.values() for d in part}) == 1797


def test_no_test_images_leave_the_split_out(tmp_path):
    assert set(load_dataset(draw(tmp_path / "d", {**FEW, "train": 4, "val": 4, "test": 0})).splits) == {"train", "val"}


def test_an_interrupted_drawing_is_not_used_and_does_not_stand_in_the_way(tmp_path, monkeypatch):
    folder = tmp_path / "digits"
    original = drawing._draw_image
    calls = iter(range(100))

    def fail(*arguments):
        if next(calls) == 5:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(drawing, "_draw_image", fail)
    with pytest.raises(KeyboardInterrupt):
        draw(folder, FEW)
    assert not folder.exists()
    monkeypatch.undo()
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "images" / "train" / "train_00099.png").write_text("left over")
    draw(folder, FEW)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["digits"]
    assert not (folder / "left_over").exists()


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing, "_draw_image", full)
    with pytest.raises(EvoError, match="no space left while drawing the embedded dataset"):
        draw(tmp_path / "digits", FEW)


def test_the_identity_changes_with_every_parameter_and_with_the_drawing(monkeypatch):
    seen = {identity(FEW), *(identity({**FEW, key: FEW[key] + 16}) for key in FEW)}
    monkeypatch.setattr(drawing, "DRAWING_VERSION", drawing.DRAWING_VERSION + 1)
    seen.add(identity(FEW))
    assert len(seen) == 7
    assert identity(FEW) == identity(dict(reversed(FEW.items())))
