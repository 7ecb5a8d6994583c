"""The demonstration: the daemon together with a GitHub and a Pipedrive of its own, and people who use them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred

from pipetest.sandbox.server import Sandbox

INTERVAL_MINUTES = "0.1"
SETTLE_S = "3"
"""Short, so that something is to be seen at once; the sandbox's lists hide nothing for longer."""

KEPT = ("PIPETEST_LISTEN", "PIPETEST_LOG_FORMAT")
"""What is still taken from the environment."""


def without_services(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a demonstration, before it is known where its services listen."""
    return {
        **{name: environ[name] for name in KEPT if name in environ},
        "PIPETEST_QUERYING_INTERVAL": INTERVAL_MINUTES,
        "PIPETEST_SETTLE_TIME": SETTLE_S,
        "PIPETEST_PIEPEDRIVE_API_KEY": "sandbox",
    }


class Demonstration(Service):
    """Starts ``sandbox`` first and stops it last; ``build`` makes the daemon from an environment."""

    def __init__(
        self, sandbox: Sandbox, build: Callable[[Mapping[str, str]], IService], environ: Mapping[str, str]
    ) -> None:
        self._sandbox = sandbox
        self._build = build
        self._environ = environ

    def startService(self) -> None:
        self._sandbox.start()
        self._folder = TemporaryDirectory(prefix="pipetest-")  # gone with the process if it cannot start
        self._daemon = self._build(
            {
                **without_services(self._environ),
                "PIPETEST_QUERIED_USERS": ",".join(self._sandbox.users),
                "PIPETEST_PIEPEDRIVE_API_KEY": self._sandbox.key,
                "PIPETEST_GITHUB_URL": self._sandbox.github_url,
                "PIPETEST_PIPEDRIVE_URL": self._sandbox.pipedrive_url,
                "PIPETEST_DATABASE_URL": f"tinydb:{Path(self._folder.name, 'db.json')}",
            }
        )
        self._daemon.startService()
        super().startService()

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(self._daemon.stopService)
        await self._sandbox.stop()
        self._folder.cleanup()
