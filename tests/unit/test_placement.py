"""Whatever a session is told to work on and wherever: not one byte of the user's is lost."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.unit.dataset_folder import save_dataset, save_image
from workflow.evo.config.loading import load_session
from workflow.evo.data.dataset import load_dataset
from workflow.evo.data.view import link
from workflow.evo.errors import UserError
from workflow.evo.session import placement
from workflow.evo.session.placement import refuse_misplaced
from workflow.scripts import check_dataset, draw_digits

DIGITS = {"train": 4, "val": 4, "test": 0, "size": 32, "seed": 0}


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def content(folder: Path) -> dict[str, bytes | str]:
    """The bytes of every file below a folder, and where every link leads."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def call(monkeypatch):
    def call(script, **config):
        Path("session.yaml").write_text(yaml.safe_dump({"session": "x", **config}))
        monkeypatch.setattr(sys, "argv", [script.__name__, "--config", "session.yaml"])
        return script.main()

    return call


def photos(folder: Path) -> Path:
    for index in range(3):
        save_image(folder / "train" / f"{index}.png")
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("place", ["results/x/data", "results/x", "results/x/data/view", "results/x/level2_relu/train"])
def test_a_dataset_in_the_session_s_own_folder_is_refused_and_stays_whole(call, place):
    path = save_dataset(Path(place))
    before = content(Path(place))
    with pytest.raises(UserError, match=r"is in the results of session x: .*/results/x — keep the dataset elsewhere"):
        call(check_dataset, data=str(path))
    assert content(Path(place)) == before


def test_a_data_folder_that_is_a_link_to_the_dataset_is_refused_and_stays_whole(call, tmp_path):
    path = save_dataset(tmp_path / "mine")
    (tmp_path / "mine/notes.txt").write_text("mine")
    before = content(tmp_path / "mine")
    Path("results/x").mkdir(parents=True)
    Path("results/x/data").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=r"results/x/data: a link to .*/mine: what is there would be replaced"):
        call(check_dataset, data=str(path))
    with pytest.raises(UserError, match="a link to"):
        call(draw_digits, data="demo", digits=DIGITS)
    assert content(tmp_path / "mine") == before


@pytest.mark.parametrize("inner", ["data/view", "data/view/images", "data/view/labels", "data/digits"])
def test_a_link_where_the_session_fills_a_folder_is_refused(call, tmp_path, inner):
    folder = photos(tmp_path / "photos")
    save_dataset(tmp_path / "mine")
    before = content(folder)
    target = Path("results/x") / inner
    target.parent.mkdir(parents=True)
    target.symlink_to(folder)
    with pytest.raises(UserError, match="a link to"):
        call(check_dataset, data=str(tmp_path / "mine/data.yaml"))
    assert content(folder) == before


def test_folders_that_an_earlier_version_filled_are_left_alone_whatever_they_are(call, tmp_path):
    folder = photos(tmp_path / "photos")
    save_dataset(tmp_path / "mine")
    before = content(tmp_path / "photos")
    Path("results/x/data/labels").mkdir(parents=True)
    Path("results/x/data/labels/own.txt").write_text("mine")
    Path("results/x/data/images").symlink_to(folder)
    assert not call(check_dataset, data=str(tmp_path / "mine/data.yaml"))
    assert content(folder) == before
    assert Path("results/x/data/labels/own.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "foreign",
    [
        "view/images/train/photo.png",
        "view/images/train/train0.png",
        "view/images/train/photo.npy",
        "view/images/train/deep/photo.png",
        "view/images/photo.png",
        "view/images/extra/photo.png",
        "view/labels/train/own.txt",
        "view/labels/train/train0.npy",
        "view/labels/own.cache",
        "view/notes.txt",
        "view/images/train",
    ],
)
@pytest.mark.parametrize("made", ["link", "hard link"])
def test_what_the_view_has_not_made_is_named_and_nothing_is_touched(tmp_path, foreign, made):
    dataset = load_dataset(save_dataset(tmp_path / "mine"))
    data = tmp_path / "session/data"
    link(dataset, data)
    path = data / foreign
    if path.is_dir():
        shutil.rmtree(path)
        path.symlink_to(photos(tmp_path / "photos"))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        (tmp_path / "own").write_text("mine")
        if made == "hard link":
            os.link(tmp_path / "own", path)
        else:
            path.write_text("mine")
    (tmp_path / "mine/images/train/train1.png").unlink()  # the view is out of date, and stays so
    before = content(tmp_path)
    with pytest.raises(UserError, match="was not made by this workflow") as refused:
        link(load_dataset(tmp_path / "mine/data.yaml"), data)
    assert str(data / "view") in str(refused.value)
    assert content(tmp_path) == before


def test_what_ultralytics_left_in_the_view_is_removed_and_copies_are_renewed(tmp_path):
    path = save_dataset(tmp_path / "mine")
    padded = save_image(tmp_path / "mine/images/train/padded.jpg")
    padded.write_bytes(padded.read_bytes() + b"\0\0")
    data = tmp_path / "session/data"
    link(load_dataset(path), data)
    train = data / "view/images/train"
    (train / "padded.jpg").write_bytes(b"restored by Ultralytics")
    for name in ("train0.npy", "padded.npy", f".padded.{'0a' * 16}.jpg"):
        (train / name).write_text("")
    (data / "view/labels/train.cache").write_text("")
    (data / "view/..copies.json.abc.tmp").write_text("")
    link(load_dataset(path), data)
    assert sorted(item.name for item in train.iterdir()) == ["padded.jpg", "train0.png", "train1.png"]
    assert (train / "padded.jpg").read_bytes() == padded.read_bytes()
    assert sorted(item.name for item in (data / "view").iterdir()) == [".copies.json", "images", "labels"]


@pytest.mark.parametrize(
    "record", ["[" * 100_000, "{}", '["../../../mine/data.yaml", "images/train/../../x", 3]', "\0"]
)
def test_a_damaged_record_of_copies_removes_nothing(tmp_path, record):
    path = save_dataset(tmp_path / "mine")
    data = tmp_path / "session/data"
    link(load_dataset(path), data)
    (data / "view/.copies.json").write_text(record)
    before = content(tmp_path / "mine")
    link(load_dataset(path), data)
    assert content(tmp_path / "mine") == before


def test_one_split_in_the_session_s_folder_is_enough_to_be_refused(call, tmp_path):
    save_image(Path("results/x/validation/images/a.png"))
    path = save_dataset(tmp_path / "mine", val=os.path.relpath("results/x/validation/images", tmp_path / "mine"))
    before = content(Path("results"))
    with pytest.raises(UserError, match=r"'val: .*' is in the results of session x"):
        call(check_dataset, data=str(path))
    assert content(Path("results")) == before


def test_a_dataset_reached_through_links_is_judged_by_where_it_lies(call, tmp_path):
    save_dataset(Path("results/x/data/set"))
    (tmp_path / "alias").symlink_to(Path("results/x/data/set").absolute())
    before = content(Path("results"))
    with pytest.raises(UserError, match="is in the results of session x"):
        call(check_dataset, data=str(tmp_path / "alias/data.yaml"))
    assert content(Path("results")) == before


def test_a_results_folder_that_is_the_dataset_is_refused(call, tmp_path):
    path = save_dataset(tmp_path / "mine")
    Path("results").symlink_to(tmp_path / "mine")
    before = content(tmp_path / "mine")
    with pytest.raises(UserError, match="is in the results of session images"):
        call(check_dataset, session="images", data=str(path))
    assert content(tmp_path / "mine") == before


def test_a_list_of_images_in_the_view_is_refused(call, tmp_path):
    path = save_dataset(tmp_path / "mine")
    assert not call(check_dataset, data=str(path))
    images = sorted(Path("results/x/data/view/images/train").absolute().iterdir())
    (tmp_path / "mine/list.txt").write_text("\n".join(map(str, images)))
    listed = save_dataset(tmp_path / "mine", train="list.txt")
    before = content(Path("results")) | content(tmp_path / "mine")
    with pytest.raises(UserError, match="images of the dataset are in the session's own links to it"):
        call(check_dataset, data=str(listed))
    assert content(Path("results")) | content(tmp_path / "mine") == before


@pytest.mark.parametrize("train", ["/", "..", "."])
def test_images_around_the_results_are_refused_at_once(call, working_directory, train):
    path = save_dataset(working_directory, train=train)
    with pytest.raises(UserError, match=r"contains the results, whose images would be trained on: .*/results"):
        call(check_dataset, data=str(path))


def test_drawn_digits_may_lie_in_the_session_and_are_drawn_again(call):
    assert not call(draw_digits, digits=DIGITS)
    assert not call(check_dataset, digits=DIGITS)
    Path("results/x/data/digits/labels/train.cache").write_text("Ultralytics")
    assert not call(draw_digits, digits={**DIGITS, "train": 5})
    assert not call(check_dataset, digits={**DIGITS, "train": 5})
    assert not call(check_dataset, data="results/x/data/digits/data.yaml")


@pytest.mark.parametrize("foreign", ["images/train/photo.png", "notes.txt", "labels/train/sub/x.txt", "images/link"])
def test_digits_are_not_drawn_over_what_was_not_drawn(call, tmp_path, foreign):
    assert not call(draw_digits, digits=DIGITS)
    path = Path("results/x/data/digits") / foreign
    path.parent.mkdir(exist_ok=True)
    if foreign.endswith("link"):
        path.symlink_to(photos(tmp_path / "photos"))
    else:
        path.write_text("mine")
    before = content(Path("results")), content(tmp_path)
    with pytest.raises(UserError, match="was not drawn by this workflow"):
        call(draw_digits, digits={**DIGITS, "train": 5})
    assert (content(Path("results")), {**content(tmp_path), "work/session.yaml": b""}) == (
        before[0],
        {**before[1], "work/session.yaml": b""},
    )


def test_a_dataset_where_the_digits_would_be_drawn_is_refused_before_snakemake_deletes_its_yaml():
    save_dataset(Path("results/x/data/digits"))
    with pytest.raises(UserError, match="a dataset that was not drawn by this workflow"):
        refuse_misplaced(load_session({"session": "x"}))


@pytest.mark.parametrize("kind", ["file", "dangling", "circle", "parent"])
def test_a_session_whose_folder_is_something_else_is_refused(kind):
    root = Path("results" if kind == "parent" else "results/x")
    root.parent.mkdir(exist_ok=True)
    if kind in {"file", "parent"}:
        root.write_text("mine")
    else:
        root.symlink_to("/nowhere/at/all" if kind == "dangling" else root.absolute())
    with pytest.raises(UserError, match=r"is where a folder is needed — move it elsewhere") as refused:
        refuse_misplaced(load_session({"session": "x"}))
    assert str(refused.value).startswith(str(root.absolute()))


def test_a_session_on_another_disk_behind_a_link_works(call, tmp_path):
    path = save_dataset(tmp_path / "mine")
    (tmp_path / "scratch").mkdir()
    Path("results").mkdir()
    Path("results/x").symlink_to(tmp_path / "scratch")
    assert not call(check_dataset, data=str(path))
    assert (tmp_path / "scratch/data/dataset.yaml").is_file()


@pytest.mark.parametrize(
    ("path", "says"),
    [("/opt/a:b", "':', where Python splits its search path"), ("/opt/{a}", "'{', which Snakemake reads as a wild")],
)
def test_a_path_of_the_workflow_that_a_tool_misreads_is_refused(monkeypatch, path, says):
    monkeypatch.setattr(placement, "ROOT", Path(path))
    with pytest.raises(UserError) as refused:
        refuse_misplaced(load_session({"session": "x"}))
    assert str(refused.value).startswith(f"{path}: the path has a {says}")
