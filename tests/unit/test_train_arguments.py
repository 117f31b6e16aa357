import pytest

from workflow.evo.config import train_arguments
from workflow.evo.errors import UserError


def refusal(**arguments):
    """Return the message with which a ``train:`` block is refused."""
    with pytest.raises(UserError) as refused:
        train_arguments.check(arguments)
    return str(refused.value)


def test_the_table_is_that_of_the_installed_ultralytics():
    table = train_arguments.table()
    assert table["lr0"].default == 0.01
    assert table["lr0"].types == ("float",)
    assert table["time"].optional
    assert table["epochs"].section == "Train settings"
    assert len(train_arguments.accepted()) > 60


def test_the_defaults_of_every_accepted_argument_are_accepted():
    defaults = {name: arg.default for name, arg in train_arguments.accepted().items()}
    defaults |= {"pretrained": False, "device": "cpu"}  # the workflow's own rules: a path or false, one device
    assert train_arguments.check(defaults) is defaults


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 1, "imgsz": 96, "batch": 1, "workers": 0, "lr0": 0.001, "optimizer": "MuSGD", "device": "cpu"},
        {"device": 0},
        {"device": "cuda:1"},
        {"freeze": [0, 1]},
        {"freeze": 10},
        {"cache": "ram"},
        {"amp": "bf16"},
        {"lr0": 1},
        {"time": None},
        {"optimizer": "adamw"},
        {"degrees": -10.0},
        {"fraction": 0.5},
        {"fraction": 100},
        {"pretrained": "weights.pt"},
    ],
    ids=str,
)
def test_ultralytics_arguments_are_accepted(arguments):
    assert train_arguments.check(arguments) == arguments


@pytest.mark.parametrize(
    ("name", "near"),
    [("epoch", "epochs"), ("batch_size", "batch"), ("imgs", "imgsz"), ("learning_rate0", "lr0"), ("seeds", "seed")],
)
def test_an_unknown_argument_is_refused_and_a_valid_one_suggested(name, near):
    message = refusal(**{name: 3})
    assert message.startswith(f"train: unknown argument '{name}', ")
    if name != "learning_rate0":  # nothing looks like it: the list is shown instead
        assert message.endswith(f"did you mean '{near}'?")
    else:
        assert "valid: " in message


def test_an_argument_of_another_mode_is_refused():
    assert refusal(format="onnx") == "train: 'format' is not a training argument (Export settings)"
    assert refusal(save_txt=True) == "train: 'save_txt' is not a training argument (Visualize settings)"


@pytest.mark.parametrize("name", sorted(train_arguments.OWNED))
def test_an_argument_of_the_workflow_is_refused_with_the_reason(name):
    assert refusal(**{name: "x"}) == f"train: '{name}' is set by the workflow: {train_arguments.OWNED[name]}"


@pytest.mark.parametrize("name", ["resume", "project", "name", "exist_ok", "save_dir", "model", "data"])
def test_the_arguments_that_would_break_the_results_contract_are_owned(name):
    assert name in train_arguments.OWNED


@pytest.mark.parametrize("batch", [0, 0.5, -1, "16", True, 16.0, [16]], ids=repr)
def test_a_batch_that_is_no_positive_whole_number_is_refused(batch):
    message = refusal(batch=batch)
    assert f"'batch: {batch!r}' must be a whole number of images, 1 or more" in message
    assert "try 16" in message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epochs", "3", "must be int, not str (write epochs: 3)"),
        ("epochs", 3.5, "must be int, not float"),
        ("epochs", None, "must not be empty"),
        ("epochs", [3], "must be int, not list"),
        ("lr0", "1e-3", "must be float, not str (write lr0: 0.001)"),
        ("lr0", "1e-5", "must be float, not str (write lr0: 1.0e-05)"),
        ("lr0", "fast", "must be float, not str"),
        ("lr0", True, "must be float, not bool"),
        ("lr0", float("nan"), "must be finite"),
        ("lr0", float("inf"), "must be finite"),
        ("cos_lr", "yes", "must be bool, not str (write cos_lr: true)"),
        ("cos_lr", 1, "must be bool, not int"),
        ("amp", "false", "must be one of true, false, fp16, bf16, fp32"),
        ("cache", "rom", "must be one of true, false, ram, disk"),
        ("pretrained", True, "must be the path of a .pt file, or false"),
        ("pretrained", "model.yaml", "must be the path of a .pt file, or false"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(name, value, reason):
    message = refusal(**{name: value})
    assert f"'{name}" in message
    assert reason in message


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epochs", 0, "must be 1 or more"),
        ("seed", -1, "must be 0 or more"),
        ("patience", -1, "must be 0 or more"),
        ("workers", -1, "must be 0 or more"),
        ("time", 0.5, "must be left out: a training limited by time never gives the same weights twice"),
        ("nbs", 0, "must be 1 or more"),
        ("mosaic", 1.5, "must be between 0 and 1"),
        ("lr0", -0.1, "must be between 0 and 1"),
        ("box", -1.0, "must not be negative"),
        ("fraction", 0, "a fraction above 0"),
        ("imgsz", 100, "is not a multiple of 32, use 96 or 128"),
        ("imgsz", 0, "one whole number of pixels, 32 or more"),
        ("imgsz", [640, 480], "one whole number of pixels"),
        ("device", [0, 1], "must be one device"),
        ("device", "0,1", "must be one device"),
        ("device", -1, "a free one is leased"),
        ("optimizer", "sgdd", "did you mean 'SGD'?"),
        ("optimizer", "lion", "valid: SGD, MuSGD, Adam"),
    ],
)
def test_a_value_out_of_range_is_refused(name, value, reason):
    assert reason in refusal(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("distill_model", "teacher.pt"), ("dis", 3.0)])
def test_what_could_not_be_continued_is_refused(name, value):
    assert refusal(**{name: value}).startswith(f"train: '{name}' is not supported: ")
    assert refusal(**{name: value}).endswith(", leave it out")


def test_all_problems_are_reported_at_once():
    message = refusal(epoch=3, batch=0, resume=True)
    assert "unknown argument 'epoch'" in message
    assert "'batch: 0'" in message
    assert "'resume' is set by the workflow" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("lr0", "1e-3", 0.001),
        ("lr0", "1", 1),
        ("amp", "false", False),
        ("amp", "bf16", "bf16"),
        ("optimizer", "SGD", "SGD"),
        ("device", "0", 0),
        ("device", "cpu", "cpu"),
        ("pretrained", "false", False),
        ("pretrained", "weights/best.pt", "weights/best.pt"),
        ("time", "null", None),
        ("freeze", ["0", "1"], [0, 1]),
        ("freeze", "[0, 1]", [0, 1]),
        ("epochs", 3, 3),
    ],
)
def test_text_from_the_command_line_gets_the_type_of_its_argument(name, text, value):
    converted = train_arguments.convert(name, text)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(("name", "text"), [("epochs", "three"), ("lr0", "fast"), ("unknown", "3"), ("lr0", "{")])
def test_text_that_does_not_fit_is_left_for_the_check_to_refuse(name, text):
    assert train_arguments.convert(name, text) == text


def test_a_completed_block_names_every_argument_once_and_sorted():
    completed = train_arguments.with_defaults({"epochs": 3})
    assert list(completed) == sorted(train_arguments.accepted())
    assert completed["epochs"] == 3
    assert completed["lr0"] == 0.01


def test_what_changes_no_weight_is_an_accepted_argument_and_has_one_reason():
    kinds = [
        train_arguments.RUNTIME,
        train_arguments.OTHER_TASKS,
        train_arguments.UNREAD,
        {*train_arguments.UNSUPPORTED},
    ]
    assert set(train_arguments.accepted()) >= set().union(*kinds)
    assert sum(map(len, kinds)) == len(set().union(*kinds))
