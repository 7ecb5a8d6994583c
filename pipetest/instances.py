"""One instance of several on a PostgreSQL server, wired; imported only where the settings ask for it."""

import os
import socket
from collections.abc import Callable
from functools import partial
from random import SystemRandom
from typing import Any

from twisted.internet.threads import deferToThreadPool

from pipetest.assembly import assemble_instance
from pipetest.config.parsers import PostgresDatabase
from pipetest.config.settings import Settings
from pipetest.daemon import Parts, Web
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Leader
from pipetest.http.exchange import connect
from pipetest.leader_election import LeaderElection
from pipetest.pipeline import Pipeline, Resources
from pipetest.runtime.threads import Pools, Threads
from pipetest.store.postgres.commands import CommandQueue
from pipetest.store.postgres.store import PostgresStore

READERS = 4
"""Threads, and so connections, for whatever needs no lock: a query takes a millisecond, and Python runs one thread at a
time anyway."""


def instance(
    settings: Settings,
    database: PostgresDatabase,
    time: Time,
    reactor: Any,
    web: Callable[[Callable[[], Pipeline], Callable[[], Leader], CommandQueue], Web],
) -> Parts[LeaderElection[Pipeline]]:
    """``web`` makes what answers for the job there is at the moment, says who works, and takes orders for whoever does.

    :raises DatabaseRefused: the URL of the database is malformed.
    """
    reading, writing = Threads(0, READERS, "database"), Threads(0, 1, "lock")
    run = partial(partial, deferToThreadPool, reactor)
    roots = {"GitHub": settings.github_url, "Pipedrive": settings.pipedrive_url}
    name = f"{socket.gethostname()}:{os.getpid()}"
    store = PostgresStore(database.url, run(reading), run(writing), time, reactor, roots=roots, instance=name)

    def ground() -> Resources:
        github, heartbeat = (connect(service, reactor) for service in ("GitHub", "the heartbeat"))
        pipedrive = connect("Pipedrive", reactor, store.writer.lease_is_fresh)
        return Resources(time, reactor, SystemRandom(), Pools((reading, writing)), store, github, pipedrive, heartbeat)

    def site(leadership: LeaderElection[Pipeline]) -> Web:
        def leader() -> Leader:
            return Leader(here=leadership.leads, name=name if leadership.leads else store.writer.holder)

        return web(lambda: leadership.job, leader, CommandQueue(store))

    return assemble_instance(settings, store.writer, ground, site)
