import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow.evo.config.variants import ACTIVATIONS
from workflow.evo.models.expressions import CLASSES, SILU, NotAnActivationError, activation, parse


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("torch.nn.ReLU()", "ReLU", {"inplace": False}),
        ("nn.ReLU()", "ReLU", {"inplace": False}),
        (" torch.nn.ReLU ( ) ", "ReLU", {"inplace": False}),
        ("torch.nn.ReLU(inplace=True)", "ReLU", {"inplace": True}),
        ("torch.nn.LeakyReLU(0.1)", "LeakyReLU", {"negative_slope": 0.1, "inplace": False}),
        ("torch.nn.LeakyReLU()", "LeakyReLU", {"negative_slope": 0.01, "inplace": False}),
        ("nn.LeakyReLU(negative_slope=1e-1, inplace=True)", "LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
        ("nn.LeakyReLU(0.1, True)", "LeakyReLU", {"negative_slope": 0.1, "inplace": True}),
        ("nn.ELU(2)", "ELU", {"alpha": 2.0, "inplace": False}),
        ("nn.GELU()", "GELU", {}),
    ],
)
def test_an_activation_is_read_with_every_argument(text, name, arguments):
    found = parse(text)
    assert (found.name, dict(found.arguments)) == (name, arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("torch.nn.LeakyReLU(0.1, False, 3)", "takes at most 2 arguments, not 3"),
        ("torch.nn.LeakyReLU(slope=0.1)", "has no argument 'slope', did you mean 'negative_slope'?"),
        ("torch.nn.LeakyReLU(0.1, negative_slope=0.2)", "'negative_slope' of 'torch.nn.LeakyReLU' is given twice"),
        ("torch.nn.LeakyReLU(True)", "'negative_slope' must be a number, not True"),
        ("torch.nn.LeakyReLU('0.1')", "'negative_slope' must be a number"),
        ("torch.nn.LeakyReLU(-0.1)", "'negative_slope=-0.1' must be between 0 and 1"),
        ("torch.nn.LeakyReLU(0)", "'negative_slope=0' must be between 0 and 1"),
        ("torch.nn.LeakyReLU(1e999)", "'negative_slope=inf' must be between 0 and 1"),
        ("torch.nn.LeakyReLU(1j)", "'negative_slope' must be a number"),
        ("torch.nn.ReLU(1)", "'inplace' must be True or False, not 1"),
        ("torch.nn.GELU('tanh')", "takes at most 0 arguments, not 1"),
        ("torch.nn.GELU(x=1)", "has no argument 'x', it has none"),
        ("torch.nn.SELU()", "'torch.nn.SELU' is not an allowed activation, did you mean 'ELU'?"),
        ("torch.nn.LekyRelu()", "did you mean 'LeakyReLU'?"),
        ("torch.nn.Identity()", "is not an allowed activation"),
        ("torch.ReLU()", "only torch.nn.Class(numbers) is read"),
        ("ReLU()", "only torch.nn.Class(numbers) is read"),
        ("torch.nn.functional.relu", "only torch.nn.Class(numbers) is read"),
        ("leaky", "did you mean 'torch.nn.LeakyReLU()'?"),
        ("", "only torch.nn.Class(numbers) is read"),
    ],
)
def test_anything_else_is_refused_with_the_nearest_valid_answer(text, message):
    with pytest.raises(NotAnActivationError) as refused:
        parse(text)
    assert message in str(refused.value)


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail_in_another_way(text):
    try:
        found = parse(text)
    except NotAnActivationError:
        return
    assert found.name in CLASSES


@given(st.floats(0.001, 0.999), st.booleans())
def test_what_is_written_is_what_is_read(slope, inplace):
    found = parse(f"torch.nn.LeakyReLU({slope!r}, inplace={inplace})")
    assert dict(found.arguments) == {"negative_slope": slope, "inplace": inplace}


def test_an_activation_shows_what_it_computes():
    shown = {name: str(parse(ACTIVATIONS[name].expression)) for name in ("relu", "leaky", "silu")}
    assert shown == {"relu": "ReLU", "leaky": "LeakyReLU(0.1)", "silu": "SiLU"}
    assert parse("nn.ReLU(True)").function == parse("nn.ReLU(False)").function
    assert parse("nn.SiLU()") == SILU == activation("SiLU")
    assert set(CLASSES) >= {"ReLU", "LeakyReLU", "SiLU"}
