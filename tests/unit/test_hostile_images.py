"""Images and labels of strangers: opened as data by few decoders, and never a program, a pipe or a device."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.dataset_folder import BOX, save_dataset
from workflow.evo.data import check as checking
from workflow.evo.data.check import _inspect, check
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.image_formats import ACCEPTED, FORMATS, MAX_EDGE, PNG_END, open_image
from workflow.evo.data.labels import MAX_BYTES
from workflow.evo.data.listing import IMAGE_SUFFIXES
from workflow.evo.errors import UserError
from workflow.evo.reporting.images import embed
from workflow.evo.text.facts import sentence

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"


def found(path: Path) -> dict[str, dict]:
    return {finding["code"]: finding for finding in check(load_dataset(path), None)["findings"]}


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A program `gs` on the path that leaves a trace; Pillow looks for it once per process."""
    from PIL import EpsImagePlugin

    program, trace = tmp_path / "bin/gs", tmp_path / "gs-ran"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    monkeypatch.setattr(EpsImagePlugin, "gs_windows_binary", None)
    return trace


@pytest.mark.parametrize("name", ["e.jpg", "e.png", "e.tif"])
def test_a_program_in_postscript_is_no_image_and_does_not_run(tmp_path, ghostscript, name):
    path = save_dataset(tmp_path / "mine")
    (tmp_path / "mine/images/train" / name).write_bytes(EPS)
    assert found(path)["image_unreadable"]["examples"] == [f"images/train/{name} (no image)"]
    assert embed(tmp_path / "mine/images/train" / name, 10_000) is None
    assert not ghostscript.exists()


@pytest.mark.parametrize("kind", ["ICO", "ICNS", "PDF", "PPM", "PCX", "TGA", "SGI", "DDS", "MSP", "XBM"])
def test_formats_that_no_suffix_of_ultralytics_stands_for_are_not_even_decoded(tmp_path, kind):
    path = tmp_path / "image.png"
    Image.new("1" if kind in {"MSP", "XBM"} else "RGB", (32, 32)).save(path, format=kind)
    assert _inspect(str(path), False)["problems"]["image_unreadable"] == [1, "no image"]


def test_every_suffix_that_pillow_can_decode_has_its_decoder():
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    decoded = {suffix for suffixes in FORMATS.values() for suffix in suffixes}
    assert IMAGE_SUFFIXES - decoded == {".heic", ".heif"}
    assert {"JPEG", "MPO"} <= ACCEPTED


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_ultralytics_reads_is_opened(tmp_path, kind):
    path = tmp_path / f"image{FORMATS[kind][0]}"
    Image.new("RGB", (32, 24), "red").save(path, format=kind)
    assert _inspect(str(path), False) == {"size": [32, 24], "classes": {}, "problems": {}}


def test_a_stereo_photograph_is_opened(tmp_path):
    first, second = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (32, 24), "blue")
    first.save(tmp_path / "image.mpo", format="MPO", save_all=True, append_images=[second])
    with open_image(tmp_path / "image.mpo") as image:
        assert image.format == "MPO"
    assert _inspect(str(tmp_path / "image.mpo"), False)["problems"] == {}


@pytest.mark.parametrize("kind", ["int32", "float32"])
def test_an_image_of_32_bits_is_refused_because_training_cannot_read_it(tmp_path, kind):
    path = save_dataset(tmp_path)
    Image.fromarray(np.full((24, 32), 70_000, kind)).save(tmp_path / "images/train/deep.tif")
    (example,) = found(path)["image_unreadable"]["examples"]
    assert example.startswith("images/train/deep.tif (TIFF of mode ")
    assert example.endswith("which OpenCV does not read: save it as PNG or JPEG of 8 bits)")


def test_an_image_of_16_bits_is_sound_and_one_in_the_colours_of_printers_only_where_it_is_read(tmp_path):
    Image.fromarray(np.full((24, 32), 7000, "uint16")).save(tmp_path / "deep.tif")
    Image.new("CMYK", (32, 24)).save(tmp_path / "print.jpg")
    Image.new("CMYK", (32, 24)).save(tmp_path / "print.jp2")
    problems = {path.name: _inspect(str(path), False)["problems"] for path in tmp_path.iterdir()}
    assert (problems["deep.tif"], problems["print.jpg"]) == ({}, {})
    assert "JPEG2000 of mode CMYK" in problems["print.jp2"]["image_unreadable"][1]


def test_an_image_longer_than_opencv_reads_is_refused(tmp_path):
    Image.new("1", (MAX_EDGE + 1, 12)).save(tmp_path / "long.png")
    assert (
        "which OpenCV does not read" in _inspect(str(tmp_path / "long.png"), False)["problems"]["image_unreadable"][1]
    )


def test_damage_that_pillow_reads_over_and_opencv_does_not_is_refused(tmp_path):
    Image.new("L", (32, 24)).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    assert whole.endswith(PNG_END)
    (tmp_path / "cut.png").write_bytes(whole[:-8] + b"IEMD" + whole[-4:])
    (tmp_path / "more.png").write_bytes(whole + b"what a camera adds")
    Image.new("1", (32, 24)).save(tmp_path / "palette.bmp")
    bitmap = bytearray((tmp_path / "palette.bmp").read_bytes())
    bitmap[46:50] = (6914).to_bytes(4, "little")  # colours used
    (tmp_path / "palette.bmp").write_bytes(bitmap)
    problems = {path.name: "image_unreadable" in _inspect(str(path), False)["problems"] for path in tmp_path.iterdir()}
    assert problems == {"whole.png": False, "more.png": False, "cut.png": True, "palette.bmp": True}


def special(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(path))


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_pipes_devices_and_sockets_are_not_waited_for(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    special(Path("image.jpg"), kind)
    assert "image_unreadable" in _inspect("image.jpg", False)["problems"]
    Image.new("RGB", (32, 24)).save("sound.png")
    special(Path("sound.txt"), kind)
    assert "label_unreadable" in _inspect("sound.png", True)["problems"]
    assert embed(Path("image.jpg"), 1000) is None
    special(Path("data.yaml"), kind)
    with pytest.raises(UserError, match="dataset YAML cannot be read"):
        load_dataset(Path("data.yaml"))


def test_a_label_file_beyond_reason_is_not_read(tmp_path):
    Image.new("RGB", (32, 24)).save(tmp_path / "a.png")
    with (tmp_path / "a.txt").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert _inspect(str(tmp_path / "a.png"), True)["problems"]["label_unreadable"][1].startswith("larger than")


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    path = save_dataset(tmp_path)
    scandir = os.scandir

    def refuse(folder):
        if str(folder) == str(tmp_path / "labels/train"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(checking.os, "scandir", refuse)
    with pytest.raises(UserError, match=r"labels/train: the folder cannot be listed \(Permission denied\) — make it"):
        check(load_dataset(path), None)


def test_hostile_names_and_rows_are_one_bounded_line_each(tmp_path):
    path = save_dataset(tmp_path)
    (tmp_path / "images/train/a\nerror: spoofed \x1b]0;own\x07\u202e.jpg").write_bytes(b"no image")
    (tmp_path / "labels/train/train0.txt").write_text(f"{'1' * 1_000_000} 0.5 0.5 0.1 0.1\n")
    (tmp_path / "labels/train/train1.txt").write_text(f"0.{'1' * 1_000_000} 0.5 0.5 0.1 0.1\n\x1b]0;own 1 2 3 4\n")
    (tmp_path / "labels/val/val0.txt").write_text("1e308 0.5 0.5 0.1 0.1\n")
    for finding in check(load_dataset(path), None)["findings"]:
        assert len(str(finding)) < 2000
        assert all(example.isprintable() for example in finding["examples"])
        assert sentence(finding).isprintable()


SEEDS = {kind: Image.new("RGB", (24, 16), "teal") for kind in FORMATS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    files = {}
    for kind, image in SEEDS.items():
        image.save(folder / kind, format=kind)
        files[kind] = (folder / kind).read_bytes()
    return files


@pytest.fixture(scope="module")
def mutant(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mutants") / "image.jpg"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged tags
@given(data=st.data(), kind=st.sampled_from(sorted(FORMATS)))
def test_any_damage_to_any_header_is_a_finding_or_harmless(whole, mutant, data, kind):
    content = bytearray(whole[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, min(len(content), 120) - 1))] = data.draw(st.integers(0, 255))
    mutant.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    mutant.with_suffix(".txt").write_text(BOX)
    result = _inspect(str(mutant), True)
    assert result["classes"] == {"0": 1, "1": 1}
    assert (result["size"] is None) == ("image_unreadable" in result["problems"])
