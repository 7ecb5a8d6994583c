"""The load generator wrk, which the benchmarks of visitors run."""

import re
import subprocess

from msgspec import Struct

CONNECTIONS = 16

_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Load(Struct, frozen=True):
    """What came of it. ``failed``: requests without an answer, or with one that is neither 2xx nor 3xx."""

    requests: int
    per_second: float
    p99_ms: float
    failed: int


def load(url: str, *headers: str, seconds: int, connections: int = CONNECTIONS) -> Load:
    """Ask for ``url`` on all connections for so many seconds, as fast as it answers."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    argv += [part for header in headers for part in ("-H", header)]
    output = subprocess.run([*argv, url], capture_output=True, text=True, check=True).stdout
    found = re.search(
        r"99%\s+([0-9.]+)(us|ms|s)\b.*?([0-9]+) requests in.*Requests/sec:\s+([0-9.]+)", output, re.DOTALL
    )
    assert found, output
    failed = re.findall(r"(?:connect|read|write|timeout|Non-2xx or 3xx responses:) ([0-9]+)", output)
    return Load(int(found[3]), float(found[4]), float(found[1]) * _MS[found[2]], sum(map(int, failed)))
