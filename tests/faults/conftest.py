from collections.abc import Iterator

import pytest

from tools.faults import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Iterator[Bench]:
    """Trainings of seconds in processes of their own, which can be killed and made to fail."""
    opened = Bench(tmp_path_factory.mktemp("bench"))
    yield opened
    opened.close()
