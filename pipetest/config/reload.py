"""SIGHUP: secrets, certificates and the template are read again from their files. A change of the environment needs a
restart."""

import signal
from collections.abc import Awaitable, Callable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pipetest.config.files import USERS_FILE
from pipetest.config.parsers import PostgresDatabase
from pipetest.config.settings import VARIABLES, Settings, load
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
            self._log.info("secrets, certificates and template were read again", event="secrets_reloaded")
        except ConfigError as e:
            self._log.error(
                "{reason}; secrets, certificates and template stay as they were", event="reload_refused", reason=str(e)
            )
        except Exception:
            self._log.failure("secrets, certificates and template could not be read again", event="reload_failed")
        self._notifier.ready()


def renew(current: Settings, environ: Mapping[str, str]) -> None:
    """Give secrets and template of the current settings their new values: whoever holds one uses the new value from now
    on.

    :raises ConfigError: a file cannot be read, or holds nothing of the kind, or holds what was not set before; nothing
        was changed.
    """
    rest = {name: text for name, text in environ.items() if name != USERS_FILE}  # the scanner reads that one again
    loaded = load(rest)
    before, after = _secrets(current), _secrets(loaded)
    for name in before.keys() ^ after.keys():
        what = "was set at the start, and is not" if name in before else "was not set at the start, and is"
        raise ConfigError(f"{name}: it {what} now: that takes a restart")
    for name, secret in before.items():
        secret.renew(after[name])
    current.deals.renew(loaded.deals)


def _secrets(settings: Settings) -> Mapping[str, Secret]:
    """Those that are set, by their variables."""
    values = {variable.name: getattr(settings, variable.field) for variable in VARIABLES if variable.secret}
    urls = {name: value.url for name, value in values.items() if isinstance(value, PostgresDatabase)}
    return {name: value for name, value in {**values, **urls}.items() if isinstance(value, Secret)}
