"""What starts in which order, and the ordered stop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import Store
from pipetest.runtime.shutdown import STOP_GRACE_S, all_ended, ended

REQUEST_GRACE_S = 7.0
"""What is under way when the stop begins gets this long to end (architecture, "A clean stop")."""

STORE_GRACE_S = 1.0
"""With the graces of all parts, a stop stays below the 10 s after which Docker kills."""


class Startable(Protocol):
    """One of the store's thread pools."""

    def start(self) -> None: ...


class Election(Protocol):
    """What reads, records and creates, or stands by until it may."""

    async def start(self) -> None:
        """Returns when the pipeline has started, or at once where it starts later, with the lease."""

    def settings_renewed(self) -> None:
        """Key and template may be other ones from now on."""

    async def stop(self, grace_s: float) -> bool:
        """First nothing new begins; then what is under way may end within ``grace_s`` seconds, and is stored. Whether
        all of it has ended."""


class Background(Protocol):
    """Runs beside the work."""

    def start(self) -> None: ...

    async def stop(self) -> None: ...


class Web(Protocol):
    """What listens."""

    def listen(self) -> None:
        """Listen on every endpoint before this returns.

        :raises SystemExit: on one of them it cannot; the text names it.
        """

    def announce(self) -> None:
        """Say where it listens: nothing can be refused any more."""

    def read_certificates(self) -> Callable[[], None]:
        """Read them again; what this returns presents them to whoever connects from then on.

        :raises ConfigError: one of them cannot be used.
        """

    async def close(self) -> None:
        """Stop listening and end the connections."""


class Daemon(Service):
    """All of it as one service.

    ``at_stop`` is called when the stop begins, on the main thread. ``die`` ends the process if starting fails once the
    reactor runs: a SystemExit would be swallowed there.
    """

    _log = Logger()

    def __init__(
        self,
        threads: Sequence[Startable],
        store: Store,
        leader: Election,
        background: Mapping[str, Background],
        web: Web,
        clock: IReactorTime,
        *,
        at_stop: Callable[[], None],
        die: Callable[[], None],
    ) -> None:
        self.web = web
        self._threads = threads
        self._store = store
        self._leader = leader
        self._background = background
        self._clock = clock
        self._at_stop = at_stop
        self._die = die
        self._starting: Deferred[None] | None = None
        self._listens = False
        self._start_failed = False
        self._reactor_runs = False

    def startService(self) -> None:
        """Open the database, listen and start, all at once, so that what is wrong there ends the process. Visitors wait
        until the reactor turns.

        :raises SystemExit: the database cannot be used, an endpoint cannot be listened on, or the work cannot begin;
            its text says why.
        """
        self.open()
        self.web.announce()
        for pool in self._threads:
            pool.start()
        super().startService()
        self._starting = Deferred.fromCoroutine(self._start())
        if self._start_failed:
            raise SystemExit("pipetest: the work could not begin; the log says why")
        self._reactor_runs = True  # or will, as soon as every service has started

    def open(self) -> None:
        """All that may be refused. Nothing listens before the database can be used, but for one that is taken over:
        where the older service still has the port, its database stays as it is.

        :raises SystemExit: the database cannot be used, or an endpoint cannot be listened on; its text says why.
        """
        try:
            self._store.open(before_takeover=self._listen)
        except DatabaseRefused as e:
            raise SystemExit(f"pipetest: {e}") from None
        self._listen()

    def _listen(self) -> None:
        if not self._listens:
            self.web.listen()
        self._listens = True

    def settings_renewed(self) -> None:
        """The settings were read again: key and template may be other ones."""
        self._leader.settings_renewed()

    async def _start(self) -> None:
        try:
            await self._leader.start()
            for part in self._background.values():
                part.start()
        except CancelledError:
            self._log.debug("stopped before it had started")
        except Exception:
            self._log.failure("the daemon could not start", event="start_failed")
            self._start_failed = True
            if self._reactor_runs:
                self._die()

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        self._at_stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Each in turn: first nothing new begins, then what was under way ends and is stored."""
        if self._starting is not None:
            self._starting.cancel()
        await self._leader.stop(REQUEST_GRACE_S)
        rest = [(name, part.stop()) for name, part in self._background.items()]
        await all_ended([*rest, ("web", self.web.close())], STOP_GRACE_S, self._clock)
        await ended("store", self._store.close(), STORE_GRACE_S, self._clock)
        self._log.info("stopped", event="stopped")
