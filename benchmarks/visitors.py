"""``/getGists`` under load, beside a bare Klein route in the same process, at growing sizes of the feed."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from attrs import frozen

from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, ROOT, need
from tests.support.processes import Process, ask, clean_environment

SIZES = (100, 1_000, 10_000, 100_000)
CONNECTIONS, SECONDS = 16, 2
ROUNDS = 5
"""Ours and the bare route take turns: whatever else the machine does meets both."""

MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@frozen
class Load:
    per_second: float
    p99_ms: float


def measure() -> Iterator[Figure]:
    need("wrk")
    for size in SIZES:
        argv = (sys.executable, "-m", "benchmarks.support.site", str(size))
        with Process(*argv, env=clean_environment(), cwd=ROOT) as process:
            yield from visited(size, **json.loads(process.line(r"^\{", LONGEST_S).string))


def visited(size: int, ours: str, bare: str) -> Iterator[Figure]:
    page = f"{ours}/getGists"
    cookie = ask(page).headers["set-cookie"].partition(";")[0]
    name = f"/getGists of {size:,} gists"
    yield from beside(bare, f"{name}, nothing new:", page, f"Cookie: {cookie}", aim=0.7)
    yield from beside(bare, f"{name}, all of them:", page)


def beside(bare: str, name: str, page: str, *headers: str, aim: float | None = None) -> Iterator[Figure]:
    rounds = [(load(bare), load(page, *headers)) for _ in range(ROUNDS)]
    share = median(ours.per_second / constant.per_second for constant, ours in rounds)
    slower = median(ours.p99_ms / constant.p99_ms for constant, ours in rounds)
    yield Figure(f"{name} requests per second", median(ours.per_second for _, ours in rounds))
    yield Figure(f"{name} share of a bare route's requests per second", share, aim)
    yield Figure(f"{name} p99, ms", median(ours.p99_ms for _, ours in rounds), at_most=True)
    yield Figure(f"{name} p99, times a bare route's", slower, at_most=True)


def load(url: str, *headers: str) -> Load:
    """What wrk measures."""
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "--timeout", "30s"]
    argv += [part for header in headers for part in ("-H", header)]
    told = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told, told
    found = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b.*Requests/sec:\s+([0-9.]+)", told, re.DOTALL)
    assert found, told
    return Load(float(found[3]), float(found[1]) * MS[found[2]])
