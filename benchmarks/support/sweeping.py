"""``python -m benchmarks.support.sweeping DATABASE USERS``: scans of so many users, of whom a few have changed.

Scanner, GraphQL client, rate limits and store are the daemon's. Time is a clock that is moved on whenever everybody
waits, and GitHub answers from arithmetic. Prints as JSON what the second scan took, which is as any later one.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import md5
from random import Random
from typing import Any

import msgspec
from twisted.internet.task import Clock, deferLater

from benchmarks.support.usage import own_mib, own_peak_mib
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Entry, Reply, Request, Secret, User
from pipetest.github.client import GitHubClient
from pipetest.github.graphql import GraphQLClient
from pipetest.github.rate_limit import github_rate_limit, graphql_rate_limit
from pipetest.github.responses import HOUR_S
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.scanner.scanner import Scanner
from pipetest.scanner.user_lists import UserLists
from pipetest.store.postgres.connection import Connected
from pipetest.store.postgres.store import PostgresStore
from tests.support.results import result_of
from tests.support.simulated_disk import run

BEGAN_AT = 20_000 * 24 * HOUR_S
INTERVAL_S = 1800.0
ROOT = "https://api.github.com"
TOKEN = Secret("token")

HOURLY = 5_000
QUERY_S = 0.5
READ_S = 0.2
"""How long GitHub takes to answer."""

CHANGED = 5_000
"""One of so many users has written a gist since the last scan."""


class GitHub:
    """``points`` and ``reads`` count what was asked."""

    def __init__(self, clock: Clock) -> None:
        self.points = 0
        self.reads = 0
        self._clock = clock
        self._spent: Counter[tuple[str, int]] = Counter()

    async def __call__(self, request: Request) -> Reply:
        if request.method == "POST":
            self.points += 1
            await deferLater(self._clock, QUERY_S)
            return self._reply("graphql", self._answer(msgspec.json.decode(request.body or b"")["variables"]))
        self.reads += 1
        await deferLater(self._clock, READ_S)
        number = re.search(r"/u([0-9]+)/", request.url)
        return self._reply("core", _list(int(number[1]) if number else 0))

    def _answer(self, variables: dict[str, Any]) -> object:
        if "ids" in variables:
            return {"data": {"nodes": [_account(int(node_id[2:])) for node_id in variables["ids"]]}}
        return {"data": {f"u{name[1:]}": _account(int(login[1:])) for name, login in variables.items()}}

    def _reply(self, resource: str, body: object) -> Reply:
        hour = int(self._clock.seconds() // HOUR_S)
        self._spent[resource, hour] += 1
        headers = {
            "x-ratelimit-limit": f"{HOURLY}",
            "x-ratelimit-remaining": f"{max(0, HOURLY - self._spent[resource, hour])}",
            "x-ratelimit-reset": f"{BEGAN_AT + (hour + 1) * HOUR_S}",
            "x-ratelimit-resource": resource,
        }
        return Reply(200, headers, msgspec.json.encode(body))


def _account(number: int) -> object:
    gists = [{"name": "new" if number % CHANGED == 0 else md5(str(number).encode()).hexdigest()}]  # noqa: S324
    return {
        "id": f"U_{number}",
        "databaseId": number,
        "login": f"u{number}",
        "gists": {"totalCount": 1, "nodes": gists},
    }


def _list(number: int) -> object:
    """As it was: to record what is new is no part of this."""
    return [
        {
            "id": md5(str(number).encode()).hexdigest(),  # noqa: S324
            "created_at": "2024-01-01T00:00:00Z",
            "public": True,
            "owner": {"id": number},
        }
    ]


class Nobody:
    """Is told what the scanner does. ``took_s`` is how long the last scan took."""

    def __init__(self, scanner: Callable[[], Scanner]) -> None:
        self.scans = 0
        self.took_s = 0.0
        self._scanner = scanner

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None: ...

    def texts_known(self, entries: Sequence[Entry]) -> None: ...

    def scan_ended(self, *, failed: bool) -> None:
        assert not failed
        status = self._scanner().status()
        self.scans += 1
        self.took_s = (status.ended_at or 0.0) - (status.started_at or 0.0)


def _no_time_passes(connection: Connected) -> None:
    """Only on our clock: nobody renews the lease."""
    connection.execute("SET idle_session_timeout = 0")


def main(database: str, users: str) -> None:
    clock = Clock()
    time = Time(lambda: BEGAN_AT + clock.seconds(), clock.seconds)
    store = PostgresStore(
        Secret(database), run, run, time, clock, roots={"GitHub": ROOT, "Pipedrive": ROOT}, instance="sweep"
    )
    store.open()
    result_of(store.writer.submit(_no_time_passes))
    before = own_mib()
    github, listener = GitHub(clock), Nobody(lambda: scanner)
    rest, graphql = github_rate_limit(token=True, host="api.github.com"), graphql_rate_limit("api.github.com")
    reader = GitHubClient(RateLimiter("GitHub", rest, github, time, clock, Random(1)), ROOT, TOKEN, time.wall)
    asker = GraphQLClient(RateLimiter("GraphQL", graphql, github, time, clock, Random(1)), ROOT, TOKEN, time.wall)
    lists = UserLists([f"u{number}" for number in range(1, int(users) + 1)], None, reader, store)
    scanner = Scanner(
        reader,
        store,
        time,
        clock,
        listener,
        lists=lists,
        interval=INTERVAL_S,
        summaries=asker,
        reads_a_minute=rest.points.limit,
    )
    scanner.start()

    def pass_time_until(scans: int) -> None:
        while listener.scans < scans:
            clock.advance(max(0.0, clock.getDelayedCalls()[0].getTime() - clock.seconds()))

    pass_time_until(scans=1)
    points, reads = github.points, github.reads
    pass_time_until(scans=2)
    taken = {
        "points": github.points - points,
        "reads": github.reads - reads,
        "hours": listener.took_s / HOUR_S,
    }
    print(msgspec.json.encode(taken | {"before_mib": before, "peak_mib": own_peak_mib()}).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
