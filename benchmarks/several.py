"""Several instances behind haproxy, and what a request costs each of them."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from attrs import define, frozen

from benchmarks.start import LOOK_EVERY_S, answer, free_port
from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, PATH, cpu_s
from benchmarks.visitors import CONNECTIONS, MS
from tests.support.processes import Process, ask, until

INSTANCES = 3
SECONDS = 5
COMING_AND_GOING_S = 30
NOISE = 1.1
"""Two runs of the same differ by about a tenth."""

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


@frozen
class Load:
    requests: int
    per_second: float
    p99_ms: float
    errors: int


@define
class Instance:
    port: int
    process: Process


def behind_a_balancer(start: Start) -> Iterator[Figure]:
    with ExitStack() as stack:
        instances = [_started(stack, start, free_port()) for _ in range(INSTANCES)]
        one, all_of_them = ([cost(instances[:few]) for _ in range(3)] for few in (1, INSTANCES))
        yield Figure(f"{NAME} CPU seconds per 1,000 /getGists with nothing new", min(all_of_them), at_most=True)
        yield Figure(f"{NAME} that, times what it is with one", min(all_of_them) / min(one), NOISE, at_most=True)
        yield coming_and_going(stack, start, instances)


def cost(instances: Sequence[Instance]) -> float:
    """CPU seconds per thousand requests, of the instance that they cost most. One visitor asks at a time: how many are
    answered in one go, and who else wants the cores, is then the same for one instance and for several."""
    with balancer([instance.port for instance in instances]) as port:
        cookie = returning(port)
        before = [cpu_s(instance.process) for instance in instances]
        asked = load(f"http://127.0.0.1:{port}/getGists", cookie, connections=1)
        spent = [cpu_s(instance.process) - used for instance, used in zip(instances, before, strict=True)]
    assert asked.errors == 0, asked
    return 1000 * max(spent) / (asked.requests / len(instances))


def coming_and_going(stack: ExitStack, start: Start, instances: Sequence[Instance]) -> Figure:
    """Each is stopped once and started anew, while visitors keep coming."""
    with balancer([instance.port for instance in instances]) as port:
        loads: list[Load] = []
        url, cookie = f"http://127.0.0.1:{port}/getGists", returning(port)
        visitors = Thread(target=lambda: loads.append(load(url, cookie, seconds=COMING_AND_GOING_S)))
        visitors.start()
        for instance in instances:
            instance.process.stop()
            instance.process = _started(stack, start, instance.port).process
        assert visitors.is_alive(), "it took them longer to come and go"
        visitors.join()
    return Figure(
        f"{NAME} requests that failed while each of them left and came back", loads[0].errors, 0, at_most=True
    )


def _started(stack: ExitStack, start: Start, port: int) -> Instance:
    instance = Instance(port, stack.enter_context(start(port)))
    until(lambda: answer(f"http://127.0.0.1:{port}/health"), LONGEST_S, LOOK_EVERY_S)
    return instance


@contextmanager
def balancer(ports: Sequence[int]) -> Iterator[int]:
    """The port of a haproxy before these."""
    port = free_port()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "haproxy.cfg"
        servers = "".join(f"    server s{to} 127.0.0.1:{to} check inter 200ms fall 1 rise 1\n" for to in ports)
        file.write_text(CONFIGURATION.format(port=port) + servers, encoding="utf-8")
        with Process("haproxy", "-db", "-f", str(file), env={**os.environ, "PATH": PATH}, cwd=Path(folder)):
            until(lambda: answer(f"http://127.0.0.1:{port}/health"), LONGEST_S, LOOK_EVERY_S)
            yield port


def returning(port: int) -> str:
    """The cookie of somebody who has seen everything."""
    shown = ask(f"http://127.0.0.1:{port}/getGists")
    assert shown.status == 200, shown.status
    return shown.headers["set-cookie"].partition(";")[0]


def load(url: str, cookie: str, *, seconds: int = SECONDS, connections: int = CONNECTIONS) -> Load:
    """What wrk measures."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    told = subprocess.run([*argv, "-H", f"Cookie: {cookie}", url], capture_output=True, text=True, check=True).stdout
    found = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b.*?([0-9]+) requests in.*Requests/sec:\s+([0-9.]+)", told, re.DOTALL)
    assert found, told
    failed = re.findall(r"(?:connect|read|write|timeout|Non-2xx or 3xx responses:) ([0-9]+)", told)
    return Load(int(found[3]), float(found[4]), float(found[1]) * MS[found[2]], sum(map(int, failed)))
