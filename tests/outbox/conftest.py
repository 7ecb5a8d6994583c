"""What the tests of the outbox share."""

import pytest

from tests.support.in_memory import InMemoryDaemon


@pytest.fixture
def memory() -> InMemoryDaemon:
    return InMemoryDaemon()
