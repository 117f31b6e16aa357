"""Our own count of a LiteRT model."""

import random

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.unit.litert_models import B, Builder, T, island
from workflow.evo.errors import EvoError
from workflow.evo.npu.flatbuffer import activations, float_islands, io, read_model, read_operators


def convolution(path, fused=schema.ActivationFunctionType.RELU):
    """8×8×3 → 4×4×16 by 3×3, then a depthwise 3×3 and a dense layer."""
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 2
    options.fusedActivationFunction = fused
    weights = np.zeros((16, 3, 3, 3), np.int8)
    builder = Builder()
    builder.tensor("image", [1, 8, 8, 3], scale=0.5, zero=-128)
    builder.tensor("w", weights.shape, scale=0.1, data=weights).tensor("b", [16], T.INT32, data=np.zeros(16, np.int32))
    builder.tensor("map", [1, 4, 4, 16], scale=0.25, zero=3)
    builder.operator(B.CONV_2D, ["image", "w", "b"], ["map"], options)
    builder.tensor("dw", [1, 3, 3, 16], scale=0.1, data=np.zeros((1, 3, 3, 16), np.int8))
    builder.tensor("deep", [1, 4, 4, 16], scale=0.25)
    builder.operator(B.DEPTHWISE_CONV_2D, ["map", "dw"], ["deep"], schema.DepthwiseConv2DOptionsT())
    builder.tensor("fw", [10, 256], scale=0.1, data=np.zeros((10, 256), np.int8)).tensor("scores", [1, 10], scale=1.0)
    builder.operator(B.FULLY_CONNECTED, ["deep", "fw"], ["scores"], schema.FullyConnectedOptionsT())
    return builder.save(path, ["image"], ["scores"])


def test_operators_are_read_with_their_multiply_accumulates(tmp_path):
    found = read_operators(convolution(tmp_path / "m.tflite"))
    assert [(o.index, o.type, o.name, o.macs, o.output_shape) for o in found] == [
        (0, "CONV_2D", "map", 4 * 4 * 16 * 27, (1, 4, 4, 16)),
        (1, "DEPTHWISE_CONV_2D", "deep", 4 * 4 * 16 * 9, (1, 4, 4, 16)),
        (2, "FULLY_CONNECTED", "scores", 2560, (1, 10)),
    ]
    assert found[0].input_types == ("INT8",), "constants are no inputs"


def test_inputs_and_outputs_have_their_quantisation(tmp_path):
    (image,), (scores,) = io(convolution(tmp_path / "m.tflite"))
    assert (image.name, image.shape, image.dtype, image.scale, image.zero_point) == (
        "image",
        (1, 8, 8, 3),
        "int8",
        0.5,
        -128,
    )
    assert (scores.scale, scores.zero_point) == (1.0, 0)


def test_activations_are_counted_fused_or_not(tmp_path):
    assert activations(read_operators(convolution(tmp_path / "a.tflite"))) == {"RELU": 1}
    assert activations(read_operators(convolution(tmp_path / "b.tflite", fused=0))) == {}
    assert activations(read_operators(island(tmp_path / "c.tflite"))) == {"LEAKY_RELU": 1}


def test_the_census_of_floating_point(tmp_path):
    assert float_islands(read_operators(convolution(tmp_path / "a.tflite"))) == []
    found = float_islands(read_operators(island(tmp_path / "b.tflite")))
    assert [operator.type for operator in found] == ["DEQUANTIZE", "LEAKY_RELU", "QUANTIZE"]


@pytest.mark.parametrize("content", [b"", b"TFL3", b"no model, but long enough", bytes(64)])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(EvoError, match="not a LiteRT model"):
        read_operators(path)


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(EvoError, match="model not found"):
        read_operators(tmp_path / "m.tflite")


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_model_is_refused_in_one_line(tmp_path, kept):
    whole = convolution(tmp_path / "m.tflite").read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(EvoError, match="LiteRT model") as refused:
        read_operators(path)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("build", [convolution, island])
def test_a_model_of_random_damage_never_ends_in_a_traceback(build, tmp_path):
    """Single bytes and whole offsets overwritten: read, or refused in one line that names the file."""
    good, path = build(tmp_path / "good.tflite").read_bytes(), tmp_path / "damaged.tflite"
    generator, refused = random.Random(0), 0
    for _ in range(400):
        content = bytearray(good)
        for _ in range(generator.choice((1, 1, 4))):
            place = generator.randrange(8, len(content) - 4)
            word = generator.choice((generator.randbytes(1), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x10\0\0\0"))
            content[place : place + len(word)] = word
        path.write_bytes(content)
        for read in (read_operators, io):
            try:
                read(path)
            except EvoError as error:
                refused += 1
                assert str(path) in str(error) and str(error).isprintable()
    assert 100 < refused < 700


def test_an_index_from_the_end_is_damage(tmp_path):
    from ai_edge_litert.tools import flatbuffer_utils

    path = convolution(tmp_path / "m.tflite")
    model = read_model(path)
    model.subgraphs[0].operators[0].outputs[0] = -2
    path.write_bytes(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))
    with pytest.raises(EvoError, match=r"damaged LiteRT model \(IndexError: "):
        read_operators(path)


def test_a_file_too_large_to_be_a_model_is_not_read(tmp_path):
    with (tmp_path / "m.tflite").open("wb") as stream:
        stream.truncate(3 * 2**30)  # sparse: it takes no disk
    with pytest.raises(EvoError, match="3 GiB are too large for a model"):
        read_operators(tmp_path / "m.tflite")
