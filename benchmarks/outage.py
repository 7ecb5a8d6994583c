"""Pipedrive gives no answer for half a day, while many gists wait that have to be looked for: what that costs."""

import gc
from collections.abc import Iterator
from time import process_time

from twisted.internet.defer import Deferred

from benchmarks.support.report import Figure
from benchmarks.support.usage import own_mib
from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Done, Gist, Organization, OrganizationChange, PassResult, Reply, Request
from tests.support.in_memory import InMemoryPipeline
from tests.support.results import result_of

USERS = 4
GISTS_EACH = 5_000
HOURS = 12


def measure() -> Iterator[Figure]:
    daemon = waiting_daemon()
    Deferred.fromCoroutine(daemon.outbox.start())
    daemon.pass_time(180.0)  # it has loaded everything, and waited for what may surface
    memory, hours = grown_mib(), []
    for _ in range(HOURS):
        began = process_time()
        daemon.pass_time(3600.0)
        hours.append(process_time() - began)
    name = f"no answer for {HOURS} hours, {USERS * GISTS_EACH:,} gists wait"
    yield Figure(f"{name}: memory grown since its third minute, MiB", grown_mib() - memory, 5, at_most=True)
    yield Figure(f"{name}: CPU of the last hour, times that of the first", hours[-1] / hours[0], 1.3, at_most=True)
    yield Figure(f"{name}: CPU, % of one core", 100 * sum(hours) / (3600 * HOURS), 1, at_most=True)


def waiting_daemon() -> InMemoryPipeline:
    """Its users' organizations are known, but not what is in them."""
    daemon = InMemoryPipeline()
    daemon.wire()
    for number in range(1, USERS + 1):
        user = f"user{number}"
        gists = [Gist(f"{number:016x}{gist:016x}", gist) for gist in range(GISTS_EACH)]
        result_of(daemon.store.add_gists(PassResult(user, number, None, gists)))
        result_of(daemon.store.save(OrganizationChange(user, Organization(Done(number)))))
    daemon.pipedrive.exchange = no_answer
    return daemon


async def no_answer(request: Request) -> Reply:
    raise Unanswered("Pipedrive", "no whole answer in time")


def grown_mib() -> float:
    gc.collect()
    return own_mib()
