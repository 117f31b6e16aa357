"""What is refused before anything trains: by the whole workflow, in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, Workspace, error_lines
from tests.unit.dataset_folder import save_dataset

GOOD = (ROOT / "models" / "train" / "npu_level4_activation_relu.yaml").read_bytes()


def refused(workspace: Workspace, *arguments: object) -> str:
    """Run the session; return its one error line, having made sure that nothing trained."""
    run = workspace.snakemake(*arguments)
    assert run.returncode != 0
    lines = set(error_lines(run.stderr))
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "\nrule train:" not in run.stdout + run.stderr
    assert not list(workspace.folder.glob("results/*/*/train"))
    return lines.pop()


def without_val(root: Path) -> None:
    save_dataset(root, val=None)


def class_beyond_nc(root: Path) -> None:
    save_dataset(root)
    (root / "labels/train/train0.txt").write_text("2 0.5 0.5 0.1 0.1\n")


def truncated_jpeg(root: Path) -> None:
    save_dataset(root)
    image = root / "images/train/cut.jpg"
    Image.effect_noise((64, 64), 50).save(image)
    image.write_bytes(image.read_bytes()[:-200])


def overlap(root: Path) -> None:
    save_dataset(root)
    (root / "images/val/again.png").write_bytes((root / "images/train/train0.png").read_bytes())


def pixels(root: Path) -> None:
    save_dataset(root)
    (root / "labels/val/val0.txt").write_text("0 320 240 64 48\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_val, "'val'"),
        (class_beyond_nc, "class ids must be 0 to 1"),
        (truncated_jpeg, "images/train/cut.jpg"),
        (overlap, "more than one split"),
        (pixels, "divide by the image's width and height"),
    ],
)
def test_a_bad_dataset_stops_the_session(workspace, spoil, said):
    spoil(workspace.folder / "mine")
    workspace.change(data="mine/data.yaml", grid={"levels": [4]})
    assert said in refused(workspace, "--until", "check_dataset")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.yaml", b"", "empty"),
        ("binary.yaml", bytes(range(256)), "not"),
        ("large.yaml", b"# a comment\n" * 900_000, "10,800,000 bytes are too large"),
        ("cycle.yaml", b"backbone: &a [*a]\nhead: []\nnc: 1\n", ""),
        ("code.yaml", GOOD.replace(b"torch.nn.ReLU()", b"__import__('os').system('touch canary')"), "activation"),
    ],
)
def test_a_bad_model_file_stops_its_variant_before_anything_trains(workspace, name, content, said):
    (workspace.folder / name).write_bytes(content)
    workspace.change(grid={"levels": []}, models={"mine": {"yaml": name}})
    message = refused(workspace)
    assert name in message and said in message
    assert not (workspace.folder / "canary").exists()


def test_a_relative_path_is_relative_to_the_working_directory_and_the_refusal_says_so(workspace):
    workspace.change(grid={"levels": []}, models={"mine": {"yaml": "models/mine.yaml"}})
    assert f"model file not found: {workspace.folder}/models/mine.yaml" in refused(workspace)


@pytest.mark.parametrize(("asked", "meant"), [("leaked", "leaky"), ("leaky", "leaked")])
def test_the_file_name_that_exists_is_suggested(workspace, asked, meant):
    source = ROOT / "models/train/npu_level4_activation_leaky.yaml"
    (workspace.folder / f"npu_level2_activation_{meant}.yaml").write_bytes(source.read_bytes())
    workspace.change(grid={"levels": []}, models={"mine": {"yaml": f"npu_level2_activation_{asked}.yaml"}})
    assert f"did you mean 'npu_level2_activation_{meant}.yaml'?" in refused(workspace)


def test_damaged_pretrained_weights_are_refused_before_training(workspace):
    """Whatever damages them: the loader's own tests try more."""
    (workspace.folder / "start.pt").write_bytes(b"PK\x03\x04 cut")
    workspace.change(grid={"levels": [4]}, train={"pretrained": "start.pt"})
    message = refused(workspace, "--until", "verify_activations")
    assert "start.pt: not a checkpoint that the restricted loader accepts" in message
