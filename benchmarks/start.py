"""From the start of the process to its first answer on ``/health``."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.database import fill
from benchmarks.report import Figure
from benchmarks.stage import LONGEST_S, Services, services
from tests.processes import Answer, ask, until

GISTS = 100_000
ROUNDS = 3
LOOK_EVERY_S = 0.01


def measure() -> Iterator[Figure]:
    with services(1) as world:
        empty, full = (median(starts(world, gists)) for gists in (0, GISTS))
    yield Figure(f"start with {GISTS:,} gists to the first answer on /health, s", full, 2, at_most=True)
    yield Figure(f"start with {GISTS:,} gists, times a start with none", full / empty, 2, at_most=True)


def starts(world: Services, gists: int) -> Iterator[float]:
    """Seconds that each start takes."""
    with TemporaryDirectory() as folder:
        fill(Path(folder) / "db.json", {"GitHub": world.github, "Pipedrive": world.pipedrive}, gists)
        for _ in range(ROUNDS):
            yield start_s(world, Path(folder))


def start_s(world: Services, folder: Path) -> float:
    port = free_port()
    begun = time.monotonic()
    with world.run_daemon(folder, LISTEN=f"tcp:{port}:interface=127.0.0.1") as process:
        until(lambda: answer(f"http://127.0.0.1:{port}/health"), LONGEST_S, LOOK_EVERY_S)
        taken = time.monotonic() - begun
        process.stop()
    return taken


def answer(url: str) -> Answer | None:
    """None while nobody listens."""
    try:
        return ask(url)
    except ConnectionRefusedError:
        return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
