"""SIGHUP: what lies in files, secrets and certificates, is read again. The environment itself needs a restart."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pipetest.config import settings
from pipetest.config.parsers import PostgresDatabase
from pipetest.config.settings import Settings
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret
from pipetest.runtime.systemd import SystemdNotifier


class Reloader(Service):
    """Does ``reload`` on the reactor's thread when the signal comes; systemd is told when it begins and ends.

    ``soon`` runs something on the reactor's thread.
    """

    _log = Logger()

    def __init__(
        self,
        reload: Callable[[], Awaitable[None]],
        notifier: SystemdNotifier,
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._reload = reload
        self._notifier = notifier
        self._soon = soon

    def startService(self) -> None:
        super().startService()
        signal.signal(signal.SIGHUP, lambda number, frame: self._soon(self.begin))

    def stopService(self) -> None:
        super().stopService()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def begin(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        self._notifier.reloading()
        try:
            await self._reload()
            self._log.info("secrets and certificates were read again")
        except ConfigError as e:
            self._log.error("{reason}; what was read before still holds", reason=str(e))
        except Exception:
            self._log.failure("not all could be read again")
        self._notifier.ready()


def renew_secrets(current: Settings, environ: Mapping[str, str]) -> None:
    """Whoever holds a secret of these settings uses its new value from now on.

    :raises ConfigError: a file cannot be read, or holds no secret; nothing was changed.
    """
    for secret, fresh in zip(_secrets(current), _secrets(settings.load(environ)), strict=True):
        if secret is not None and fresh is not None:
            secret.renew(fresh)


def _secrets(of: Settings) -> Sequence[Secret | None]:
    database = of.database.url if isinstance(of.database, PostgresDatabase) else None
    return of.api_key, of.github_token, of.admin_token, of.heartbeat_url, database
