from pathlib import Path

import pytest

from tests.unit.synthetic import make_session
from workflow.evo.config.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session of six variants without any result."""
    return make_session(tmp_path)
