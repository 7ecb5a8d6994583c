"""SIGHUP: secrets and certificates are read again from their files. A change of the environment needs a restart."""

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pipetest.config.files import USERS_FILE
from pipetest.config.parsers import PostgresDatabase
from pipetest.config.settings import Settings, load
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret
from pipetest.runtime.systemd import SystemdNotifier


class Reloader(Service):
    """Calls ``reload`` when the signal comes, and tells systemd when that begins and when it has ended.

    ``call_from_thread`` is the reactor's ``callFromThread``: a signal may interrupt the reactor anywhere.
    """

    _log = Logger()

    def __init__(
        self,
        reload: Callable[[], Awaitable[None]],
        notifier: SystemdNotifier,
        call_from_thread: Callable[[Callable[[], object]], object],
    ) -> None:
        self._reload = reload
        self._notifier = notifier
        self._call_from_thread = call_from_thread

    def startService(self) -> None:
        super().startService()
        signal.signal(signal.SIGHUP, lambda number, frame: self._call_from_thread(self.begin))

    def stopService(self) -> None:
        super().stopService()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def begin(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        self._notifier.reloading()
        try:
            await self._reload()
            self._log.info("secrets and certificates were read again", event="secrets_reloaded")
        except ConfigError as e:
            self._log.error(
                "{reason}; secrets and certificates stay as they were", event="reload_refused", reason=str(e)
            )
        except Exception:
            self._log.failure("secrets and certificates could not be read again", event="reload_failed")
        self._notifier.ready()


def renew_secrets(current: Settings, environ: Mapping[str, str]) -> None:
    """Give the secrets of the current settings their new values: whoever holds one uses the new value from now on.

    :raises ConfigError: a file cannot be read, or holds no secret; nothing was changed.
    """
    rest = {name: text for name, text in environ.items() if name != USERS_FILE}  # the scanner reads that one again
    for secret, new in zip(_secrets(current), _secrets(load(rest)), strict=True):
        if secret is not None and new is not None:
            secret.renew(new)


def _secrets(settings: Settings) -> Sequence[Secret | None]:
    database = settings.database.url if isinstance(settings.database, PostgresDatabase) else None
    return (
        settings.api_key,
        settings.github_token,
        settings.admin_token,
        settings.heartbeat_url,
        settings.notify,
        database,
    )
