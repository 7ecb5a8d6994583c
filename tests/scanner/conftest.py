"""One user, ada, who has not written a gist yet."""

import pytest

from tests.support.in_memory import InMemoryPipeline


@pytest.fixture
def memory() -> InMemoryPipeline:
    return InMemoryPipeline()
