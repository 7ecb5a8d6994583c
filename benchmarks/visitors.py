"""``/getGists`` under load, beside a bare Klein route in the same process, with growing feeds."""

import json
from collections.abc import Iterator
from statistics import median

from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, helper
from benchmarks.support.serving import cookie_of_one_who_has_seen_all
from benchmarks.support.tools import need
from benchmarks.support.wrk import Load, load

SIZES = (100, 1_000, 10_000, 100_000)
SECONDS = 2
ROUNDS = 5
"""Our route and the bare one are measured in turn: whatever else the machine does meets both."""


def measure() -> Iterator[Figure]:
    need("wrk")
    for size in SIZES:
        with helper("site", str(size)) as process:
            yield from compare(size, **json.loads(process.line(r"^\{", LONGEST_S).string))


def compare(size: int, ours: str, bare: str) -> Iterator[Figure]:
    url = f"{ours}/getGists"
    name = f"/getGists of {size:,} gists"
    yield from figures(bare, f"{name}, nothing new:", url, cookie_of_one_who_has_seen_all(url), aim=0.7)
    yield from figures(bare, f"{name}, all of them:", url)


def figures(bare: str, name: str, url: str, *headers: str, aim: float | None = None) -> Iterator[Figure]:
    rounds = [(answered(bare), answered(url, *headers)) for _ in range(ROUNDS)]
    share = median(ours.per_second / constant.per_second for constant, ours in rounds)
    slower = median(ours.p99_ms / constant.p99_ms for constant, ours in rounds)
    yield Figure(f"{name} requests per second", median(ours.per_second for _, ours in rounds))
    yield Figure(f"{name} share of a bare route's requests per second", share, aim)
    yield Figure(f"{name} p99, ms", median(ours.p99_ms for _, ours in rounds), at_most=True)
    yield Figure(f"{name} p99, times a bare route's", slower, at_most=True)


def answered(url: str, *headers: str) -> Load:
    result = load(url, *headers, seconds=SECONDS)
    assert result.failed == 0, result
    return result
