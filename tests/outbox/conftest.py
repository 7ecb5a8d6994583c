"""What the tests of the outbox share."""

import pytest

from tests.support.in_memory import InMemoryPipeline


@pytest.fixture
def memory() -> InMemoryPipeline:
    return InMemoryPipeline()
