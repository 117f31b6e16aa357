"""The activations of checkpoints, and what the guards around model files and checkpoints are there for."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
from pathlib import Path

import pytest

from tests.e2e.networks import findings
from tests.quick_python import quick_python
from tests.unit.model_files import GOOD
from workflow.evo.errors import UserError
from workflow.evo.models.problems import ActivationError

pytestmark = pytest.mark.usefixtures("library")


# Checkpoints -------------------------------------------------------------------------------------------------------


def save(model, path: Path) -> Path:
    """Save a checkpoint as Ultralytics does: the moving average in half precision."""
    import torch

    torch.save({"epoch": -1, "model": None, "ema": copy.deepcopy(model).half(), "train_args": {}}, path)
    return path


@pytest.mark.parametrize(("level", "activation"), [(1, "silu"), (2, "relu"), (3, "leaky"), (4, "leaky")])
def test_the_activations_of_a_checkpoint_are_verified(level, activation, network, tmp_path):
    from workflow.evo.models.activations import verify, verify_checkpoint

    definition, model = network(level, activation)
    path = save(model, tmp_path / "best.pt")
    assert verify_checkpoint(path, definition, 10) == verify(model, definition, 10)


def test_an_activation_lost_by_starting_from_a_checkpoint_of_silu_is_found(network, tmp_path):
    """``model=silu.pt`` makes Ultralytics take the network from the checkpoint, not from the variant's file."""
    from workflow.evo.models.activations import verify_checkpoint

    _, stock = network(1, "silu")
    definition, _ = network(4, "relu")
    path = save(stock, tmp_path / "silu.pt")
    with pytest.raises(ActivationError) as refused:
        verify_checkpoint(path, definition, 10)
    lines = str(refused.value).splitlines()
    assert lines[0].startswith(f"{path}: backbone: 27 of 27 call sites are still SiLU, ReLU is promised")
    assert len(lines) == 3 + 6


def test_transferred_weights_never_change_the_network(network):
    """``BaseModel.load`` gives the class branch the checkpoint's width and activation; `transfer` does not."""
    from workflow.evo.models.activations import verify
    from workflow.evo.models.build import build, build_reference
    from workflow.evo.models.transfer import transfer

    definition, _ = network(4, "relu")
    source = build_reference(definition, 80)
    model = build(definition, 10)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    matched, total = transfer(model, source)
    own, given = model.state_dict(), source.state_dict()
    assert {name: tuple(value.shape) for name, value in own.items()} == shapes
    same = [name for name in own if given[name].shape == own[name].shape]
    assert (matched, total) == (len(same), len(own))
    assert 0 < matched < total
    assert all((own[name] == given[name]).all() for name in same)
    assert verify(model, definition, 10)["found"]["detect"] == {"ReLU": 12}


def test_ultralytics_own_loading_would_put_silu_into_the_head(network):
    from workflow.evo.models.build import build, build_reference

    definition, _ = network(4, "relu")
    model = build(definition, 10)
    model.load(build_reference(definition, 80), verbose=False)
    assert findings(model, definition)[0].startswith("detect: 6 of 12 call sites are still SiLU, ReLU is promised")


class Payload:
    """A pickle that runs a command when a plain loader reads it."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_checkpoint_with_code_in_it_is_refused_and_does_not_run(network, tmp_path):
    import torch

    from workflow.evo.models.activations import verify_checkpoint

    definition, _ = network(4, "relu")
    canary = tmp_path / "canary"
    path = tmp_path / "evil.pt"
    torch.save({"model": Payload(f"touch {canary}")}, path)
    with pytest.raises(UserError, match="not a checkpoint that the restricted loader accepts"):
        verify_checkpoint(path, definition, 10)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "checkpoint not found"),
        (b"", "not a checkpoint"),
        (b"not a checkpoint at all", "not a checkpoint"),
        (pickle.dumps({"a": 1}), "not a checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(content, message, network, tmp_path):
    from workflow.evo.models.activations import verify_checkpoint

    definition, _ = network(4, "relu")
    path = tmp_path / "best.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        verify_checkpoint(path, definition, 10)


def test_a_truncated_checkpoint_and_one_without_a_network_are_refused(network, tmp_path):
    import torch

    from workflow.evo.models.activations import verify_checkpoint

    definition, model = network(4, "relu")
    whole = save(model, tmp_path / "whole.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "weights.pt")
    for name in ("half.pt", "weights.pt"):
        with pytest.raises(UserError, match="checkpoint"):
            verify_checkpoint(tmp_path / name, definition, 10)


# Why the guards exist ----------------------------------------------------------------------------------------------

OPEN = "import sys; from ultralytics.nn.tasks import DetectionModel; DetectionModel(sys.argv[1], verbose=False)"


def test_plain_ultralytics_runs_what_a_model_file_says_and_safe_mode_does_not(tmp_path):
    hostile = "\"__import__('os').system('touch canary')\""
    (tmp_path / "mine.yaml").write_text(GOOD.replace("torch.nn.ReLU()", hostile))
    environment = {**os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(tmp_path)}
    for safe, canary in (("0", True), ("1", False)):
        (tmp_path / "canary").unlink(missing_ok=True)
        subprocess.run(
            [quick_python(), "-c", OPEN, "mine.yaml"],
            cwd=tmp_path,
            env={**environment, "ULTRALYTICS_SAFE_LOAD": safe},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert (tmp_path / "canary").exists() is canary


def test_a_build_outside_of_safe_mode_is_refused(network, monkeypatch):
    from ultralytics import utils

    from workflow.evo.models.build import build

    definition, _ = network(4, "relu")
    monkeypatch.setattr(utils, "SAFE_LOAD", False)
    with pytest.raises(RuntimeError, match="without ULTRALYTICS_SAFE_LOAD"):
        build(definition, 3)
