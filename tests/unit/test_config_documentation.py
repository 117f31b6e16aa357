"""config/README.md, the configuration files and the schema say the same."""

import re

import pytest
import yaml

from workflow.evo.config import train_arguments
from workflow.evo.config.loading import load_session, load_session_files, read_yaml
from workflow.evo.config.variants import ROOT
from workflow.evo.files import load_schema

CONFIG = ROOT / "config"
README = (CONFIG / "README.md").read_text()


def keys(schema, prefix=""):
    """Return ``{dotted key: schema}`` of every key that takes a value."""
    found = {}
    for name, sub in schema["properties"].items():
        found |= keys(sub, f"{prefix}{name}.") if "properties" in sub else {f"{prefix}{name}": sub}
    return found


KEYS = keys(load_schema("config"))
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| `([\w.]+)` \| (.+?) \| `(.+?)` \| `(.+?)` \|$", README, re.M)}


def test_the_readme_has_one_row_for_every_key_in_the_order_of_the_schema():
    assert list(ROWS) == list(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_the_readme_states_the_default_of_the_schema(key):
    assert yaml.safe_load(ROWS[key][1]) == KEYS[key]["default"]


ELSEWHERE = {"data", "models", "train.pretrained", "npu.measurements", "ship.board"}
"""Keys whose examples depend on files, or on another key."""


@pytest.mark.parametrize("key", [key for key in KEYS if key not in ELSEWHERE])
def test_the_example_of_the_readme_is_valid_and_differs_from_the_default(key):
    example = yaml.safe_load(ROWS[key][2])
    assert example != KEYS[key]["default"]
    config = example
    for part in reversed(key.split(".")):
        config = {part: config}
    document = load_session(config).document
    for part in key.split("."):
        document = document[part]
    assert document == example


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_described_in_the_schema(key):
    assert KEYS[key]["description"]


def test_the_readme_names_every_argument_that_the_workflow_owns():
    table = README.partition("refuses them under `train:`")[2]
    assert {name for name in train_arguments.OWNED if f"`{name}`" not in table} == set()


def test_config_yaml_states_the_defaults_of_the_schema():
    stated = read_yaml(CONFIG / "config.yaml")
    assert load_session(stated).document == load_session({}).document
    missing = {key for key in KEYS if key.partition(".")[0] not in stated}
    assert {key for key in missing if not key.startswith("digits.")} == set()
    assert set(stated["train"]) == set(load_schema("config")["properties"]["train"]["properties"])


def test_the_demo_is_an_overlay_that_loads():
    session = load_session_files([CONFIG / "config.yaml", CONFIG / "demo.yaml"])
    assert session.name == "demo"
    assert session.data is None
    assert len(session.variants) == 6
    assert session.train.epochs < 30


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_file_loads(path):
    assert load_session_files([path]).variants
