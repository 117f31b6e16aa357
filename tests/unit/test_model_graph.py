import subprocess
import sys

import pytest
import yaml

from tests.unit.model_files import FILES, GOOD, fingerprint, refusal, write
from workflow.evo.config.variants import ROOT, model_file
from workflow.evo.models import graph
from workflow.evo.models.definition import load_definition

SPPF = "- [-1, 1, SPPF, [1024, 5]]"
SCOPE = "[backbone, neck, detect]"


def test_no_two_variants_are_the_same_network():
    assert len({fingerprint(path) for path in FILES}) == len(FILES)


@pytest.mark.parametrize("level", [2, 3, 4])
def test_the_pair_of_a_level_differs_only_in_its_activation(level):
    relu, leaky = (model_file(level, activation).read_text() for activation in ("relu", "leaky"))
    differing = [(a, b) for a, b in zip(relu.splitlines(), leaky.splitlines(), strict=True) if a != b]
    assert all(
        b.replace("torch.nn.LeakyReLU(0.1)", "torch.nn.ReLU()").replace("LeakyReLU", "ReLU") == a for a, b in differing
    )
    assert [a for a, _ in differing if not a.startswith("#")] == ["activation: torch.nn.ReLU()"]
    graphs = [graph.resolve(load_definition(model_file(level, activation)), 10) for activation in ("relu", "leaky")]
    assert graph.describe(graphs[0]) == graph.describe(graphs[1])


def test_levels_differ_in_what_their_table_says():
    layers = {level: graph.resolve(load_definition(model_file(level, "relu"))).layers for level in (2, 3, 4)}
    stock = graph.resolve(load_definition(model_file(1, "silu"))).layers
    assert [layer.channels for layer in stock][5:10] == [128, 128, 256, 256, 256]
    assert [layer.channels for layer in layers[2]][5:10] == [128, 128, 128, 128, 128]
    assert layers[2][-1].arguments["reg_max"] == 16
    assert [layer.channels for layer in layers[4]] == [layer.channels for layer in layers[2]]
    assert layers[3][-1].arguments["reg_max"] == layers[4][-1].arguments["reg_max"] == 1


REWRITES = {
    "a comment": ("backbone:\n", "backbone: # another comment\n"),
    "blank lines": ("head:\n", "\n\nhead:\n"),
    "the title": (GOOD.splitlines()[0], "# another title"),
    "the module path of the activation": ("torch.nn.ReLU()", "nn.ReLU( )"),
    "an absolute layer number": ("[[-1, 6], 1, Concat", "[[10, 6], 1, Concat"),
    "a relative layer number": ("[[-1, 6], 1, Concat", "[[-1, -5], 1, Concat"),
    "a default spelled out": ("Conv, [64, 3, 2]", "Conv, [64, 3, 2, None, 1, 1, True]"),
    "another layout of a list": (SPPF, "- [\n    -1, 1,\n    SPPF, [1024,\n      5]]"),
    "the order of the scope": (SCOPE, "[detect, backbone, neck]"),
    "the classes of the file": ("nc: 80", "nc: 3"),
    "a further scale that is not used": ("512]\n", "512]\n  s: [0.33, 0.5, 512]\n"),
    "the name of the level": ("level: 4, ", ""),
}


@pytest.mark.parametrize("change", REWRITES.values(), ids=REWRITES.keys())
def test_the_same_network_written_otherwise_has_the_same_fingerprint(change, tmp_path):
    assert fingerprint(write(tmp_path, change)) == fingerprint(write(tmp_path))


def test_the_order_of_keys_does_not_change_the_fingerprint(tmp_path):
    document = yaml.safe_load(GOOD)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(dict(reversed(document.items())), sort_keys=False))
    assert fingerprint(path) == fingerprint(write(tmp_path, name="other.yaml"))


@pytest.mark.parametrize("rewrite", [lambda b: b.replace(b"\n", b"\r\n"), lambda b: b"\xef\xbb\xbf" + b])
def test_line_ends_and_marks_of_windows_do_not_change_the_fingerprint(rewrite, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(rewrite(GOOD.encode()))
    assert fingerprint(path) == fingerprint(write(tmp_path, name="other.yaml"))


CHANGES = {
    "the activation": ("torch.nn.ReLU()", "torch.nn.ReLU6()"),
    "the slope": ("torch.nn.ReLU()", "torch.nn.LeakyReLU(0.2)"),
    "the scope": (f"level: 4, activation_scope: {SCOPE}", "activation_scope: [backbone, neck]"),
    "the width": ("0.33, 0.25,", "0.33, 0.5,"),
    "the depth": ("0.33, 0.25,", "1.0, 0.25,"),
    "the limit of channels": ("0.25, 512]", "0.25, 256]"),
    "the bins of the box": ("reg_max: 1 ", "reg_max: 16 "),
    "a second head": ("reg_max: 1 ", "end2end: true\nreg_max: 1 "),
    "a kernel": (SPPF, "- [-1, 1, SPPF, [1024, 3]]"),
    "an activation that appears": (SPPF, "- [-1, 1, SPPF, [1024, 5, 3]]"),
    "a shortcut": ("C2f, [128, True]", "C2f, [128, False]"),
    "a block": ("C2f, [128, True]", "C3, [128, True]"),
    "the repeats": ("- [-1, 6, C2f, [256, True]]", "- [-1, 9, C2f, [256, True]]"),
    "the source of a layer": ("[[-1, 9], 1, Concat", "[[-1, 8], 1, Concat"),
    "the upsampling": ('"nearest"', '"bilinear"'),
    "the maps that are detected on": ("[[15, 18, 21], 1", "[[15, 18], 1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_another_network_has_another_fingerprint(change, tmp_path):
    assert fingerprint(write(tmp_path, change)) != fingerprint(write(tmp_path, name="other.yaml"))


def test_the_classes_of_the_dataset_change_the_fingerprint(tmp_path):
    path = write(tmp_path)
    assert fingerprint(path, 10) != fingerprint(path, 3)


def test_a_broken_file_has_an_identity_that_follows_its_bytes(tmp_path):
    path = write(tmp_path, ("nc: 80", "nc: none"))
    first = graph.identity(path, 10)
    path.write_text(path.read_text() + "# another byte\n")
    assert first.startswith("invalid:") and graph.identity(path, 10).startswith("invalid:")
    assert first != graph.identity(path, 10)
    path.write_text(GOOD)
    assert graph.identity(path, 10) == fingerprint(path, 10)


def test_a_missing_file_has_an_identity_and_raises_nothing(tmp_path):
    assert graph.identity(tmp_path / "none.yaml", 10) == "missing"
    assert graph.identity(tmp_path, 10) == "missing"


MISFITS = {
    "maps of different strides": (
        ("[[-1, 6], 1, Concat", "[[-1, 4], 1, Concat"),
        "layer 11: Concat of maps of different strides (layer 10 stride 16, layer 4 stride 8)",
    ),
    "a chain whose channels do not fit": (
        ("- [-1, 1, Conv, [128, 3, 2]]", "- [-1, 9, Conv, [128, 3, 2]]"),
        "layer 1: Conv in a chain of 3 needs as many channels out (32) as in (16)",
    ),
    "groups that do not divide": (
        ("Conv, [128, 3, 2]", "Conv, [128, 3, 2, None, 3]"),
        "layer 1: Conv cannot split 16 channels into 3 groups",
    ),
    "attention that changes the channels": (
        (SPPF, "- [-1, 1, C2PSA, [256]]"),
        "layer 9: C2PSA needs as many channels out (64) as in (128)",
    ),
    "a block without channels": (
        ("C2f, [128, True]", "C2f, [128, True, 1, 0.01]"),
        "layer 2: C2f with e=0.01 has no hidden channels",
    ),
    "nothing left of the image": (
        (SPPF, "- [-1, 1, nn.MaxPool2d, [15, 1]]"),
        "layer 9: nn.MaxPool2d leaves maps of -6 pixels from an image of 256",
    ),
    "too much padding": (
        (SPPF, "- [-1, 1, nn.MaxPool2d, [3, 1, 2]]"),
        "the padding of nn.MaxPool2d may be half its kernel size at most",
    ),
    "a stride that is not a whole number": (
        ("- [-1, 1, Conv, [64, 3, 2]]", "- [-1, 1, Conv, [64, 3, 3]]"),
        "Detect reads layer 21 of stride",
    ),
}


@pytest.mark.parametrize(("change", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_layers_that_do_not_fit_together_are_refused_before_anything_is_built(change, message, tmp_path):
    lines = refusal(write(tmp_path, change))
    assert any(message in line for line in lines), lines


def test_a_network_that_no_memory_holds_is_refused(tmp_path):
    text = GOOD.replace("0.33, 0.25, 512]", "4, 4, 65536]")
    assert "weights, too many (limit 500,000,000)" in refusal(write(tmp_path, text=text.replace("1024", "4096")))[0]


def test_the_check_imports_neither_torch_nor_ultralytics():
    code = (
        "import sys; from workflow.evo.models import graph; from workflow.evo.config.variants import model_file; "
        "graph.identity(model_file(4, 'relu'), 10); import workflow.evo.models.activations; "
        "sys.exit(any(name.split('.')[0] in ('torch', 'ultralytics', 'numpy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
