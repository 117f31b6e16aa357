"""What Ultralytics would fetch or unpickle, it does not."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path

import pytest

from workflow.evo.errors import EvoError
from workflow.evo.host import ultralytics_env, ultralytics_offline


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory):
    ultralytics_env.prepare(tmp_path_factory.mktemp("settings"))


def asked():
    """Return what asks for a file that is not there, by every way that Ultralytics and torch have."""
    import torch
    from torchvision import models
    from ultralytics.data import utils
    from ultralytics.utils import checks, downloads

    url = "https://example.invalid/yolo26n.pt"
    return [
        lambda: downloads.safe_download(url),
        lambda: downloads.safe_download(url=url, file="yolo26n.pt"),
        lambda: downloads.attempt_download_asset("yolo26n.pt"),
        lambda: downloads.download(url),
        downloads.get_github_assets,
        lambda: utils.safe_download(url),
        lambda: utils.download(url),
        lambda: checks.check_file(url),
        lambda: torch.hub.load("ultralytics/yolov5", "yolov5s"),
        lambda: torch.hub.load_state_dict_from_url(url),
        lambda: models.resnet18(weights="DEFAULT"),
    ]


@pytest.mark.parametrize("way", range(11))
def test_a_download_is_refused_in_one_line(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    with pytest.raises(EvoError, match=r"^not on this machine: .* would have to be downloaded, and nothing is — put"):
        asked()[way]()
    assert list(tmp_path.rglob("*.pt")) == []


def test_a_url_is_known_by_its_form_and_never_tried():
    from ultralytics.utils.downloads import is_url

    assert is_url("https://example.invalid/a") and not is_url("a/b.pt")
    assert not is_url("https://example.invalid/a", check=True)


def test_a_file_with_an_apostrophe_in_its_path_is_found(tmp_path):
    from ultralytics.utils.downloads import attempt_download_asset

    (weights := tmp_path / "it's mine.pt").write_bytes(b"weights")
    assert attempt_download_asset(weights) == str(weights)


@pytest.mark.parametrize("installed", [True, False])
def test_korean_names_are_lettered_with_a_font_of_this_machine(monkeypatch, installed):
    import matplotlib
    from matplotlib import figure, font_manager
    from PIL import ImageFont
    from ultralytics.utils import plotting

    # Whatever this machine has: either no font for them, or one of that name.
    others = [entry for entry in font_manager.fontManager.ttflist if entry.name not in ultralytics_offline.CJK_FONTS]
    stand_in = font_manager.FontEntry(fname=font_manager.findfont("DejaVu Serif"), name="NanumGothic")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [*others, *[stand_in] * installed])
    before = matplotlib.rcParams["font.family"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            path = plotting.check_font("Arial.Unicode.ttf")
            drawn = figure.Figure()
            drawn.text(0, 0, "적혈구")
            drawn.savefig(os.devnull, format="png")
        assert ImageFont.truetype(path, 12).getlength("적혈구") > 0
        assert Path(path).name == ("DejaVuSerif.ttf" if installed else "DejaVuSans.ttf")
        assert matplotlib.rcParams["font.family"] == ["DejaVu Sans"] + ["NanumGothic"] * installed
        assert Path(plotting.check_font("Arial.ttf")).name == "DejaVuSans.ttf"
    finally:
        matplotlib.rcParams["font.family"] = before


class Canary:
    def __reduce__(self):
        return os.mkdir, ("canary",)


def test_a_label_cache_is_neither_unpickled_nor_written(tmp_path, monkeypatch):
    import numpy as np
    from PIL import Image
    from ultralytics.data.dataset import YOLODataset

    monkeypatch.chdir(tmp_path)
    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(tmp_path / "images/val/a.jpg")
    (tmp_path / "labels/val/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    planted = tmp_path / "labels/val.cache"
    with planted.open("wb") as stream:
        np.lib.format.write_array(stream, np.array(Canary(), dtype=object), allow_pickle=True)
    before = planted.read_bytes()
    data = {"names": {0: "cell"}, "nc": 1, "channels": 3}
    dataset = YOLODataset(img_path=str(tmp_path / "images/val"), data=data, task="detect", augment=False)
    assert len(dataset.labels) == 1 and dataset.labels[0]["cls"].tolist() == [[0.0]]
    assert not (tmp_path / "canary").exists()
    assert planted.read_bytes() == before
    planted.unlink()
    YOLODataset(img_path=str(tmp_path / "images/val"), data=data, task="detect", augment=False)
    assert not planted.exists()
    with planted.open("wb") as stream:
        pickle.dump(Canary(), stream)
    np.load(planted, allow_pickle=True)
    assert (tmp_path / "canary").exists(), "the canary sings when it is unpickled"


def test_images_cached_on_the_disk_are_no_pickles(tmp_path, monkeypatch):
    """``cache: disk`` reads them by `numpy.load`, which refuses pickles by itself."""
    import numpy as np

    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", np.array(Canary(), dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(tmp_path / "a.npy")
    assert not (tmp_path / "canary").exists()
