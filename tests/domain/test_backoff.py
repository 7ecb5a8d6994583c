"""How long to wait until the next attempt."""

from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.backoff import backoff


@given(st.integers(1, 10_000), st.floats(0.1, 10.0), st.floats(10.0, 10_000.0))
def test_waits_double_from_the_first_up_to_the_longest(attempts: int, first: float, longest: float) -> None:
    wait = backoff(attempts, first=first, longest=longest)
    assert wait == min(longest, first * 2.0 ** min(attempts - 1, 32))
    assert first <= wait <= longest
