"""A backfill: how fast what GitHub holds becomes deals, and what that takes."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, Services, cpu_s, one_at_a_time_s, peak_mib, services
from tests.support.processes import until

LATENCY_S = 0.05
BURST, BURST_S = 20, 2.0
STEADY_GISTS = 10


def measure() -> Iterator[Figure]:
    yield from small()
    yield from large()
    yield from bounded()


def small() -> Iterator[Figure]:
    """A few users, as most people have them."""
    with TemporaryDirectory() as folder, services(5, 30, latency=LATENCY_S) as world:
        single = one_at_a_time_s(world.github)
        with world.run_daemon(Path(folder)):
            taken = backfilled_s(world, 5 * 30)
    yield Figure("5 users x 30 gists: times faster than one request at a time", (155 + 5) * single / taken, 10)


def large() -> Iterator[Figure]:
    """Many gists at once: deals per second, processor time, memory and tokens."""
    deals = 20 * 200
    with TemporaryDirectory() as folder, services(20, 200, latency=LATENCY_S) as world:
        single = one_at_a_time_s(world.github)
        with world.run_daemon(Path(folder)) as process:
            taken = backfilled_s(world, deals)
            cpu, memory = cpu_s(process), peak_mib(process)
            process.stop()
        tokens = world.state()["tokens"]
        with world.run_daemon(Path(folder), QUERYING_INTERVAL="0.01"):
            steady = steady_tokens(world, deals)
    name = "20 users x 200 gists:"
    yield Figure(f"{name} deals per second", deals / taken)
    yield Figure(f"{name} times faster than one request at a time", deals * single / taken, 25)
    yield Figure(f"{name} CPU seconds per 1,000 deals", 1000 * cpu / deals, 1.5, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, 70, at_most=True)
    yield Figure(f"{name} Pipedrive tokens per deal", tokens / deals, 5.2, at_most=True)
    yield Figure("a new gist of a known user: Pipedrive tokens per deal", steady, 5, at_most=True)


def bounded() -> Iterator[Figure]:
    """Under a burst limit: how close to it, and what was refused."""
    creates = 150 + 5
    with TemporaryDirectory() as folder, services(5, 30, latency=LATENCY_S, burst=BURST) as world:
        with world.run_daemon(Path(folder)):
            taken = backfilled_s(world, 150)
        refused = world.state()["statuses"]["Pipedrive"].get("429", 0)
    allowed_s = (creates / BURST - 1) * BURST_S
    yield Figure("at a burst limit of 20 in 2 s: share of it that is used", allowed_s / taken, 0.9)
    yield Figure("at a burst limit of 20 in 2 s: requests refused", refused, 0, at_most=True)


def backfilled_s(world: Services, deals: int) -> float:
    """Wait until there are so many deals; the seconds from the first create's arrival to the last one's answer."""
    until(lambda: world.work()["deals"] >= deals, LONGEST_S)
    work = world.work()
    assert work["deals"] == deals, work
    return float(work["last"] - work["first"] + LATENCY_S)


def steady_tokens(world: Services, deals: int) -> float:
    """Tokens for each deal of gists that come one at a time."""
    before = world.state()["tokens"]
    for known in range(deals, deals + STEADY_GISTS):
        world.order("/gists", user=world.users[0])
        until(lambda known=known: world.work()["deals"] > known, LONGEST_S)  # type: ignore[misc]
    return float(world.state()["tokens"] - before) / STEADY_GISTS
