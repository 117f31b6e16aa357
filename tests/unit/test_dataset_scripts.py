"""check_dataset and draw_digits as a person or a rule calls them."""

from __future__ import annotations

import sys

import pytest
import yaml

from tests.unit.dataset_folder import save_dataset
from workflow.evo.config.loading import load_session_files
from workflow.evo.data.source import session_hashes
from workflow.evo.errors import UserError
from workflow.evo.files import read_json
from workflow.scripts import check_dataset, draw_digits


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a script's main in an empty working directory, with this configuration."""
    monkeypatch.chdir(tmp_path)

    def call(script, **config):
        (tmp_path / "session.yaml").write_text(yaml.safe_dump({"session": "s", **config}))
        monkeypatch.setattr(sys, "argv", [script.__name__, "--config", "session.yaml"])
        return script.main()

    return call


DIGITS = {"train": 10, "val": 5, "test": 0, "size": 32, "seed": 0}


def test_the_demo_is_drawn_checked_and_linked(call, tmp_path, capsys):
    assert not call(draw_digits, digits=DIGITS)
    assert not call(check_dataset, digits=DIGITS)
    assert "train: 10 images" in capsys.readouterr().err
    data = tmp_path / "results/s/data"
    assert (data / "digits/data.yaml").is_file()
    assert (data / "view/images/train/train_00000.png").is_symlink()
    assert yaml.safe_load((data / "dataset.yaml").read_text())["val"] == "view/images/val"
    fingerprint = read_json(data / "fingerprint.json", "fingerprint")
    hashes = session_hashes(load_session_files(["session.yaml"]))
    assert (fingerprint["content_hash"], fingerprint["hashes"]) == (hashes.everything, hashes.splits)
    assert set(hashes.splits) == {"train", "val"}
    assert fingerprint["splits"]["val"]["images"] == 5


def test_the_demo_has_to_be_drawn_first(call):
    with pytest.raises(UserError, match=r"the embedded dataset is not drawn: .*/results/s/data/digits/data.yaml"):
        call(check_dataset)


def test_nothing_is_drawn_for_a_dataset_of_ones_own(call, tmp_path):
    save_dataset(tmp_path / "own")
    with pytest.raises(UserError, match="nothing to draw"):
        call(draw_digits, data="own/data.yaml")


def test_a_dataset_of_ones_own_has_the_hash_that_planning_sees(call, tmp_path):
    save_dataset(tmp_path / "own")
    assert not call(check_dataset, data="own/data.yaml")
    fingerprint = read_json(tmp_path / "results/s/data/fingerprint.json", "fingerprint")
    assert fingerprint["content_hash"] == session_hashes(load_session_files(["session.yaml"])).everything
    assert len(list((tmp_path / ".snakemake/evo").glob("hashes-*.json"))) == 2


def test_a_fatal_finding_publishes_nothing(call, tmp_path, capsys):
    save_dataset(tmp_path / "own")
    (tmp_path / "own/labels/train/train0.txt").write_text("0 320 240 64 64\n5 0.5 0.5 0.1 0.1\n")
    with pytest.raises(UserError) as refused:
        call(check_dataset, data="own/data.yaml")
    assert "own/data.yaml: class ids must be 0 to 1" in str(refused.value)
    assert "and 1 more fatal finding above" in str(refused.value)
    printed = capsys.readouterr().err
    assert "fatal: coordinates above 1 look like pixels" in printed
    assert "[1: labels/train/train0.txt (line 1: 320)]" in printed
    assert not (tmp_path / "results").exists()
