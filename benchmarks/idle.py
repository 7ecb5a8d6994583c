"""A scan that finds nothing new: what it asks, stores and takes."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.support.database import make
from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, ROOT, Services, cpu_s, peak_mib, services
from pipetest.domain.model import Gist, PassResult
from tests.support.processes import Process, clean_environment

NEVER = "100000"
"""Minutes between scans: there is one, at the start."""


def measure() -> Iterator[Figure]:
    yield from scanned(1_000)
    yield from scanned(10_000)


def scanned(users: int) -> Iterator[Figure]:
    """The database is made of what GitHub shows, so that the first scan finds all as it was."""
    with TemporaryDirectory() as folder, services(users, 1) as world:
        roots = {"GitHub": world.github, "Pipedrive": world.pipedrive}
        make(Path(folder) / "db.json", roots, list(readings(world)))
        yield from idle(world, Path(folder))


def readings(world: Services) -> Iterator[PassResult]:
    """What a first pass over each user's list would have found, just now."""
    connection = HTTPConnection(urlsplit(world.github).netloc)
    for user in world.users:
        connection.request("GET", f"/users/{user}/gists?per_page=100", headers={"User-Agent": "benchmark"})
        response = connection.getresponse()
        listed = json.loads(response.read())
        gists = [Gist(gist["id"], datetime.fromisoformat(gist["created_at"]).timestamp()) for gist in listed]
        yield PassResult(user, listed[0]["owner"]["id"], response.headers["ETag"], gists, time.time())
    connection.close()


def idle(world: Services, folder: Path) -> Iterator[Figure]:
    users = len(world.users)
    before = world.state()["calls"]
    with held(folder) as files, world.run_daemon(folder, QUERYING_INTERVAL=NEVER) as process:
        process.line("starting on", LONGEST_S)
        begun = cpu_s(process)
        process.line("scan of .* ended", LONGEST_S)
        cpu, memory = cpu_s(process) - begun, peak_mib(process)
        commits = len(generations(folder) - files)
        process.stop()
    after = world.state()["calls"]
    asked = {service: sum(after[service].values()) - sum(before[service].values()) for service in after}
    name = f"idle scan of {users:,} users:"
    yield Figure(f"{name} GitHub requests per user", asked["GitHub"] / users, 1, at_most=True)
    yield Figure(f"{name} Pipedrive requests", asked["Pipedrive"], 0, at_most=True)
    yield Figure(f"{name} commits", commits, 1, at_most=True)
    yield Figure(f"{name} CPU, times a bare treq loop's", cpu / bare_cpu_s(world), 1.5, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, 150, at_most=True)


@contextmanager
def held(folder: Path) -> Iterator[set[int]]:
    """The files there are, kept open: a new one may be given the inode of one that is gone, as ext4 does."""
    with ExitStack() as files:
        for path in folder.glob("db.json*"):
            files.enter_context(path.open("rb"))
        yield generations(folder)


def generations(folder: Path) -> set[int]:
    """Each commit makes a new file, and keeps the one before: two new ones tell of two commits or more."""
    return {path.stat().st_ino for path in folder.glob("db.json*")}


def bare_cpu_s(world: Services) -> float:
    argv = (sys.executable, "-m", "benchmarks.support.bare", world.github, str(len(world.users)))
    with Process(*argv, env=clean_environment(), cwd=ROOT) as process:
        return float(process.line(r"^[0-9.]+$", LONGEST_S)[0])
