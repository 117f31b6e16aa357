"""The deploy bundle: complete, consistent, safe for any class name, and written as a whole."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.unit.npu_documents import compatibility, metadata, metrics_int8, save_model
from tests.unit.synthetic import CLASSES, split_metrics, write_metrics, write_training
from workflow.evo.deploy import bundle
from workflow.evo.deploy.header import c_float, c_string
from workflow.evo.errors import EvoError, UserError
from workflow.evo.evaluation.interpreter import quantise
from workflow.evo.files import sha256_file, write_json

BOARD = "preset-u55-256"
HOSTILE = (
    'quote " and \\ backslash',
    'line\nbreak\r\n#error "out"',
    "??/ trigraph ??'",
    "*/ int evil; /*",
    "é漢\x00\x07",
    "{{ 7 * 7 }} %s | <b>`x`</b>",
    "",
)
COMPILER = shutil.which("cc")


@pytest.fixture
def finished(session):
    """Return a function that writes all results of a variant and returns its layout."""

    def write(names=CLASSES, **changes):
        layout = session.layout.variant("level4_relu")
        training = write_training(session, "level4_relu")
        best = training["weights"]["best"]
        write_metrics(session, "level4_relu", split_metrics(0.43, names), None, best)
        save_model(layout.model_int8, metadata(names))
        document = metadata(names, sha256=sha256_file(layout.model_int8))
        write_json(layout.npu_metadata, "npu_metadata", document)
        write_json(layout.metrics_int8, "metrics_int8", metrics_int8(document["sha256"], best, names))
        place = layout.board(BOARD)
        save_model(
            place.compiled, {**document, "outputs": [{**o, "name": "x" + o["name"]} for o in document["outputs"]]}
        )
        hashes = (document["sha256"], sha256_file(place.compiled))
        write_json(place.compatibility, "compatibility", compatibility(*hashes, **changes))
        return layout

    return write


def card(layout):
    bundle.build(layout, BOARD)
    return (layout.board(BOARD).deploy / "MODEL_CARD.md").read_text()


def test_the_folder_holds_everything_and_nothing_else(finished):
    layout = finished()
    deploy = layout.board(BOARD).deploy
    names = bundle.build(layout, BOARD)
    assert sorted(names) == sorted(path.name for path in deploy.iterdir())
    assert sorted(names) == [
        "MODEL_CARD.md", "decode.py", "labels.txt", "metadata.json", "model.h", "model_int8_vela.tflite",
    ]  # fmt: skip
    assert (deploy / "metadata.json").read_bytes() == layout.npu_metadata.read_bytes()
    assert (deploy / "decode.py").read_bytes() == (bundle.TEMPLATES / "decode.py").read_bytes()
    assert sha256_file(deploy / "model_int8_vela.tflite") == sha256_file(layout.board(BOARD).compiled)
    assert (deploy / "labels.txt").read_text() == "red cell\nwhite cell\nplatelet\n"


def test_the_card_tells_measured_from_estimated(finished):
    text = card(finished())
    accuracy, _, rest = text.partition("## Placement")
    assert "| val | mAP50-95 | 0.430 | 0.410 | 0.400 | -0.010 |" in accuracy
    assert "Vela" not in accuracy.partition("## Accuracy: measured on a host")[2].replace("the model before Vela", "")
    speed = rest.partition("## Speed and memory: Vela's estimate")[2].partition("##")[0]
    assert "| Latency of one inference | 4.90 ms at 500 MHz | |" in speed
    assert "Estimate by Vela 5.2.0" in speed
    assert "Nothing here was measured on a device." in speed
    assert "The highest class probability that the int8 outputs can represent is 0.999." in text
    assert "Colour values above" not in text
    assert "no split test" in text


def test_the_card_names_what_stays_on_the_cpu_and_what_does_not_fit(finished):
    base = compatibility("0" * 64, "0" * 64)
    text = card(
        finished(
            ops_percent=99.0,
            macs_percent=None,
            operators={"source": 100, "cpu": 1},
            cpu_operators=[{"name": "a|b", "type": "LEAKY_RELU", "reason": None}],
            estimate={**base["estimate"], "cycles": None, "latency_ms": None, "covers_all_operators": False},
            memory={**base["memory"], "sram": {"used_kib": 4000, "budget_kib": 2048, "fits": False}},
        )
    )
    assert "99 of 100 operators run on the NPU (99.0 %), in 1 block." in text
    assert "| LEAKY_RELU | a\\|b | no reason given |" in text
    assert "none: nothing runs on the NPU" in text
    assert "The time of the operators left to the CPU is not in it." in text
    assert "**The model does not fit into the SRAM of the board.**" in text


def test_an_input_that_clips_bright_colours_is_on_the_card():
    document = metadata()
    document["input"]["scale"] = 0.0035567046
    assert bundle.highest_colour(document) == 232
    for output in document["outputs"]:
        output["zero_point"] = 127
    assert bundle.highest_score(document) == 0.5


def test_hostile_class_names_stay_text_in_every_file(finished):
    layout = finished(HOSTILE)
    text = card(layout)
    deploy = layout.board(BOARD).deploy
    labels = (deploy / "labels.txt").read_text().split("\n")
    assert labels[-1] == "" and len(labels) == len(HOSTILE) + 1
    assert labels[1] == 'line break #error "out"'
    assert "49" not in labels[5] and "{{ 7 \\* 7 }}" in text
    assert "<b>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|") and "trigraph" in line]
    assert len(rows) == 2  # the list of classes, and the table of their AP


def test_strings_of_the_header_are_one_literal_each():
    assert c_string('a"\\?') == '"a\\"\\\\\\?"'
    assert c_string("é7") == '"\\303\\2517"'
    assert c_string("\n") == '"\\012"'
    for text in HOSTILE:
        assert ast.literal_eval("b" + c_string(text).replace("\\?", "?")) == text.encode()


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.0f"), (1e-5, "1e-05f"), (0.0035567046143114567, "0.0035567046f"), (1e20, "1e+20f")]
)
def test_floats_of_the_header_are_exact(value, text):
    assert c_float(value) == text
    assert np.float32(text[:-1]) == np.float32(value)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize("names", [CLASSES, HOSTILE], ids=["plain", "hostile"])
def test_the_header_compiles_twice_included_and_on_its_own(tmp_path, names):
    (tmp_path / "model.h").write_text(bundle.render_header(metadata(names), "f" * 64))
    (tmp_path / "main.c").write_text('#include "model.h"\n#include "model.h"\nint main(void) { return 0; }\n')
    for file in ("model.h", "main.c"):
        command = [COMPILER, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", file]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize("scale", [1 / 255, 0.0035567046, 0.00213])
def test_c_sees_the_same_names_grids_and_pixels_as_python(tmp_path, scale):
    document = metadata(HOSTILE, reg_max=16)
    document["input"]["scale"] = float(np.float32(scale))
    (tmp_path / "model.h").write_text(bundle.render_header(document, "f" * 64))
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "model.h"\nint main(void) {\n'
        '  for (int i = 0; i < 256; i++) printf("%d ", evo_quantise((uint8_t)i));\n'
        "  for (int i = 0; i < EVO_FEATURE_MAP_COUNT; i++) {\n"
        "    const evo_feature_map_t *l = &EVO_FEATURE_MAPS[i];\n"
        '    printf("%d %d %d %d %.9g %d %d %.9g %d ", (int)l->stride, (int)l->height, (int)l->width,\n'
        "      (int)l->box.index, l->box.scale, (int)l->box.zero_point,\n"
        "      (int)l->classes.index, l->classes.scale, (int)l->classes.zero_point);\n  }\n"
        '  printf("%d %d", EVO_CELL_COUNT, EVO_REG_MAX);\n'
        "  for (int i = 0; i < EVO_CLASS_COUNT; i++) {\n"
        '    printf("\\n");\n'
        '    for (const char *c = EVO_CLASS_NAMES[i]; *c; c++) printf("%02x", (unsigned char)*c);\n  }\n'
        "  return 0;\n}\n"
    )
    subprocess.run([COMPILER, "-std=c11", "-Wall", "-Werror", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    numbers, *names = subprocess.check_output([tmp_path / "main"], text=True).split("\n")
    colours = quantise(np.arange(256, dtype=np.float32) / np.float32(255), scale, -128).tolist()
    levels = []
    for box, classes in ((1, 2), (3, 0)):
        entry = document["outputs"][box]
        levels += [entry["stride"], *entry["shape"][1:3]]
        for output in (entry, document["outputs"][classes]):
            levels += [output["index"], pytest.approx(output["scale"], rel=1e-8), output["zero_point"]]
    assert [float(number) for number in numbers.split()] == [*colours, *levels, 64 + 16, 16]
    assert [bytes.fromhex(name) for name in names] == [name.encode().split(b"\0")[0] for name in HOSTILE]


def test_figures_of_other_weights_or_another_model_are_refused(finished):
    layout = finished()
    document = metrics_int8("1" * 64, "2" * 64)
    write_json(layout.metrics_int8, "metrics_int8", document)
    with pytest.raises(EvoError, match=r"metrics_int8\.json: figures of another file") as caught:
        bundle.build(layout, BOARD)
    assert "\n" not in str(caught.value)
    assert not layout.board(BOARD).deploy.exists()


def test_a_changed_compiled_model_is_refused(finished):
    layout = finished()
    document = metadata(sha256=sha256_file(layout.model_int8))
    save_model(layout.board(BOARD).compiled, document)
    with pytest.raises(EvoError, match=r"compatibility\.json: figures of another file"):
        bundle.build(layout, BOARD)


@pytest.mark.parametrize("change", ["order", "scale", "missing"])
def test_a_compiler_that_changed_the_outputs_is_noticed(tmp_path, change):
    document, compiled = metadata(), metadata()
    if change == "order":
        compiled["outputs"] = [compiled["outputs"][index] for index in (1, 0, 2, 3)]
    elif change == "scale":
        compiled["outputs"][2]["scale"] *= 2
    else:
        compiled["outputs"].pop()
    path = save_model(tmp_path / "compiled.tflite", compiled)
    with pytest.raises(EvoError, match=r"metadata\.json describes"):
        bundle.check_ports(path, document)


def test_a_folder_is_replaced_as_a_whole_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "deploy"
    bundle.write_folder(target, {"a": "1", "b": b"2"})
    bundle.write_folder(target, {"a": "3"})
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a": "3"}
    assert [path.name for path in tmp_path.iterdir()] == ["deploy"]


def test_a_failure_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / "deploy"
    bundle.write_folder(target, {"a": "1"})
    real = bundle.write_atomically

    def fail(path, content):
        if path.name == "b":
            raise EvoError("no space left")
        real(path, content)

    monkeypatch.setattr(bundle, "write_atomically", fail)
    with pytest.raises(EvoError, match="no space left"):
        bundle.write_folder(target, {"a": "2", "b": "3"})
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["deploy"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="not allowed to write while writing the bundle"):
            bundle.write_folder(tmp_path / "deploy", {"a": "1"})
    finally:
        tmp_path.chmod(0o700)


def test_the_bundled_decoder_needs_numpy_only():
    tree = ast.parse((bundle.TEMPLATES / "decode.py").read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for a in node.names}
    assert imported == {"numpy"}


def test_importing_the_bundle_needs_no_torch():
    code = "import sys, workflow.evo.deploy.bundle, workflow.evo.evaluation.int8; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=bundle.TEMPLATES.parents[3], check=False).returncode == 0
