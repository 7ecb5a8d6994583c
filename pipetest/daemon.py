"""The daemon's life: what starts in which order, and the ordered stop."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import ClosingExchange, Store
from pipetest.monitoring.health import HealthMonitor
from pipetest.monitoring.history import History
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.ratelimit.persistence import LimitPersistence
from pipetest.runtime.shutdown import all_ended, ended
from pipetest.scanner.scanner import Scanner
from pipetest.web.sessions import SessionExpiry

REQUEST_GRACE_S = 7.0
"""What is under way when the stop begins gets so long to end (architecture, "A clean stop")."""

STOP_GRACE_S = 0.3
STORE_GRACE_S = 1.0
"""What stops after that only has to store what has ended. In all it stays below the 10 s after which Docker kills."""


class Web(Protocol):
    """What listens."""

    def listen(self) -> None:
        """Listen on every endpoint before this returns.

        :raises SystemExit: on one of them it cannot; the text names it.
        """

    async def close(self) -> None:
        """Stop listening and end the connections."""


class Pool(Protocol):
    """The store's threads."""

    def start(self) -> None: ...


class Closable(Protocol):
    """Something that requests wait in."""

    def close(self) -> None:
        """Send those away that wait."""


class Working(Protocol):
    """What reads, records and creates, or stands by until it may."""

    async def begin(self) -> None: ...

    async def end(self, grace_s: float) -> bool:
        """First nothing new begins, then what was under way ends within ``grace_s`` seconds and is stored. Whether all
        of it has ended."""


@frozen
class Work(Working):
    """The work itself, in the order in which its parts are needed."""

    keeper: LimitPersistence
    history: History
    governors: Sequence[Closable]
    exchanges: Sequence[ClosingExchange]
    creator: Dispatcher
    scanner: Scanner
    clock: IReactorTime

    async def begin(self) -> None:
        await self.keeper.start()
        await self.history.start()
        await self.creator.start()
        self.scanner.start()

    async def end(self, grace_s: float, patience_s: float = STOP_GRACE_S) -> bool:
        """``patience_s`` is how much longer than that each part is waited for."""
        creator, scanner = (Deferred.fromCoroutine(part.stop()) for part in (self.creator, self.scanner))
        for governor in self.governors:
            governor.close()
        requests = [("requests", exchange.close(grace_s)) for exchange in self.exchanges]
        return all(
            [
                await all_ended(requests, grace_s + patience_s, self.clock),
                await all_ended([("creator", creator), ("scan", scanner)], patience_s, self.clock),
                await all_ended(
                    [("rate limits", self.keeper.stop()), ("history", self.history.stop())], patience_s, self.clock
                ),
            ]
        )


W = TypeVar("W", bound=Working, covariant=True)


@frozen
class Parts(Generic[W]):
    """What the daemon consists of, in the order in which it is needed."""

    pool: Pool
    store: Store
    work: W
    forgetter: SessionExpiry
    watchdog: HealthMonitor
    web: Web


class Daemon(Service):
    """All of it as one service. ``at_stop`` is called when the stop begins, on the main thread; ``die`` where the work
    proves unable to begin when the reactor turns already, which swallows a SystemExit."""

    _log = Logger()

    def __init__(
        self, parts: Parts[Working], clock: IReactorTime, at_stop: Callable[[], None], die: Callable[[], None]
    ) -> None:
        self.parts = parts
        self._clock = clock
        self._at_stop = at_stop
        self._die = die
        self._begun: Deferred[None] | None = None
        self._unable = False

    def startService(self) -> None:
        """Listen, open and begin at once, so that what is wrong there ends the process.

        Visitors wait until the reactor turns. A database is not touched where its visitors cannot be answered: it may
        be that of the older service, which still runs.

        :raises SystemExit: an endpoint cannot be listened on, the database not used, or the work not begun; its text
            says why.
        """
        self.parts.web.listen()
        try:
            self.parts.store.open()
        except DatabaseRefused as e:
            raise SystemExit(f"pipetest: {e}") from None
        self.parts.pool.start()
        super().startService()
        self._begun = Deferred.fromCoroutine(self._begin())
        if self._unable:
            raise SystemExit("pipetest: the work could not begin; the log says why")

    async def _begin(self) -> None:
        try:
            await self.parts.work.begin()
            self.parts.forgetter.start()
            self.parts.watchdog.start()
        except CancelledError:
            self._log.debug("stopped before it began")
        except Exception:
            self._log.failure("the daemon could not begin its work")
            self._unable = True
            if self._begun is not None:
                self._die()

    def stopService(self) -> "Deferred[None]":
        super().stopService()
        self._at_stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Each in turn: first nothing new begins, then what was under way ends and is stored."""
        parts = self.parts
        if self._begun is not None:
            self._begun.cancel()
        await parts.work.end(REQUEST_GRACE_S)
        rest = [("watchdog", parts.watchdog.stop()), ("forgetter", parts.forgetter.stop()), ("web", parts.web.close())]
        await all_ended(rest, STOP_GRACE_S, self._clock)
        await ended("store", parts.store.close(), STORE_GRACE_S, self._clock)
        self._log.info("stopped")
