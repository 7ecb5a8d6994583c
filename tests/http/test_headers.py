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


@pytest.mark.parametrize(
    ("date", "wait"),
    [
        ("Fri, 27 Nov 2026 12:00:07 GMT", 7.0),
        ("Fri, 27 Nov 2026 11:00:00 GMT", 0.0),
        ("Thu, 31 Dec 2099 23:59:59 GMT", 24 * 3600.0),
        ("Fri, 27 Nov 0001 12:00:07 +2359", 0.0),
        ("Fri, 99 Nov 2026 12:00:07 GMT", None),
    ],
)
def test_the_wait_may_be_told_as_a_moment(date: str, wait: float | None) -> None:
    headers = {"date": "Fri, 27 Nov 2026 12:00:00 GMT", "retry-after": date}
    assert retry_after(Reply(503, headers, b"")) == wait


@pytest.mark.parametrize(("seconds", "wait"), [("0", 0.0), ("30", 30.0), ("86400", 86400.0), ("86401", 86400.0)])
def test_the_wait_may_be_told_in_seconds(seconds: str, wait: float) -> None:
    assert retry_after(Reply(503, {"retry-after": seconds}, b"")) == wait


def test_a_moment_says_nothing_without_the_service_s_own_clock() -> None:
    assert retry_after(Reply(503, {"retry-after": "Fri, 27 Nov 2026 12:00:07 GMT"}, b"")) is None
