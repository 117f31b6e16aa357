"""What follows from the table of activations is written."""

import pytest

from tools import grid
from workflow.evo.config.variants import MODELS


@pytest.mark.parametrize("path", grid.files(), ids=lambda path: path.name)
def test_a_file_is_what_the_table_of_activations_says(path):
    assert path.read_text() == grid.files()[path], "run `make grid`"


def test_no_model_file_is_left_that_no_activation_stands_for():
    written = {path for path in grid.files() if path.parent == MODELS}
    assert {path for path in MODELS.iterdir() if "level1" not in path.name} == written
