import pytest

from tests.unit.model_files import FILES, STEMS, line_of, refusal, write
from workflow.evo.config.variants import ACTIVATIONS, GRID, LEVEL_SCOPES, PARTS, model_file
from workflow.evo.errors import UserError
from workflow.evo.models.definition import load_definition
from workflow.evo.models.expressions import parse

SPPF = "- [-1, 1, SPPF, [1024, 5]]"
UPSAMPLE = '- [-1, 1, nn.Upsample, [None, 2, "nearest"]]'
DETECT = "- [[15, 18, 21], 1, Detect, [nc]]"
SCALES = "scales:\n  # [depth, width, max_channels]\n  n: [0.33, 0.25, 512]\n"


@pytest.mark.parametrize(("level", "activation"), GRID)
def test_a_model_of_the_grid_is_what_its_name_says(level, activation):
    definition = load_definition(model_file(level, activation))
    assert definition.level == level
    assert definition.scope == LEVEL_SCOPES[level]
    assert definition.activation == parse(ACTIVATIONS[activation].expression)
    assert definition.max_channels == (1024 if level == 1 else 512)
    assert definition.reg_max == (16 if level < 3 else 1)
    assert (definition.depth, definition.width, definition.nc) == (0.33, 0.25, 80)
    assert [definition.part_of(i) for i in (0, 9, 10, 21, 22)] == ["backbone", "backbone", "neck", "neck", "detect"]


def test_parts_outside_the_scope_are_promised_silu():
    definition = load_definition(model_file(2, "leaky"))
    promised = {part: str(activation) for part, activation in definition.activations.items()}
    assert promised == {"backbone": "LeakyReLU(0.1)", "neck": "SiLU", "detect": "SiLU"}


def test_without_an_npu_block_the_activation_is_promised_everywhere(tmp_path):
    path = write(tmp_path, ("npu: {level: 4, activation_scope: [backbone, neck, detect]}\n", ""))
    definition = load_definition(path)
    assert (definition.level, definition.scope) == (None, PARTS)


def test_without_an_activation_silu_is_promised_everywhere(tmp_path):
    path = write(tmp_path, ("activation: torch.nn.ReLU()\n", ""), ("npu: {level: 4,", "# {"))
    assert {str(a) for a in load_definition(path).activations.values()} == {"SiLU"}


def test_all_problems_of_a_file_are_told_at_once_with_their_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(
        tmp_path,
        ("nc: 80", "nc: 0"),
        ("activation: torch.nn.ReLU()", "activation: torch.nn.Relu()"),
        ("reg_max: 1 ", "regmax: 1 "),
        ("- [-1, 6, C2f, [512, True]]", "- [-1, 6, C2F, [512, True]]"),
        (SPPF, "- [-1, 1, SPPF, [1024, 4]]"),
        ("- [[-1, 12], 1, Concat, [1]]", "- [[-1, 99], 1, Concat, [1]]"),
    )
    text = path.read_text()
    assert refusal(path) == [
        f"mine.yaml:{line_of(text, 'nc: 0')}: 'nc' must be a whole number, 1 to 10000, not 0",
        f"mine.yaml:{line_of(text, 'Relu')}: activation: 'torch.nn.Relu' is not an allowed activation, "
        "did you mean 'ReLU'?",
        f"mine.yaml:{line_of(text, 'regmax')}: unknown key 'regmax', did you mean 'reg_max'?",
        f"mine.yaml:{line_of(text, 'C2F')}: layer 6: unknown module 'C2F', did you mean 'C2f'?",
        f"mine.yaml:{line_of(text, '1024, 4')}: layer 9: SPPF: 'k' must be an odd kernel size, 1 to 15, not 4",
        f"mine.yaml:{line_of(text, '99')}: layer 17: 'from' 99 is not built yet, valid: -17 to 16",
    ]


def test_a_wrong_activation_does_not_hide_maps_that_do_not_fit(tmp_path):
    path = write(tmp_path, ("torch.nn.ReLU()", "swish"), ("[[-1, 6], 1", "[[-1, 4], 1"))
    lines = refusal(path)
    assert "'swish'" in lines[0]
    assert "Concat of maps of different strides (layer 10 stride 16, layer 4 stride 8)" in lines[1]


PROBLEMS = {
    "class count as text": (("nc: 80", "nc: '80'"), "'nc' must be a whole number, 1 to 10000, not '80'"),
    "class count as flag": (("nc: 80", "nc: true"), "'nc' must be a whole number, 1 to 10000, not True"),
    "no class count": (("nc: 80", "# nc"), "the key 'nc' is missing"),
    "no backbone": (("backbone:", "backbones:"), "unknown key 'backbones', did you mean 'backbone'?"),
    "empty head": (("head:", "head: []\nnpu2:"), "'head' must be a list of layers"),
    "reg_max as a fraction": (("reg_max: 1 ", "reg_max: 1.5 "), "'reg_max' must be a whole number, 1 to 64, not 1.5"),
    "end2end as a word": (("reg_max: 1 ", "end2end: maybe "), "'end2end' must be true or false, not 'maybe'"),
    "scale of two": (("[0.33, 0.25, 512]", "[0.33, 0.25]"), "scale 'n' must be [depth, width, max_channels]"),
    "scale with width 0": (
        ("0.33, 0.25,", "0.33, 0,"),
        "width of scale 'n' must be a factor above 0 and up to 4, not 0",
    ),
    "scale with text": (("0.33, 0.25,", "wide, 0.25,"), "depth of scale 'n' must be a factor above 0 and up to 4"),
    "scale without a limit": ((", 512]\n", ", null]\n"), "max_channels of scale 'n' must be 8 to 65536, not null"),
    "scales as a list": ((SCALES, "scales: [0.33, 0.25, 512]\n"), "'scales' must be a table such as"),
    "scale that is overruled": (
        (SCALES, SCALES + "scale: s\n"),
        "'scale: s' would be overruled: Ultralytics takes 'n'",
    ),
    "factor beside scales": (
        (SCALES, SCALES + "width_multiple: 1\n"),
        "'width_multiple' is ignored where there is 'scales'",
    ),
    "activation without call": (("ReLU()", "ReLU"), "'torch.nn.ReLU' is a class, call it: torch.nn.ReLU()"),
    "activation by its short name": (("torch.nn.ReLU()", "relu"), "did you mean 'torch.nn.ReLU()'?"),
    "activation as a number": (("torch.nn.ReLU()", "1"), "1 is not an activation, write for example torch.nn.ReLU()"),
    "unknown level": (("level: 4", "level: 5"), "unknown level 5, valid: 1, 2, 3, 4"),
    "level as text": (("level: 4", "level: four"), "unknown level 'four'"),
    "unknown part": (("neck, detect]", "neck, detekt]"), "unknown part 'detekt', did you mean 'detect'?"),
    "part named twice": (("[backbone, neck", "[backbone, neck, neck"), "'activation_scope' names a part twice"),
    "scope of another level": (
        ("[backbone, neck, detect]", "[backbone]"),
        "level 4 means activation_scope [backbone, neck",
    ),
    "no scope": ((", activation_scope: [backbone, neck, detect]", ""), "'npu' needs 'activation_scope'"),
    "scope as text": (
        ("[backbone, neck, detect]", "all"),
        "'activation_scope' must be a list of backbone, neck, detect",
    ),
    "unknown npu key": (("npu: {level", "npu: {lvl"), "unknown key 'lvl' in 'npu', did you mean 'level'?"),
    "npu as text": (
        ("npu: {level: 4, activation_scope: [backbone, neck, detect]}", "npu: u55"),
        "'npu' must be a table",
    ),
    "scope without activation": (("activation: torch", "# torch"), "but the key 'activation' is missing"),
    "from that is not built yet": (("[[-1, 6], 1", "[[-1, 12], 1"), "layer 11: 'from' 12 is not built yet"),
    "from too far back": (("[[-1, 6], 1", "[[-1, -12], 1"), "layer 11: 'from' -12 is out of range, valid: -11 to 10"),
    "from in the first layer": (
        ("- [-1, 1, Conv, [64", "- [0, 1, Conv, [64"),
        "layer 0: 'from' must be -1, the image, not 0",
    ),
    "from of itself": (("[[-1, 6], 1", "[[-1, 11], 1"), "layer 11: 'from' 11 is not built yet"),
    "a list where one layer is meant": ((SPPF, "- [[-1, 2], 1, SPPF, [1024, 5]]"), "'from' of SPPF must be one layer"),
    "one layer where a list is meant": (("[[-1, 6], 1", "[-1, 1"), "'from' of Concat must be a list of layers"),
    "from nothing": (("[[-1, 6], 1", "[[], 1"), "layer 11: 'from' is an empty list"),
    "from as a fraction": (("[[-1, 6], 1", "[[-1, 6.0], 1"), "'from' must be a layer's number, not 6.0"),
    "repeats 0": (
        ("- [-1, 3, C2f, [128", "- [-1, 0, C2f, [128"),
        "layer 2: repeats must be a whole number, 1 to 64, not 0",
    ),
    "repeats as flag": (
        ("- [-1, 3, C2f, [128", "- [-1, true, C2f, [128"),
        "repeats must be a whole number, 1 to 64, not True",
    ),
    "repeated Concat": (("[[-1, 6], 1", "[[-1, 6], 2"), "Concat cannot be repeated, repeats must be 1"),
    "channels 0": ((SPPF, "- [-1, 1, SPPF, [0, 5]]"), "'c2' must be a whole number of channels, 1 to 4096, not 0"),
    "channels -64": (
        (SPPF, "- [-1, 1, SPPF, [-64, 5]]"),
        "'c2' must be a whole number of channels, 1 to 4096, not -64",
    ),
    "channels 64.0": (
        (SPPF, "- [-1, 1, SPPF, [64.0, 5]]"),
        "'c2' must be a whole number of channels, 1 to 4096, not 64.0",
    ),
    "channels as text": (
        (SPPF, "- [-1, 1, SPPF, ['64', 5]]"),
        "'c2' must be a whole number of channels, 1 to 4096, not '64'",
    ),
    "no channels": ((SPPF, "- [-1, 1, SPPF, []]"), "layer 9: SPPF needs the argument 'c2'"),
    "too many arguments": (
        (SPPF, "- [-1, 1, SPPF, [64, 5, 3, True, 1]]"),
        "given 5 arguments, it takes at most 4 (c2, k, n, sh",
    ),
    "arguments that take none": (
        (SPPF, "- [-1, 1, nn.Identity, [1]]"),
        "nn.Identity is given 1 arguments, it takes none",
    ),
    "arguments as a number": ((SPPF, "- [-1, 1, SPPF, 1024]"), "layer 9: the arguments of SPPF must be a list"),
    "a row of three": ((SPPF, "- [-1, SPPF, [1024, 5]]"), "must be [from, repeats, module, arguments], not 3 entries"),
    "a row of words": ((SPPF, "- SPPF"), "must be [from, repeats, module, arguments], not 'SPPF'"),
    "number as flag": (("C2f, [128, True]", "C2f, [128, 1]"), "C2f: 'shortcut' must be True or False, not 1"),
    "activation of one layer": (
        ("Conv, [64, 3, 2]", 'Conv, [64, 3, 2, None, 1, 1, "nn.ReLU()"]'),
        "a string as the activation of one layer ('nn.ReLU()') becomes no activation at all in Ultralytics (Identity",
    ),
    "unknown upsampling": (('"nearest"', '"cubic"'), "'mode' must be 'nearest' or 'bilinear', not 'cubic'"),
    "upsampling to a size": ((UPSAMPLE, "- [-1, 1, nn.Upsample, [64, 2]]"), "nn.Upsample: 'size' must be None, not 64"),
    "concatenation of rows": (
        ("[[-1, 6], 1, Concat, [1]]", "[[-1, 6], 1, Concat, [2]]"),
        "must be 1, the channels, not 2",
    ),
    "classes in the head": ((DETECT, "- [[15, 18, 21], 1, Detect, [80]]"), "must be the word nc: training replaces it"),
    "no Detect": ((DETECT, "- [-1, 1, Conv, [64]]"), "the last layer of 'head' must be Detect"),
    "another head": (("1, Detect, [nc]", "1, Segment, [nc, 32, 256]"), "unknown module 'Segment'"),
    "two Detect": ((SPPF, "- [[7, 8], 1, Detect, [nc]]"), "layer 9: Detect must be the one last layer of 'head'"),
    "Detect of nothing": ((DETECT, "- [[], 1, Detect, [nc]]"), "layer 22: 'from' is an empty list"),
}


@pytest.mark.parametrize(("change", "message"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_a_mistake_is_refused_with_its_reason(change, message, tmp_path):
    path = write(tmp_path, change)
    assert any(message in line for line in refusal(path)), refusal(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("npu_level3_scales_backbone_head_relu", "mine: the file name says level 3, 'npu' says level 4"),
        (
            "npu_level4_activation_leaky",
            "the file name says leaky, which is torch.nn.LeakyReLU(0.1), the file says ReLU",
        ),
        ("npu_level4_activation_leaked", "no model of the grid is named 'npu_level4_activation_leaked.yaml'"),
        ("npu_level4_activation_leaked", "did you mean 'npu_level4_activation_leaky'?"),
        ("npu_level2_activation_relu", "no model of the grid is named"),
        ("npu_level9_activation_relu", "did you mean 'npu_level4_activation_relu'?"),
    ],
)
def test_a_file_of_the_grid_is_held_against_its_name(name, message, tmp_path):
    path = write(tmp_path, name=f"{name}.yaml")
    assert any(message.removeprefix("mine: ") in line for line in refusal(path))


def test_another_slope_is_not_the_leaky_variant(tmp_path):
    text = model_file(2, "leaky").read_text()
    path = write(tmp_path, ("LeakyReLU(0.1)", "LeakyReLU(0.2)"), name=model_file(2, "leaky").name, text=text)
    assert "which is torch.nn.LeakyReLU(0.1), the file says LeakyReLU(0.2)" in refusal(path)[0]


@pytest.mark.parametrize(
    ("level", "change", "message"),
    [
        (2, ("0.25, 512]", "0.25, 1024]"), "level 2 limits max_channels to 512, not 1024"),
        (3, ("reg_max: 1 ", "reg_max: 16 "), "level 3 has no box distribution: reg_max must be 1"),
        (4, ("reg_max: 1 ", "# "), "level 4 has no box distribution: reg_max must be 1"),
    ],
)
def test_a_level_is_more_than_a_number_in_the_name(level, change, message, tmp_path):
    source = model_file(level, "relu")
    path = write(tmp_path, change, name=source.name, text=source.read_text())
    assert [line.partition(": ")[2] for line in refusal(path)] == [message]


def test_a_missing_file_is_named_by_its_absolute_path_with_the_nearest_one(tmp_path, monkeypatch):
    write(tmp_path, name="npu_level4_activation_leaky.yaml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        load_definition("npu_level4_activation_leaked.yaml")
    wanted = tmp_path / "npu_level4_activation_leaked.yaml"
    assert str(refused.value) == f"model file not found: {wanted} — did you mean 'npu_level4_activation_leaky.yaml'?"


def test_the_scale_comes_from_the_file_name_as_in_ultralytics(tmp_path):
    two = ("  n: [0.33, 0.25, 512]", "  n: [0.33, 0.25, 512]\n  s: [0.33, 0.5, 512]")
    assert load_definition(write(tmp_path, two, name="mine.yaml")).scale == "n"
    small = load_definition(write(tmp_path, two, name="yolov8s_relu.yaml"))
    assert (small.scale, small.width) == ("s", 0.5)
    assert "takes scale 'm' from the file name 'yolov8m'" in refusal(write(tmp_path, two, name="yolov8m.yaml"))[0]


def test_old_style_factors_are_read(tmp_path):
    path = write(tmp_path, (SCALES, "depth_multiple: 0.33\nwidth_multiple: 0.25\n"))
    definition = load_definition(path)
    assert (definition.scale, definition.depth, definition.width) == (None, 0.33, 0.25)
    assert definition.max_channels == float("inf")


def test_many_problems_are_cut_short_and_counted(tmp_path):
    rows = "".join(f"bad{i}: 1\n" for i in range(100))
    lines = refusal(write(tmp_path, ("nc: 80", rows + "nc: 80")))
    assert len(lines) == 41
    assert lines[-1] == "… and 60 more"


def test_every_name_that_the_grid_can_ask_for_is_one_of_the_valid_stems():
    assert {path.stem for path in FILES} <= set(STEMS)
