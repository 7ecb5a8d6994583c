"""One user, ada, who has not written a gist yet."""

import pytest

from tests.support.in_memory import InMemoryDaemon


@pytest.fixture
def memory() -> InMemoryDaemon:
    return InMemoryDaemon()
