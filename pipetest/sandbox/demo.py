"""The demonstration: the daemon beside a sandbox of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred

from pipetest.sandbox.server import Sandbox

INTERVAL_MINUTES = "0.1"
SETTLE_S = "3"
"""Both are short, so that there is something to see at once. The sandbox's lists show everything without delay."""

ALLOWED = ("PIPETEST_LISTEN", "PIPETEST_LOG_FORMAT")
"""The settings that a demonstration takes from the environment."""


def demo_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the daemon, apart from what is known only once the sandbox has started."""
    return {
        **{name: environ[name] for name in ALLOWED if name in environ},
        "PIPETEST_QUERYING_INTERVAL": INTERVAL_MINUTES,
        "PIPETEST_SETTLE_TIME": SETTLE_S,
        "PIPETEST_PIEPEDRIVE_COMPANY_NAME": "Sandbox",
        "PIPETEST_PIEPEDRIVE_API_KEY": "sandbox",
    }


class Demonstration(Service):
    """Starts the sandbox first and stops it last. ``build`` makes the daemon of an environment."""

    def __init__(
        self, sandbox: Sandbox, build: Callable[[Mapping[str, str]], IService], environ: Mapping[str, str]
    ) -> None:
        self._sandbox = sandbox
        self._build = build
        self._environ = environ

    def startService(self) -> None:
        self._sandbox.start()
        self._folder = TemporaryDirectory(prefix="pipetest-")  # deleted with the process, should it fail to start
        self._daemon = self._build(
            {
                **demo_environ(self._environ),
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
