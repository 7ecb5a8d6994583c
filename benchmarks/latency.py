"""From a gist's publication to its deal: the whole pipeline in memory, on a clock that is moved on, with the limits of
both services as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory

from twisted.internet.task import Clock

from benchmarks.support.database import write
from benchmarks.support.report import Figure
from pipetest.config import settings
from pipetest.domain.model import POINTS_A_MINUTE, Gist, PassResult, Request, Secret
from pipetest.pipeline import Exchanges, Pipeline
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.world import KEY, World
from pipetest.scanner.selection import MOST_IN_QUERY
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from tests.support.doubles import StubExchange
from tests.support.results import result_of
from tests.support.running_pipeline import pipeline_of
from tests.support.simulated_disk import run

USERS = (100, 1_000, 10_000)
DEFAULT_S = 1_800.0
HOUR_S = 3_600.0
GRAPHQL_POINTS = 5_000

GISTS = 300
SCANS = 2
SHORTEST_S = 600.0
"""So many are published by anybody at any moment of so many scans, and of so long at least: with more at once, they
would wait for Pipedrive."""

ANSWER_S = 0.5
START_AT = 1_700_000_000.0
ROOT = "https://api.github.com"
TOKEN = Secret("token")


def measure() -> Iterator[Figure]:
    for users in USERS:
        bound = HOUR_S / GRAPHQL_POINTS * users / MOST_IN_QUERY
        yield from figures(f"{users:,} users every 30 min", users, DEFAULT_S)
        yield from figures(f"{users:,} users every {bound:.3g} s, as often as GitHub's GraphQL allows", users, bound)


def figures(name: str, users: int, interval: float) -> Iterator[Figure]:
    percentiles = quantiles(latencies([f"user{number}" for number in range(users)], interval), n=100)
    yield Figure(f"{name}: from a gist's publication to its deal, p50, s", percentiles[49], at_most=True)
    yield Figure(f"{name}: from a gist's publication to its deal, p99, s", percentiles[98], at_most=True)


def latencies(users: Sequence[str], interval: float) -> list[float]:
    """How many seconds after its publication each gist has its deal."""
    clock, random = Clock(), Random(1)
    clock.advance(START_AT)
    world = World(clock.seconds, random, tokens={TOKEN.reveal(): users[0]})
    published: dict[str, float] = {}

    def publish() -> None:
        published[world.accounts.write(random.choice(users)).id] = clock.seconds()

    for _ in range(GISTS):
        clock.callLater(interval + random.uniform(0.0, max(SCANS * interval, SHORTEST_S)), publish)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db.json"
        write(path, {}, [known(world, user) for user in users], first_organization=1)
        limit(world)
        result_of(watching(world, users, interval, path, clock).start())
        while len(world.crm.deals) < len(users) + GISTS:
            clock.advance(clock.getDelayedCalls()[0].getTime() - clock.seconds())
    assert not set(world.github.statuses) - {"200", "304"}, world.github.statuses
    assert not set(world.pipedrive.statuses) - {"200", "201"}, world.pipedrive.statuses
    deals = {row.fields["title"]: row.readable_at for row in world.crm.deals.values()}
    return [deals[gist] - at for gist, at in published.items()]


def known(world: World, user: str) -> PassResult:
    """Let there be a user who has long had a gist and its deal; what a pass over the list finds."""
    account = world.accounts.open(user)
    old = world.accounts.write(user, created_at=0.0)
    organization = world.crm.add_organization(NewOrganization(user), 0.0)
    world.crm.add_deal(NewDeal(old.id, organization.id), 0.0)
    headers = {"user-agent": "benchmark", "authorization": f"Bearer {TOKEN.reveal()}"}
    asked = InProcessExchange(world.github, Clock(), world.held_replies)
    reply = result_of(asked(Request("GET", f"{ROOT}/users/{user}/gists?per_page=100", headers)))
    return PassResult(user, account.id, reply.headers["etag"], [Gist(old.id, 0.0)], START_AT)


def limit(world: World) -> None:
    """From now on the limits are those of a token of GitHub's, and of a seat of Pipedrive's plan Lite."""
    world.lift_limits()
    github, pipedrive = world.github_limits, world.pipedrive_limits
    github.with_token, github.points, github.graphql_points = 5_000, POINTS_A_MINUTE, GRAPHQL_POINTS
    pipedrive.burst, pipedrive.search_burst = 20, 10
    pipedrive.daily_tokens, pipedrive.daily_writes = 30_000, 10_000
    world.github.latency = world.pipedrive.latency = ANSWER_S


def watching(world: World, users: Sequence[str], interval: float, path: Path, clock: Clock) -> Pipeline:
    environ = {
        "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
        "PIPETEST_GITHUB_TOKEN": TOKEN.reveal(),
        "PIPETEST_QUERIED_USERS": ",".join(users),
        "PIPETEST_QUERYING_INTERVAL": str(interval / 60),
    }
    store = TinyStore(FolderDisk(str(path)), run, clock, roots={})
    store.open()
    github, pipedrive, heartbeat = (
        StubExchange(InProcessExchange(service, clock, world.held_replies))
        for service in (world.github, world.pipedrive, world.github)
    )
    return pipeline_of(settings.load(environ), store, Exchanges(github, pipedrive, heartbeat), clock)
