"""The root: builds the daemon from its settings. The one module that names the reactor."""

import os
import signal
import time
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from random import Random, SystemRandom
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any, ClassVar, cast

from msgspec.structs import replace
from twisted.application.service import IService, Service
from twisted.internet import reactor as _reactor  # noqa: TID253  # the one place that may
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python import usage

from pipetest.assembly import assemble
from pipetest.config import settings
from pipetest.config.parsers import PostgresDatabase, TinyDatabase
from pipetest.config.reload import Reloader, renew_secrets
from pipetest.config.settings import Settings
from pipetest.daemon import Daemon, Parts, Work, Working
from pipetest.domain.errors import ConfigError, DatabaseRefused
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Leader
from pipetest.http.exchange import connect
from pipetest.leader_election import LeaderElection
from pipetest.monitoring.collector import StatusCollector
from pipetest.pipeline import Pipeline, Resources
from pipetest.runtime.logging import RootService, log_observer
from pipetest.runtime.systemd import SystemdNotifier
from pipetest.runtime.threads import Threads
from pipetest.sandbox.demo import Demonstration, without_services
from pipetest.sandbox.server import Sandbox
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.admin import Operations
from pipetest.web.connection import MAX_CONNECTIONS, connection_limit
from pipetest.web.server import WebServer, certificate, endpoint, is_tls
from pipetest.web.site import WebSite, make_site

reactor: Any = _reactor  # the module stands for whatever reactor is installed, which no type says

Factory.noisy = False  # connections come and go without a word
LOG = Logger()
TIME = Time(wall=time.time, monotonic=time.monotonic)


class Options(usage.Options):
    """What ``twistd pipetest`` takes; everything else comes from the environment."""

    optFlags: ClassVar = [["sandbox", None, "Bring GitHub and Pipedrive along, to see it at work without settings."]]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, description: str) -> None:
        """Answer HTTP on this Twisted endpoint, e.g. tcp:8080 (repeatable; instead of PIPETEST_LISTEN)."""
        self["listen"].append(description)

    def postOptions(self) -> None:
        self.environ = dict(os.environ)
        try:
            self.settings = self.load(without_services(self.environ) if self["sandbox"] else self.environ)
            self.endpoints = {description: endpoint(description, reactor) for description in self.settings.listen}
        except ConfigError as e:
            raise usage.UsageError(str(e)) from None
        _keep_no_pidfile(self.parent or {})

    def load(self, environ: Mapping[str, str]) -> Settings:
        """
        :raises ConfigError: see :func:`pipetest.config.settings.load`.
        """
        loaded = settings.load(environ)
        return replace(loaded, listen=tuple(self["listen"])) if self["listen"] else loaded


def _keep_no_pidfile(twistd: MutableMapping[str, Any]) -> None:
    """In the foreground nobody needs one, and the folder may not be written. One that was named is kept."""
    if twistd.get("nodaemon") and twistd.get("pidfile") == "twistd.pid":
        twistd["pidfile"] = ""


def makeService(options: Options) -> IService:
    """The whole daemon as one service; nothing is opened, and nothing begins, before it starts."""
    whole = RootService(log_observer(options.parent or {}, options.settings.log_format, options.environ))
    notifier = SystemdNotifier(options.environ, reactor)
    if options["sandbox"]:
        sandbox = Sandbox(reactor, time.time, Random(0))  # noqa: S311  # a story, not a secret
        services: list[Service] = [Demonstration(sandbox, partial(_demonstrated, options), options.environ)]
    else:
        daemon = _daemon(options.settings, options.endpoints)
        reloader = Reloader(partial(_reload, options, daemon), notifier, reactor.callFromThread)
        services = [reloader, daemon]  # whoever sees it listen may send the signal
    for service in (*services, notifier):
        service.setServiceParent(whole)
    return whole


def _demonstrated(options: Options, environ: Mapping[str, str]) -> Daemon:
    return _daemon(options.load(environ), options.endpoints)


async def _reload(options: Options, daemon: Daemon) -> None:
    """All of it, or nothing where something of it cannot be read."""
    certificates = {description: await certificate(description) for description in filter(is_tls, options.endpoints)}
    renew_secrets(options.settings, options.environ)
    cast(WebServer, daemon.parts.web).renew(certificates)


def _daemon(checked: Settings, endpoints: Mapping[str, IStreamServerEndpoint]) -> Daemon:
    if (warning := settings.requests_warning(checked)) is not None:
        LOG.warn("{warning}", warning=warning)
    match checked.database:
        case TinyDatabase(path):
            parts: Parts[Working] = _alone(checked, endpoints, str(path))
        case PostgresDatabase():
            parts = _one_of_several(checked, endpoints, checked.database)
    return Daemon(parts, reactor, _let_a_second_signal_kill, partial(os._exit, 1))


def _alone(checked: Settings, endpoints: Mapping[str, IStreamServerEndpoint], path: str) -> Parts[Work]:
    pool = Threads(minthreads=1, maxthreads=1, name="store")
    roots = {"GitHub": checked.github_url, "Pipedrive": checked.pipedrive_url}
    store = TinyStore(FolderDisk(path), partial(deferToThreadPool, reactor, pool), reactor, roots=roots)
    github, pipedrive, heartbeat = (connect(name, reactor) for name in ("GitHub", "Pipedrive", "the heartbeat"))
    ground = Resources(TIME, reactor, SystemRandom(), pool, store, github, pipedrive, heartbeat)

    def web(job: Pipeline) -> WebServer:
        return WebServer(endpoints, _site(checked, lambda: job, Operations(job.scan, job.pause, job.retry)), reactor)

    return assemble(checked, ground, web)


def _one_of_several(
    checked: Settings, endpoints: Mapping[str, IStreamServerEndpoint], database: PostgresDatabase
) -> Parts[LeaderElection[Pipeline]]:
    try:
        from pipetest.instances import instance
    except ImportError:
        raise usage.UsageError("PIPETEST_DATABASE_URL: for PostgreSQL, install pipetest[postgres]") from None
    try:
        return instance(
            checked,
            database,
            TIME,
            reactor,
            lambda job, leader, orders: WebServer(
                endpoints, _site(checked, job, Operations(orders.scan, orders.pause, orders.retry), leader), reactor
            ),
        )
    except DatabaseRefused as e:
        raise usage.UsageError(f"PIPETEST_DATABASE_URL: {e}") from None


def _site(
    checked: Settings,
    job: Callable[[], Pipeline],
    operations: Operations,
    leader: Callable[[], Leader | None] = lambda: None,
) -> WebSite:
    return make_site(
        job().store,
        checked.queried_users,
        TIME,
        reactor,
        checked.session_lifetime,
        status=StatusCollector(checked, job, leader),
        operations=operations,
        admin_token=checked.admin_token,
        trusted_proxies=checked.trusted_proxies,
        tls_only=all(map(is_tls, checked.listen)),
        max_connections=_max_connections(),
    )


def _max_connections() -> int:
    files, _ = getrlimit(RLIMIT_NOFILE)
    if (most := connection_limit(files)) < MAX_CONNECTIONS:
        LOG.warn("{files} files may be open here, which is enough for {most} visitors at once", files=files, most=most)
    return most


def _let_a_second_signal_kill() -> None:
    """Whoever asks a second time does not want to wait: what is ``sent`` is on disk, so that is safe."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    LOG.info("stopping; a second signal ends it at once")
