"""What :mod:`pipetest.tap` starts: settings become every object of the daemon, wired from top to bottom.

Scanner and outbox of one term are wired in :mod:`pipetest.pipeline`.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from msgspec import Struct
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pipetest.config.parsers import PostgresDatabase, TinyDatabase
from pipetest.config.settings import Settings, digests
from pipetest.daemon import Background, Daemon
from pipetest.domain.errors import ConfigError, DatabaseRefused
from pipetest.domain.interfaces import Controls, Lease, Run, Store, Time
from pipetest.domain.model import Secret
from pipetest.http.exchange import connect
from pipetest.leader_election import LeaderElection
from pipetest.monitoring.collector import instance_of
from pipetest.monitoring.health import HealthMonitor
from pipetest.monitoring.notices import Notices
from pipetest.monitoring.standby import Standby, StatusStorage
from pipetest.pipeline import Exchanges, Pipeline, build_pipeline
from pipetest.runtime.threads import Threads
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.lease import FileLease
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.connection_limit import MAX_CONNECTIONS, connection_limit
from pipetest.web.server import WebServer
from pipetest.web.sessions import SessionExpiry
from pipetest.web.site import make_site

LOG = Logger()
TIME = Time(wall=time.time, monotonic=time.monotonic)

READERS = 4
"""Threads, and so connections, for what PostgreSQL is asked without the lease: a query takes a millisecond, and Python
runs one thread at a time anyway."""


def build(settings: Settings, endpoints: Mapping[str, IStreamServerEndpoint], reactor: Any) -> Daemon:
    """Every object of the daemon, wired. Nothing is opened and nothing begins.

    :raises ConfigError: the database's URL cannot be used.
    """
    backend = _backend(settings, reactor)
    files = Threads(0, 1, "files")
    receivers = Threads(0, 1, "receivers")
    instance = instance_of(settings, TIME.wall())

    def new_pipeline() -> Pipeline:  # for each term: nothing of an earlier one still waits for its connections
        exchanges = Exchanges(
            github=connect("GitHub", reactor),
            pipedrive=connect("Pipedrive", reactor, backend.lease.is_fresh),
            heartbeat=connect("the heartbeat", reactor),
        )
        random = Random()  # noqa: S311  # it spreads waits
        run = partial(deferToThreadPool, reactor, files)
        return build_pipeline(settings, instance, backend.store, exchanges, TIME, reactor, random, run)

    leader = LeaderElection(backend.lease, new_pipeline, reactor)
    of_work = partial(digests, settings)  # each time anew, as secrets are renewed
    standby = Standby(leader, backend.store, TIME, reactor, of_work)
    monitor = HealthMonitor(standby.health, standby.status, TIME.wall, reactor)
    sharing: dict[str, Background] = {
        "standby": standby,
        "status storage": StatusStorage(lambda: leader.leads, monitor.status, backend.store, reactor, of_work),
    }

    notices: dict[str, Background] = {}
    if settings.notify is not None:
        notices["notices"] = _notices(settings.notify, leader, monitor, backend.store, receivers, reactor)

    site = make_site(
        backend.store,
        standby.scanned_users,
        TIME,
        reactor,
        settings.session_lifetime,
        status=monitor.status,
        all_users=standby.all_users,
        controls=backend.commands or leader,
        admin_token=settings.admin_token,
        trusted_proxies=settings.trusted_proxies,
        hosts=settings.hosts,
        max_connections=_max_connections(),
    )
    return Daemon(
        [*backend.threads, files, receivers],
        backend.store,
        leader,
        {
            "health monitor": monitor,
            **(sharing if backend.lease.shared else {}),
            **notices,
            "session expiry": SessionExpiry(backend.store, TIME, reactor, settings.session_lifetime),
        },
        WebServer(endpoints, site, reactor),
        reactor,
        at_stop=_let_a_second_signal_kill,
        die=partial(os._exit, 1),
    )


def _notices(
    urls: Secret, leader: LeaderElection, monitor: HealthMonitor, store: Store, threads: Threads, reactor: Any
) -> Notices:
    try:  # Apprise is an extra
        from pipetest.monitoring.receivers import Receivers
    except ImportError:
        raise ConfigError("PIPETEST_NOTIFY: for notices, install pipetest[notify]") from None
    send, run = Receivers(urls).send, partial(deferToThreadPool, reactor, threads)
    return Notices(monitor.problems, lambda: leader.leads, store, send, run, TIME.wall, reactor)


class Backend(Struct, frozen=True):
    """Where state lives and who leads. ``commands`` passes an operator's requests on to the instance that leads; None
    where there is only this one."""

    store: Store
    threads: Sequence[Threads]
    lease: Lease
    commands: Controls | None = None


def _backend(settings: Settings, reactor: Any) -> Backend:
    try:
        match settings.database:
            case TinyDatabase(path):
                return _tinydb(str(path), settings.roots, reactor)
            case PostgresDatabase(url):
                return _postgres(url, settings.roots, reactor)
    except DatabaseRefused as e:
        raise ConfigError(f"PIPETEST_DATABASE_URL: {e}") from None


def _tinydb(path: str, roots: Mapping[str, str], reactor: Any) -> Backend:
    thread = Threads(minthreads=1, maxthreads=1, name="store")
    run = partial(deferToThreadPool, reactor, thread)
    store = TinyStore(FolderDisk(path), run, reactor, roots=roots, monotonic=TIME.monotonic)
    return Backend(store, (thread,), FileLease())


def _postgres(url: Secret, roots: Mapping[str, str], reactor: Any) -> Backend:
    try:  # psycopg is an extra
        from pipetest.store.postgres.store import PostgresStore
    except ImportError:
        raise ConfigError("PIPETEST_DATABASE_URL: for PostgreSQL, install pipetest[postgres]") from None
    readers, writer = Threads(0, READERS, "database"), Threads(0, 1, "lease")
    name = f"{socket.gethostname()}:{os.getpid()}"

    def run_in(threads: Threads) -> Run:
        return partial(deferToThreadPool, reactor, threads)

    store = PostgresStore(url, run_in(readers), run_in(writer), TIME, reactor, roots=roots, instance=name)
    return Backend(store, (readers, writer), store.writer, store.commands)


def _max_connections() -> int:
    files, _ = getrlimit(RLIMIT_NOFILE)
    if (most := connection_limit(files)) < MAX_CONNECTIONS:
        LOG.warn(
            "{files} files may be open here, which is enough for {most} visitors at once",
            event="few_files",
            files=files,
            most=most,
        )
    return most


def _let_a_second_signal_kill() -> None:
    """Whoever asks a second time does not want to wait: what is ``sent`` is on disk, so that is safe."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    LOG.info("stopping; a second signal ends it at once", event="stopping")
