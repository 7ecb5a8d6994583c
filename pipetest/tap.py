"""``twistd pipetest``: its options, then the service. The one module that names the reactor."""

import gc
import os
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import partial
from importlib.metadata import version
from random import Random
from typing import Any, ClassVar

from msgspec.structs import replace
from twisted.application.service import IService, Service
from twisted.internet import reactor as _reactor  # noqa: TID253  # the one place that may
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python import usage

from pipetest.app import build
from pipetest.config import settings
from pipetest.config.advice import summary, warnings
from pipetest.config.reload import Reloader, renew
from pipetest.config.settings import Settings
from pipetest.daemon import Daemon
from pipetest.domain.errors import ConfigError
from pipetest.runtime.logging import RootService, log_observer
from pipetest.runtime.rehearsal import rehearse
from pipetest.runtime.systemd import SystemdNotifier
from pipetest.sandbox.demo import Demonstration, demo_environ
from pipetest.sandbox.server import Sandbox
from pipetest.web.listen import endpoint

reactor: Any = _reactor  # the module stands for whatever reactor is installed, which no type says

Factory.noisy = False  # connections come and go without a word
LOG = Logger()


class Options(usage.Options):
    """What ``twistd pipetest`` takes; everything else comes from the environment."""

    optFlags: ClassVar = [["sandbox", None, "Bring GitHub and Pipedrive along, to see it at work without settings."]]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, description: str) -> None:
        """Answer HTTP on this Twisted endpoint, e.g. tcp:8080 (repeatable; instead of PIPETEST_LISTEN)."""
        self["listen"].append(description)

    def opt_version(self) -> None:
        """Tell pipetest's version, and exit."""
        sys.stdout.write(f"pipetest {version('pipetest')}\n")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """
        :raises SystemExit: something is wrong. One line says what: twistd would print its usage before it.
        """
        try:
            super().parseOptions(options)
        except (usage.UsageError, ConfigError) as e:
            raise _misconfigured(e) from None

    def postOptions(self) -> None:
        self.environ = dict(os.environ)
        configured = self.environ
        if self["sandbox"]:
            configured = self.demo_environ = demo_environ(self.environ, listens=bool(self["listen"]))
        self.settings = self.load(configured)
        self.endpoints = {description: endpoint(description, reactor) for description in self.settings.listen}
        _keep_no_pidfile(self.parent or {})

    def load(self, environ: Mapping[str, str]) -> Settings:
        """
        :raises ConfigError: see :func:`pipetest.config.settings.load`.
        """
        loaded = settings.load(environ)
        return replace(loaded, listen=tuple(self["listen"])) if self["listen"] else loaded


def _misconfigured(reason: Exception) -> SystemExit:
    """Its status tells systemd, and whoever else restarts what has failed, that a restart will not help."""
    if sys.stderr is not None:
        sys.stderr.write(f"pipetest: {reason}\n")
    return SystemExit(os.EX_CONFIG)


def _keep_no_pidfile(twistd: MutableMapping[str, Any]) -> None:
    """In the foreground nobody needs one, and the folder may not be written. One that was named is kept."""
    if twistd.get("nodaemon") and twistd.get("pidfile") == "twistd.pid":
        twistd["pidfile"] = ""


def makeService(options: Options) -> IService:
    """The whole daemon as one service; nothing is opened, and nothing begins, before it starts.

    :raises SystemExit: it is to become a daemon, and could not start: once it is one, nobody would read why.
    """
    reactor.seconds = time.monotonic  # its own clock is the wall's: set back, that would hold up whatever waits
    twistd: Mapping[str, Any] = options.parent or {}
    daemonizes = not twistd.get("nodaemon", True)  # `twist` never does, and has no such option
    observer = log_observer(twistd, options.settings.log_format, options.environ)
    notifier = SystemdNotifier(options.environ, reactor)
    if options["sandbox"]:
        if daemonizes:
            rehearse(_daemon(options.settings, options.endpoints).web.listen, twistd, observer)
        sandbox = Sandbox(reactor, time.time, Random(0))  # noqa: S311  # a story, not a secret
        build_demonstrated = partial(_demonstrated, options)
        services: list[Service] = [
            Demonstration(sandbox, build_demonstrated, options.demo_environ, options.settings.listen)
        ]
    else:
        _log_settings(options.settings, options.environ)
        daemon = _daemon(options.settings, options.endpoints)
        if daemonizes:
            rehearse(daemon.open, twistd, observer)
        elif _names_a_place(twistd):
            rehearse(lambda: None, twistd, observer)  # twistd would say what is wrong in a traceback
        reloader = Reloader(partial(_reload, options, daemon), notifier, reactor.callFromThread)
        services = [reloader, daemon]  # whoever sees it listen may send the signal
    whole = RootService(observer, daemonizes=daemonizes)
    for service in (*services, notifier):
        service.setServiceParent(whole)
    gc.freeze()  # what is loaded by now stays: to look at it again and again would hold up the reactor for 50 ms each
    return whole


def _names_a_place(twistd: Mapping[str, Any]) -> bool:
    """Whether twistd's options say where, or as whom, it runs."""
    return (
        twistd.get("rundir", ".") != "."
        or any(twistd.get(name) is not None for name in ("chroot", "uid", "gid"))
        or bool(twistd.get("pidfile"))
    )


def _demonstrated(options: Options, environ: Mapping[str, str]) -> Daemon:
    loaded = options.load(environ)
    _log_settings(loaded, environ)
    return _daemon(loaded, options.endpoints)


def _log_settings(loaded: Settings, environ: Mapping[str, str]) -> None:
    LOG.info("{summary}", event="starting", summary=summary(loaded, version("pipetest")))
    for warning in warnings(loaded, environ):
        LOG.warn("{warning}", event="setting_doubtful", warning=warning)


def _daemon(loaded: Settings, endpoints: Mapping[str, IStreamServerEndpoint]) -> Daemon:
    try:
        return build(loaded, endpoints, reactor)
    except ConfigError as e:
        raise _misconfigured(e) from None


async def _reload(options: Options, daemon: Daemon) -> None:
    """All of it, or nothing where something of it cannot be read."""
    present_certificates = daemon.web.read_certificates()
    renew(options.settings, options.environ)
    present_certificates()
    daemon.settings_renewed()
