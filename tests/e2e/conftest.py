from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from tests.e2e.networks import MIXED
from tests.unit.model_files import FILES
from workflow.evo.config.variants import model_file
from workflow.evo.host import ultralytics_env
from workflow.evo.models.definition import load_definition


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Iterator[None]:
    """Put Ultralytics into safe mode before its first import, with settings of its own."""
    ultralytics_env.prepare(tmp_path_factory.mktemp("ultralytics"))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small to share, above all beside other tests
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def networks(library):
    """Every network of the grid, built once for 10 classes: {file: (definition, model)}."""
    from workflow.evo.models.build import build

    found = {}
    for path in FILES:
        definition = load_definition(path)
        model = build(definition, 10)
        detect = model.model[-1]
        detect.legacy = detect.legacy  # `parse_model` sets it on the class, where the next network changes it
        found[path] = definition, model
    return found


@pytest.fixture
def network(networks):
    """Return a function that gives a definition and a fresh copy of its network."""

    def copied(level: int, activation: str):
        definition, model = networks[model_file(level, activation)]
        return definition, copy.deepcopy(model)

    return copied


@pytest.fixture
def mixed(library, tmp_path):
    """The definition of a network with every module that the grid does not use."""
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED)
    return load_definition(path)
