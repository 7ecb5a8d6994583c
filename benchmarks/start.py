"""From the start of the process to its first answer on ``/health``."""

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.support.database import USERS as FEW
from benchmarks.support.database import fill
from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, Services, services
from tests.support.processes import Answer, ask, until

GISTS = (1_000, 10_000, 100_000)
MOST = GISTS[-1]
USERS = (100, 1_000, 10_000)
ROUNDS = 3
LOOK_EVERY_S = 0.01


def measure() -> Iterator[Figure]:
    with services(USERS[-1]) as world:
        empty = median(starts(world, 0))
        for gists in GISTS:
            yield from compared(f"{gists:,} gists", median(starts(world, gists)), empty)
        for users in USERS:
            yield from compared(f"{MOST:,} gists of {users:,} users", median(starts(world, MOST, users)), empty)
        amid = median(starts(world, MOST, done=False))
        yield from compared(f"{MOST:,} gists in the middle of a backfill", amid, empty)


def compared(name: str, taken: float, empty: float) -> Iterator[Figure]:
    yield Figure(f"start with {name} to the first answer on /health, s", taken, 2, at_most=True)
    yield Figure(f"start with {name}, times a start with none", taken / empty, 2, at_most=True)


def starts(world: Services, gists: int, users: int = FEW, *, done: bool = True) -> Iterator[float]:
    """Seconds that each start takes."""
    with TemporaryDirectory() as folder:
        roots = {"GitHub": world.github, "Pipedrive": world.pipedrive}
        fill(Path(folder) / "db.json", roots, gists, users, done=done)
        for _ in range(ROUNDS):
            yield start_s(world, Path(folder), world.users[:users])


def start_s(world: Services, folder: Path, users: Sequence[str]) -> float:
    port = free_port()
    settings = {"LISTEN": f"tcp:{port}:interface=127.0.0.1", "QUERIED_USERS": ",".join(users)}
    begun = time.monotonic()
    with world.run_daemon(folder, **settings) as process:
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
