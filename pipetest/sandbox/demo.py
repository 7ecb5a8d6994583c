"""The demonstration: the daemon beside a sandbox of its own."""

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from pipetest.sandbox.sales import TEMPLATE
from pipetest.sandbox.server import LOOPBACK, Sandbox

INTERVAL_MINUTES = "0.1"
SETTLE_S = "3"
"""Both are short, so that there is something to see at once. The sandbox's lists show everything without delay."""

PORTS = range(8080, 8100)
"""The first that is free is the daemon's, the next free one the playground's."""

LISTEN = "PIPETEST_LISTEN"
ALLOWED = (LISTEN, "PIPETEST_LOG_FORMAT")
"""The settings that a demonstration takes from the environment."""

LOG = Logger()


def demo_environ(environ: Mapping[str, str], *, listens: bool = False) -> dict[str, str]:
    """The environment of the daemon, apart from what is known only once the sandbox has started. ``listens``: where it
    listens is said elsewhere."""
    allowed = {name: environ[name] for name in ALLOWED if name in environ}
    if not listens and LISTEN not in allowed:
        allowed[LISTEN] = f"tcp:{_free_port()}:interface={LOOPBACK}"
    return {
        **allowed,
        "PIPETEST_QUERYING_INTERVAL": INTERVAL_MINUTES,
        "PIPETEST_SETTLE_TIME": SETTLE_S,
        "PIPETEST_PIEPEDRIVE_COMPANY_NAME": "Sandbox",
        "PIPETEST_PIEPEDRIVE_API_KEY": "sandbox",
        "PIPETEST_DEALS": TEMPLATE,
    }


def _free_port() -> int:
    port = next(filter(_is_free, PORTS), 0)
    if port != PORTS[0]:
        LOG.info("port {taken} is taken, {port} is not", event="port_taken", taken=PORTS[0], port=port)
    return port


def _is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def page_url(listen: Sequence[str]) -> str | None:
    """Where a browser finds the daemon that listens there; None where that is not known before it does."""
    ports = (re.match("tcp:([1-9][0-9]*)", description) for description in listen)
    return next((f"http://localhost:{port[1]}/" for port in ports if port), None)


class Demonstration(Service):
    """Starts the sandbox first and stops it last. ``build`` makes the daemon of an environment, and it listens at
    ``listen``."""

    def __init__(
        self,
        sandbox: Sandbox,
        build: Callable[[Mapping[str, str]], IService],
        environ: Mapping[str, str],
        listen: Sequence[str],
    ) -> None:
        self._sandbox = sandbox
        self._build = build
        self._environ = environ
        self._page_url = page_url(listen)

    def startService(self) -> None:
        self._sandbox.start()
        self._folder = TemporaryDirectory(prefix="pipetest-")  # deleted with the process, should it fail to start
        self._daemon = self._build(
            {
                **self._environ,
                "PIPETEST_QUERIED_USERS": ",".join(self._sandbox.users),
                "PIPETEST_PIEPEDRIVE_API_KEY": self._sandbox.key,
                "PIPETEST_GITHUB_URL": self._sandbox.github_url,
                "PIPETEST_PIPEDRIVE_URL": self._sandbox.pipedrive_url,
                "PIPETEST_DATABASE_URL": f"tinydb:{Path(self._folder.name, 'db.json')}",
            }
        )
        self._daemon.startService()
        LOG.info(
            "look first at {page}; at {playground} you can break things, and repair them again",
            event="playground_opened",
            page=self._page_url or "the daemon's page",
            playground=self._serve_playground(),
        )
        super().startService()

    def _serve_playground(self) -> str:
        """Its URL."""
        for port in PORTS:
            with suppress(CannotListenError):
                self._sandbox.serve_playground(port, self._page_url)
                return f"http://localhost:{port}/"
        return self._sandbox.serve_playground(0, self._page_url)

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(self._daemon.stopService)
        await self._sandbox.stop()
        self._folder.cleanup()
