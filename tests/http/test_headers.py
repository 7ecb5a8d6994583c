"""What headers say is bounded, whatever they hold."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.model import Reply
from pipetest.http.headers import LARGEST_NUMBER, number, retry_after


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("0", 0.0),
        ("3.5", 3.5),
        ("1e300", LARGEST_NUMBER),
        ("9" * 300, LARGEST_NUMBER),
        *((text, None) for text in ("", "-1", "nan", "inf", "-inf", "9" * 60_000, "1, 1", "soon", "\x00", "1\n2", "²")),
    ],
)
def test_a_header_tells_a_number_that_can_be_counted_with(header: str, value: float | None) -> None:
    assert number({"limit": header}, "limit") == value


@given(st.text())
def test_no_header_makes_us_wait_for_more_than_a_day(header: str) -> None:
    wait = retry_after(Reply(503, {"retry-after": header}, b""))
    assert wait is None or 0.0 <= wait <= 24 * 3600.0 < inf
