import itertools
import json
from pathlib import Path

import pytest

from workflow.evo.config import variants
from workflow.evo.config.loading import convert_overrides, load_session, load_session_files, merge, read_yaml
from workflow.evo.errors import UserError

GRID = ["level2_relu", "level2_leaky", "level3_relu", "level3_leaky", "level4_relu", "level4_leaky"]


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """A folder with the names of the repository's model files: this module reads names only."""
    folder = tmp_path / "repository" / "models" / "train"
    folder.mkdir(parents=True)
    for level, name in variants.LEVEL_NAMES.items():
        for activation in ("silu",) if level == 1 else ("relu", "leaky"):
            (folder / f"npu_level{level}_{name}_{activation}.yaml").touch()
    monkeypatch.setattr(variants, "MODELS", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def refusal(config, overrides=None):
    """Return the one-line message with which a configuration is refused."""
    with pytest.raises(UserError) as refused:
        load_session(config, overrides)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# What is accepted


def test_an_empty_configuration_is_the_session_of_the_defaults(models):
    session = load_session({})
    assert session.name == "v3"
    assert session.root == Path("results/v3")
    assert session.data is None
    assert session.variant_names == GRID
    assert session.splits == ("val", "test")
    assert session.train.epochs == 100
    first = session.variants[0]
    assert (first.level, first.activation) == (2, "relu")
    assert first.yaml == models / "npu_level2_scales_backbone_relu.yaml"


def test_the_document_of_a_session_is_complete_and_loads_as_itself():
    session = load_session({"train": {"epochs": 3}, "grid": {"levels": [4]}})
    again = load_session(json.loads(json.dumps(session.document)))
    assert again == session


SUBSETS = [
    (list(levels), list(activations))
    for levels in itertools.chain.from_iterable(itertools.combinations([1, 2, 3, 4], n) for n in range(1, 5))
    for activations in (["relu"], ["leaky"], ["relu", "leaky"], ["leaky", "relu"])
]


@pytest.mark.parametrize(("levels", "activations"), SUBSETS)
def test_any_subset_of_levels_and_activations_is_a_grid(levels, activations):
    session = load_session({"grid": {"levels": levels, "activations": activations}})
    expected = ["level1_silu"] if 1 in levels else []
    expected += [f"level{level}_{activation}" for level in levels if level > 1 for activation in activations]
    assert session.variant_names == expected


def test_the_reference_alone_needs_no_activation():
    assert load_session({"grid": {"levels": [1], "activations": []}}).variant_names == ["level1_silu"]


def test_a_further_variant_is_given_by_the_path_of_its_yaml(tmp_path):
    (tmp_path / "mine.yaml").touch()
    session = load_session({"models": {"mine": {"yaml": "mine.yaml"}}})
    assert session.variant_names == [*GRID, "mine"]
    assert session.variant("mine").yaml == tmp_path / "mine.yaml"
    assert session.variant("mine").level is None


def test_further_variants_alone_make_a_session(tmp_path):
    (tmp_path / "mine.yaml").touch()
    session = load_session({"grid": {"levels": []}, "models": {"mine": {"yaml": str(tmp_path / "mine.yaml")}}})
    assert session.variant_names == ["mine"]


def test_a_dataset_is_found_relative_to_the_working_directory(tmp_path):
    (tmp_path / "data.yaml").touch()
    assert load_session({"data": "data.yaml"}).data == tmp_path / "data.yaml"


# Overlays and overrides


def test_a_later_file_is_laid_over_an_earlier_one_key_by_key(tmp_path):
    base, overlay = tmp_path / "base.yaml", tmp_path / "overlay.json"
    base.write_text("session: base\ntrain: {epochs: 50, lr0: 0.02}\ngrid: {levels: [2, 3]}\n")
    overlay.write_text('{"session": "top", "train": {"epochs": 5}, "grid": {"levels": [4]}}')
    session = load_session_files([base, overlay])
    assert session.name == "top"
    assert (session.train.epochs, session.train.arguments["lr0"]) == (5, 0.02)
    assert session.variant_names == ["level4_relu", "level4_leaky"]


def test_laying_over_changes_neither_of_the_two():
    base, overlay = {"train": {"epochs": 1}}, {"train": {"lr0": 0.1}}
    assert merge(base, overlay) == {"train": {"epochs": 1, "lr0": 0.1}}
    assert (base, overlay) == ({"train": {"epochs": 1}}, {"train": {"lr0": 0.1}})


def test_nested_overrides_that_arrive_as_text_get_their_types():
    overrides = {"train": {"epochs": "3", "amp": "false", "lr0": "1e-3"}, "grid": {"levels": ["4"]}}
    session = load_session({"train": {"batch": 8}}, overrides)
    assert session.variant_names == ["level4_relu", "level4_leaky"]
    train = session.train.arguments
    assert (train["epochs"], train["amp"], train["lr0"], train["batch"]) == (3, False, 0.001, 8)
    assert type(train["epochs"]) is int


def test_overrides_are_converted_by_the_schema():
    overrides = {"session": 2024, "digits": {"train": "64"}, "models": {"m": {"yaml": 5}}, "train": {"device": "0"}}
    assert convert_overrides(overrides) == {
        "session": "2024",
        "digits": {"train": 64},
        "models": {"m": {"yaml": "5"}},
        "train": {"device": 0},
    }


def test_an_override_that_does_not_fit_is_refused():
    assert "'grid.levels.0' must be a whole number, not 'four'" in refusal({}, {"grid": {"levels": ["four"]}})
    assert "'batch: 0.5' must be a whole number" in refusal({}, {"train": {"batch": "0.5"}})
    assert "'epochs: 'three'' must be int, not str" in refusal({}, {"train": {"epochs": "three"}})
    assert "'train' must be a table of keys and values, not 'epochs'" in refusal({}, {"train": "epochs"})


def test_text_for_a_number_in_a_file_is_refused():
    assert "'batch: '16'' must be a whole number of images" in refusal({"train": {"batch": "16"}})
    assert refusal({"grid": {"levels": ["4"]}}) == "configuration: 'grid.levels.0' must be a whole number, not '4'"
    assert "'digits.size' must be a whole number, not '128'" in refusal({"digits": {"size": "128"}})


# What is refused, with the nearest valid answer


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"trian": {}}, "unknown key 'trian', did you mean 'train'?"),
        ({"grid": {"level": [2]}}, "unknown key 'grid.level', did you mean 'levels'?"),
        ({"digits": {"sise": 96}}, "unknown key 'digits.sise', did you mean 'size'?"),
        ({1: 2}, "unknown key '1', valid: session, data"),
        ({"npu": {"boards": ["ethos-u55-265"]}}, "did you mean 'preset-u55-256'?"),
        ({"npu": {"calibration_images": 1}}, "'npu.calibration_images'"),
        ({"npu": {"gate": "fial"}}, "did you mean 'fail'?"),
        ({"data": "nowhere/data.yaml"}, "nowhere/data.yaml"),
        ({"grid": {"levels": [5]}}, "unknown level 5 in 'grid.levels.0', valid: 1, 2, 3, 4"),
        ({"grid": {"levels": [2, 44]}}, "unknown level 44 in 'grid.levels.1', did you mean '4'?"),
        ({"grid": {"activations": ["leaked"]}}, "unknown activation 'leaked'"),
        ({"grid": {"activations": ["leaked"]}}, "did you mean 'leaky'?"),
        ({"grid": {"activations": ["ReLU"]}}, "did you mean 'relu'?"),
        (
            {"evaluate": {"splits": ["val", "tests"]}},
            "unknown split 'tests' in 'evaluate.splits.1', did you mean 'test'?",
        ),
        ({"evaluate": {"splits": ["test"]}}, "'evaluate.splits' must name 'val', not only ['test']"),
        ({"train": {"epoch": 3}}, "train: unknown argument 'epoch', did you mean 'epochs'?"),
        ({"train": {"resume": True}}, "a run resumes from its own checkpoint by itself"),
        ({"models": {"mine": {"ymal": "x"}}}, "unknown key 'models.mine.ymal', did you mean 'yaml'?"),
    ],
    ids=str,
)
def test_an_unknown_name_is_refused_and_the_nearest_valid_one_suggested(config, message):
    assert message in refusal(config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"session": "../other"}, "'session' is '../other': letters, digits, '-' and '_' only"),
        ({"session": ""}, "'session' is ''"),
        ({"session": "v3\n"}, "'session' is 'v3\\n'"),
        ({"session": 2024}, "'session' must be text, not 2024"),
        ({"grid": None}, "'grid' must be a table of keys and values, not None"),
        ({"grid": {"levels": 4}}, "'grid.levels' must be a list, not 4"),
        ({"grid": {"levels": [2.0]}}, "'grid.levels.0' must be a whole number, not 2.0"),
        ({"grid": {"levels": [True]}}, "'grid.levels.0' must be a whole number, not True"),
        ({"grid": {"levels": [2, 2]}}, "non-unique"),
        ({"grid": {"levels": []}}, "no variant is left"),
        ({"grid": {"activations": []}}, "no variant is left"),
        ({"train": None}, "'train' must be a table of keys and values, not None"),
        ({"data": None}, "'data' must be text, not None"),
        ({"digits": {"size": 100}}, "'digits.size': 100 is not a multiple of 16"),
        ({"digits": {"train": 0}}, "'digits.train': 0 is less than the minimum of 4"),
        ({"models": {"mine": None}}, "'models.mine' must be a table of keys and values"),
        ({"models": {"mine": {}}}, "'yaml' is a required property"),
        ({"models": {3: {"yaml": "x"}}}, "the name 3 in 'models'"),
        ({"models": {"a b": {"yaml": "x"}}}, "the name 'a b' in 'models'"),
        ({"models": {"../x": {"yaml": "x"}}}, "the name '../x' in 'models'"),
        ({"models": {"level2_relu": {"yaml": "x"}}}, "the name 'level2_relu' belongs to the workflow"),
        ({"models": {"data": {"yaml": "x"}}}, "the name 'data' belongs to the workflow"),
        ({"models": {"logs": {"yaml": "x"}}}, "the name 'logs' belongs to the workflow"),
    ],
    ids=str,
)
def test_a_value_that_fits_nothing_is_refused(config, message):
    assert message in refusal(config)


def test_several_problems_are_reported_at_once():
    message = refusal({"trian": {}, "grid": {"levels": [7]}, "session": "a b"})
    assert "unknown key 'trian'" in message
    assert "unknown level 7" in message
    assert "'session' is 'a b'" in message


# Files


@pytest.mark.parametrize(("asked", "there"), [("leaked", "leaky"), ("leaky", "leaked")])
def test_leaked_is_refused_and_leaky_suggested_and_the_reverse(models, asked, there):
    stem = "npu_level2_scales_backbone"
    (models / f"{stem}_leaky.yaml").rename(models / f"{stem}_{there}.yaml")
    message = refusal({"grid": {"levels": []}, "models": {"mine": {"yaml": str(models / f"{stem}_{asked}.yaml")}}})
    assert "configuration key 'models.mine.yaml': model file not found" in message
    assert f"did you mean '{stem}_{there}.yaml'?" in message


def test_a_grid_cell_without_its_file_names_the_one_that_is_there(models):
    stem = "npu_level2_scales_backbone"
    (models / f"{stem}_leaky.yaml").rename(models / f"{stem}_leaked.yaml")
    message = refusal({})
    assert message.startswith(
        f"grid level 2 (scales_backbone), activation leaky: model file not found: {models / stem}_leaky.yaml"
    )
    assert f"did you mean '{stem}_leaked.yaml'?" in message


def test_a_relative_path_from_another_directory_prints_the_absolute_path_tried(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    message = refusal({"models": {"mine": {"yaml": "mine.yaml"}}})
    assert f"model file not found: {elsewhere}/mine.yaml" in message
    assert f"relative to the working directory {elsewhere}" in message
    assert load_session({"models": {"mine": {"yaml": "../mine.yaml"}}}).variant("mine").yaml == tmp_path / "mine.yaml"


def test_a_path_into_a_missing_folder_names_the_working_directory(tmp_path):
    message = refusal({"data": "nowhere/data.yaml"})
    assert f"dataset YAML not found: {tmp_path}/nowhere/data.yaml" in message
    assert f"relative to the working directory {tmp_path}" in message


def test_a_misspelt_dataset_is_refused_and_its_sibling_suggested(tmp_path):
    (tmp_path / "bottles.yaml").touch()
    assert "did you mean 'bottles.yaml'?" in refusal({"data": "bottle.yaml"})
    assert "did you mean 'demo'?" in refusal({"data": "Demo"})


def test_missing_pretrained_weights_are_refused_before_anything_runs(tmp_path):
    (tmp_path / "yolov8n.pt").touch()
    message = refusal({"train": {"pretrained": "yolo8n.pt"}})
    assert f"configuration key 'train.pretrained': weights file not found: {tmp_path}/yolo8n.pt" in message
    assert "did you mean 'yolov8n.pt'?" in message
    assert load_session({"train": {"pretrained": "yolov8n.pt"}}).train.pretrained == "yolov8n.pt"


def test_an_unknown_variant_of_a_session_is_refused_and_the_nearest_suggested():
    with pytest.raises(UserError, match="unknown variant 'level3_leaked' — did you mean 'level3_leaky'"):
        load_session({}).variant("level3_leaked")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: [", "not valid YAML"),
        (b"\xff\xfe\x00\x01", "not a text file in UTF-8"),
        (b"- 1\n- 2\n", "a configuration is a table of keys and values"),
        (b"session: !!python/object/apply:os.system ['touch canary']", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_yaml(path)
    assert str(refused.value).startswith(f"{path}: {message}")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "canary").exists()


def test_an_empty_file_configures_nothing(tmp_path):
    (tmp_path / "config.yaml").touch()
    assert read_yaml(tmp_path / "config.yaml") == {}


def test_a_missing_configuration_file_is_named_by_its_absolute_path(tmp_path):
    with pytest.raises(UserError, match=f"^{tmp_path}/gone.yaml: configuration file not found$"):
        read_yaml(Path("gone.yaml"))


def test_a_folder_is_no_configuration_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_yaml(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("15", 15.0), ("1e1", 10.0), ("null", None), ("None", None), (12, 12), (None, None)],
)
def test_a_limit_of_the_command_line_is_a_number_or_null(text, value):
    assert load_session({}, {"npu": {"max_latency_ms": text}}).npu.max_latency_ms == value


def test_a_limit_that_is_no_number_is_refused():
    assert "'npu.max_latency_ms' must be a number or null, not 'quick'" in refusal(
        {}, {"npu": {"max_latency_ms": "quick"}}
    )


def test_a_folder_or_a_link_to_itself_is_no_weights_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    key = "configuration key 'train.pretrained': weights file: "
    assert refusal({"train": {"pretrained": "folder.pt"}}).startswith(f"{key}{tmp_path}/folder.pt is a folder")
    assert refusal({"train": {"pretrained": "loop.pt"}}).startswith(f"{key}{tmp_path}/loop.pt is a link to itself")


def test_an_empty_list_of_boards_is_refused():
    assert "'npu.boards' is an empty list: name one at least" in refusal({"npu": {"boards": []}})


def test_replicates_follow_their_variant_with_seeds_one_apart():
    session = load_session({"replicates": 3, "grid": {"levels": [2], "activations": ["relu", "leaky"]}})
    first, *further = session.variants[:3]
    assert session.variant_names == [
        *("level2_relu", "level2_relu_s1", "level2_relu_s2"),
        *("level2_leaky", "level2_leaky_s1", "level2_leaky_s2"),
    ]
    assert [variant.first for variant in session.variants[:3]] == ["level2_relu"] * 3
    assert {variant.yaml for variant in further} == {first.yaml}
    assert [session.training_of(variant).seed for variant in session.variants[:3]] == [0, 1, 2]
    assert [session.training_of(variant).arguments["seed"] for variant in session.variants[:3]] == [0, 1, 2]


def test_a_larger_number_of_replicates_leaves_the_first_ones_as_they_are():
    alone, three = (load_session({"replicates": number}) for number in (1, 3))
    for variant in alone.variants:
        assert three.variant(variant.name) == variant
        assert three.training_of(variant) == alone.training_of(variant) == alone.train


def test_a_model_named_like_a_replicate_is_refused(tmp_path):
    model = tmp_path / "own.yaml"
    model.write_text("nc: 1\n")
    models = {name: {"yaml": str(model)} for name in ("own", "own_s1")}
    with pytest.raises(UserError, match=r"two variants are named 'own_s1'.*rename that model"):
        load_session({"replicates": 2, "models": models})
    assert load_session({"models": models}).variant("own_s1").first == "own_s1"


def test_the_goal_is_for_a_board_of_the_session():
    assert load_session({}).goal.board == load_session({}).npu.boards[0]
    assert not load_session({}).goal.stated
    assert load_session({"ship": {"objective": "latency"}}).goal.stated
    with pytest.raises(UserError, match=r"ship\.board.*board 'preset-u65-512' is not in npu\.boards"):
        load_session({"ship": {"board": "preset-u65-512"}})


def test_measurements_are_a_file_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"npu\.measurements.*not found: .*silicon\.csv"):
        load_session({"npu": {"measurements": "silicon.csv"}})
    (tmp_path / "silicon.csv").write_text("")
    assert load_session({"npu": {"measurements": "silicon.csv"}}).npu.measurements == tmp_path / "silicon.csv"
