from collections.abc import Iterator

import pytest

from tools.faults import Bench


@pytest.fixture(scope="session")
def forking() -> None:
    """For a test that forks this process: it comes before all others, so that no library has started threads yet."""


@pytest.fixture(scope="module")
def bench(forking, tmp_path_factory) -> Iterator[Bench]:
    """Trainings of seconds in processes of their own, which can be killed and made to fail."""
    opened = Bench(tmp_path_factory.mktemp("bench"))
    yield opened
    opened.close()
