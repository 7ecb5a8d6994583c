"""A backfill: how fast what GitHub holds becomes deals, and what that takes."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, BenchmarkSandbox, helper, run_sandbox
from benchmarks.support.usage import cpu_s, peak_mib
from tests.support.processes import until

LATENCY_S = 0.05
BURST, BURST_S = 20, 2.0
NEW_GISTS = 10


def measure() -> Iterator[Figure]:
    yield from small()
    yield from large()
    yield from with_burst_limit()


def small() -> Iterator[Figure]:
    """Few users, as most people have."""
    users, deals = 5, 5 * 30
    with TemporaryDirectory() as folder, run_sandbox(users, 30, latency=LATENCY_S) as sandbox:
        single_s = one_at_a_time_s(sandbox.github)
        with sandbox.run_daemon(Path(folder)):
            took_s = backfill_s(sandbox, deals)
    requests = deals + 2 * users  # a create for each gist and each user, and a list for each user
    yield Figure("5 users x 30 gists: times faster than one request at a time", requests * single_s / took_s, 10)


def large() -> Iterator[Figure]:
    """Many gists at once: deals per second, processor time, memory and tokens."""
    deals = 20 * 200
    bare_s = bare_creates_cpu_s(deals)
    with TemporaryDirectory() as folder, run_sandbox(20, 200, latency=LATENCY_S) as sandbox:
        single_s = one_at_a_time_s(sandbox.github)
        with sandbox.run_daemon(Path(folder)) as process:
            process.line("starting on", LONGEST_S)
            start = cpu_s(process)
            took_s = backfill_s(sandbox, deals)
            cpu, memory = cpu_s(process), peak_mib(process)
            process.stop()
        tokens = sandbox.state()["tokens"]
        with sandbox.run_daemon(Path(folder), QUERYING_INTERVAL="0.01"):
            tokens_each = tokens_per_new_deal(sandbox, deals)
    name = "20 users x 200 gists:"
    yield Figure(f"{name} deals per second", deals / took_s)
    yield Figure(f"{name} times faster than one request at a time", deals * single_s / took_s, 25)
    yield Figure(f"{name} CPU seconds per 1,000 deals", 1000 * cpu / deals, 1.5, at_most=True)
    yield Figure(f"{name} CPU, times a bare treq loop's", cpu / bare_s, 2.5, at_most=True)
    yield Figure(f"{name} CPU without the start's, times a bare treq loop's", (cpu - start) / bare_s, 2, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, 70, at_most=True)
    yield Figure(f"{name} Pipedrive tokens per deal", tokens / deals, 5.2, at_most=True)
    yield Figure("a new gist of a known user: Pipedrive tokens per deal", tokens_each, 5, at_most=True)


def with_burst_limit() -> Iterator[Figure]:
    """How close to it, and how many requests are refused."""
    users, deals = 5, 5 * 30
    with TemporaryDirectory() as folder, run_sandbox(users, 30, latency=LATENCY_S, burst=BURST) as sandbox:
        with sandbox.run_daemon(Path(folder)):
            took_s = backfill_s(sandbox, deals)
        refused = sandbox.state()["statuses"]["Pipedrive"].get("429", 0)
    allowed_s = ((deals + users) / BURST - 1) * BURST_S
    yield Figure("at a burst limit of 20 in 2 s: share of it that is used", allowed_s / took_s, 0.9)
    yield Figure("at a burst limit of 20 in 2 s: requests refused", refused, 0, at_most=True)


def backfill_s(sandbox: BenchmarkSandbox, deals: int) -> float:
    """Wait until there are so many deals; the seconds from the arrival of the first create to the last one's answer."""
    until(lambda: sandbox.created()["deals"] >= deals, LONGEST_S)
    created = sandbox.created()
    assert created["deals"] == deals, created
    return float(created["last"] - created["first"] + LATENCY_S)


def tokens_per_new_deal(sandbox: BenchmarkSandbox, deals: int) -> float:
    """For gists that come one at a time, where there are so many deals already. One comes before: with it comes what a
    start asks."""
    tokens = []
    for known in range(deals, deals + 1 + NEW_GISTS):
        sandbox.post("/gists", user=sandbox.users[0])
        until(lambda known=known: sandbox.created()["deals"] > known, LONGEST_S)  # type: ignore[misc]
        tokens.append(sandbox.state()["tokens"])
    return float(tokens[-1] - tokens[0]) / NEW_GISTS


def bare_creates_cpu_s(deals: int) -> float:
    with (
        run_sandbox(1, latency=LATENCY_S) as sandbox,
        helper("bare_creates", sandbox.pipedrive, sandbox.key, str(deals)) as process,
    ):
        return float(process.line(r"^[0-9.]+$", LONGEST_S)[0])


def one_at_a_time_s(url: str, requests: int = 40) -> float:
    """Seconds per request for a client that makes one request after the other, as the older service did."""
    connection = HTTPConnection(urlsplit(url).netloc)
    began = time.perf_counter()
    for _ in range(requests):
        connection.request("GET", "/users/user0/gists?per_page=1", headers={"User-Agent": "benchmark"})
        connection.getresponse().read()
    took_s = time.perf_counter() - began
    connection.close()
    return took_s / requests
