"""The int8 accuracy is of the kernels that count: LiteRT Micro computes what LiteRT's reference kernels compute."""

from __future__ import annotations

import numpy as np
import pytest

from tools.compare_kernels import micro_outputs
from workflow.evo.config.loading import load_session
from workflow.evo.config.variants import GRID, model_file, variant_name
from workflow.evo.data.digits import draw
from workflow.evo.evaluation.interpreter import Int8Model, quantise
from workflow.evo.host import ultralytics_env
from workflow.evo.models.build import build
from workflow.evo.models.definition import load_definition
from workflow.evo.npu.calibration import noise_images
from workflow.evo.npu.cpu_fallback import cpu_fallback, is_installed
from workflow.evo.npu.export import export_int8
from workflow.evo.npu.flatbuffer import io

SIZE = 64
VARIANTS = [(level, activation) for level, activation in GRID if level > 1]

pytestmark = pytest.mark.skipif(not is_installed(), reason="LiteRT Micro (tflite-micro) is not installed")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return drawn digits as the network sees them: (images, SIZE, SIZE, 3), 0 to 1."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("digits")
    draw(folder, load_session({"digits": {"train": 4, "val": 4, "test": 0, "size": SIZE}}).digits)
    files = sorted((folder / "images" / "val").iterdir())[:2]
    return np.stack([np.asarray(Image.open(file).convert("RGB"), np.float32) / 255 for file in files])


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda cell: variant_name(*cell))
def model(request, tmp_path_factory):
    import torch

    folder = tmp_path_factory.mktemp("kernels")
    with ultralytics_env.offline():
        torch.manual_seed(0)
        network = build(load_definition(model_file(*request.param)), 10)
        for module in network.modules():  # a trained network has other statistics than 0 and 1
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        export_int8(network, SIZE, noise_images(SIZE), folder / "model.tflite", rounding=False)
    return folder / "model.tflite"


def outputs(model, images, kernels: str) -> list[np.ndarray]:
    (image,), ports = io(model)
    described = [{"shape": p.shape, "dtype": p.dtype, "scale": p.scale, "zero_point": p.zero_point} for p in ports]
    metadata = {"input": {"shape": image.shape, "dtype": image.dtype, "scale": image.scale}}
    metadata["input"]["zero_point"] = image.zero_point
    metadata["outputs"] = [{"index": index, **entry} for index, entry in enumerate(described)]
    with Int8Model(model, metadata, 2, kernels) as interpreters:
        return interpreters.run(images)


def test_litert_micro_equals_the_reference_kernels_in_every_element(model, pictures):
    noise = np.random.default_rng(0).random((2, SIZE, SIZE, 3), dtype=np.float32)
    images = np.concatenate([noise, pictures])
    reference, optimised = outputs(model, images, "reference"), outputs(model, images, "optimised")
    (port,), _ = io(model)
    micro = micro_outputs(model, quantise(images, port.scale, port.zero_point))
    assert sum(values.size for values in reference) > 4 * 10 * 64
    for ours, theirs in zip(reference, micro, strict=True):
        assert np.array_equal(ours, theirs)
    different = len(np.unique(np.concatenate([values.ravel() for values in reference])))
    assert different > 15, "outputs that are all the same prove nothing"
    assert any(not np.array_equal(a, b) for a, b in zip(reference, optimised, strict=True))


def test_the_arena_on_a_cpu_is_known(model):
    found = cpu_fallback(model)
    assert 50 < found["arena_kib"] < 4000
    assert found["by"].startswith("tflite-micro ")
