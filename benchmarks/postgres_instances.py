"""A part of the benchmark ``postgres``: several instances behind haproxy, and what a request costs each of them."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.parse import urlsplit

from msgspec import Struct

from benchmarks.support.report import Figure
from benchmarks.support.serving import cookie_of_one_who_has_seen_all, free_port, wait_until_healthy
from benchmarks.support.tools import PATH
from benchmarks.support.usage import cpu_s
from benchmarks.support.wrk import Load, load
from tests.support.processes import Process

INSTANCES = 3
MEASUREMENTS = 3
LOAD_S = 5
RESTARTS_S = 30
"""It takes less time to restart all of them, one after the other."""

NOISE = 1.1
"""Two measurements of the same thing differ by about a tenth."""

NAME = f"{INSTANCES} instances behind haproxy:"

CONFIGURATION = """
global
    maxconn 1000
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option httpchk GET /health
    option redispatch
    retries 3
    retry-on all-retryable-errors
listen pipetest
    bind 127.0.0.1:{port}
"""

Start = Callable[[int], Process]

Visit = Callable[[str, str], int]
"""A visitor who asks again and again for :data:`LOAD_S` seconds, with this URL and this header; how many requests."""


class Instance(Struct):
    port: int
    process: Process


def behind_a_balancer(start: Start) -> Iterator[Figure]:
    with ExitStack() as stack:
        instances = [Instance(port, started(stack, start, port)) for port in [free_port() for _ in range(INSTANCES)]]
        all_of_them = [cost(instances, as_fast_as_answered) for _ in range(MEASUREMENTS)]
        one = [cost(instances[:1], as_fast_as_answered) for _ in range(MEASUREMENTS)]
        rarely = at_a_rate(min(visited.per_second for visited in all_of_them))
        as_rarely = [cost(instances[:1], rarely) for _ in range(MEASUREMENTS)]
        each, alone, alone_as_rarely = (min(each.cpu_s for each in costs) for costs in (all_of_them, one, as_rarely))
        yield Figure(f"{NAME} CPU seconds per 1,000 /getGists with nothing new", each, at_most=True)
        yield Figure(f"{NAME} that, times what it is with one", each / alone, NOISE, at_most=True)
        name = f"{NAME} that, times what it is with one that is asked as rarely"
        yield Figure(name, each / alone_as_rarely, NOISE, at_most=True)
        yield restarts(stack, start, instances)


class Cost(Struct, frozen=True):
    """CPU seconds per thousand requests, of the instance that they cost most; each got so many ``per_second``."""

    cpu_s: float
    per_second: float


def cost(instances: Sequence[Instance], visit: Visit) -> Cost:
    with balancer([instance.port for instance in instances]) as url:
        cookie = cookie_of_one_who_has_seen_all(url)
        before = [cpu_s(instance.process) for instance in instances]
        each = visit(url, cookie) / len(instances)
        spent = [cpu_s(instance.process) - used for instance, used in zip(instances, before, strict=True)]
    return Cost(1000 * max(spent) / each, each / LOAD_S)


def as_fast_as_answered(url: str, cookie: str) -> int:
    """Only one visitor asks at a time: with several, how many are answered in one go would differ between one instance
    and several."""
    visits = load(url, cookie, seconds=LOAD_S, connections=1)
    assert visits.failed == 0, visits
    return visits.requests


def at_a_rate(per_second: float) -> Visit:
    def visit(url: str, cookie: str) -> int:
        began, requests = time.monotonic(), 0
        parts, (name, value) = urlsplit(url), cookie.split(": ")
        with closing(HTTPConnection(parts.netloc)) as connection:
            while (elapsed := time.monotonic() - began) < LOAD_S:
                time.sleep(max(0.0, requests / per_second - elapsed))
                connection.request("GET", parts.path, headers={name: value})
                response = connection.getresponse()
                response.read()
                assert response.status == HTTPStatus.OK, response.status
                requests += 1
        return requests

    return visit


def restarts(stack: ExitStack, start: Start, instances: Sequence[Instance]) -> Figure:
    """Each is stopped once and started again, while visitors keep coming."""
    with balancer([instance.port for instance in instances]) as url:
        loads: list[Load] = []
        cookie = cookie_of_one_who_has_seen_all(url)
        visitors = Thread(target=lambda: loads.append(load(url, cookie, seconds=RESTARTS_S)))
        visitors.start()
        for instance in instances:
            instance.process.stop()
            instance.process = started(stack, start, instance.port)
        assert visitors.is_alive(), f"the restarts took longer than {RESTARTS_S} s"
        visitors.join()
    return Figure(
        f"{NAME} requests that failed while each of them left and came back", loads[0].failed, 0, at_most=True
    )


def started(stack: ExitStack, start: Start, port: int) -> Process:
    process = stack.enter_context(start(port))
    wait_until_healthy(port)
    return process


@contextmanager
def balancer(ports: Sequence[int]) -> Iterator[str]:
    """A haproxy in front of these ports; the feed's URL there."""
    port = free_port()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "haproxy.cfg"
        servers = "".join(f"    server s{to} 127.0.0.1:{to} check inter 200ms fall 1 rise 1\n" for to in ports)
        file.write_text(CONFIGURATION.format(port=port) + servers, encoding="utf-8")
        with Process("haproxy", "-db", "-f", str(file), env={**os.environ, "PATH": PATH}, cwd=Path(folder)):
            wait_until_healthy(port)
            yield f"http://127.0.0.1:{port}/getGists"
