"""The pipeline of one term: scanner and outbox with their clients, wired."""

from collections.abc import Sequence
from random import Random
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.config.settings import Settings
from pipetest.domain.interfaces import ClosingExchange, Command, Store, Time
from pipetest.domain.model import Entry, User
from pipetest.domain.status import Instance, Status
from pipetest.github.client import GitHubClient
from pipetest.github.rate_limit import github_rate_limit
from pipetest.monitoring.collector import StatusCollector
from pipetest.monitoring.health import Health
from pipetest.monitoring.heartbeat import Heartbeat
from pipetest.monitoring.history import History
from pipetest.outbox.dispatcher import PATIENCE_S, Dispatcher
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.persistence import LimitPersistence, ReservingExchange, reservation_size
from pipetest.runtime.shutdown import all_ended
from pipetest.scanner.scanner import Scanner


@frozen
class Exchanges:
    """With each service one."""

    github: ClosingExchange
    pipedrive: ClosingExchange
    heartbeat: ClosingExchange


class Pipeline:
    """Reads GitHub, records, and creates in Pipedrive, from :meth:`start` to :meth:`stop`. Making it starts nothing.

    It is the :class:`~pipetest.domain.interfaces.Controls` of its parts, and the scanner's
    :class:`~pipetest.domain.interfaces.ScanListener`.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        store: Store,
        exchanges: Exchanges,
        time: Time,
        clock: IReactorTime,
        random: Random,
    ) -> None:
        self._exchanges = (exchanges.github, exchanges.pipedrive, exchanges.heartbeat)
        self._clock = clock
        self.history = History(store, time.wall, clock)

        host = urlsplit(settings.github_url).hostname or ""
        github_limit = github_rate_limit(token=settings.github_token is not None, host=host)
        self.github = RateLimiter("GitHub", github_limit, exchanges.github, time, clock, random)
        github = GitHubClient(self.github, settings.github_url, settings.github_token, time.wall)

        ceiling = settings.daily_tokens
        pipedrive_limit = pipedrive_rate_limit(ceiling=ceiling, reserve=settings.reserve)
        # Under a ceiling of our own nobody else counts the tokens: none is spent before its count is stored.
        reserving = ReservingExchange("Pipedrive", exchanges.pipedrive, self._reserve, clock)
        exchange = exchanges.pipedrive if ceiling is None else reserving
        self.pipedrive = RateLimiter("Pipedrive", pipedrive_limit, exchange, time, clock, random, patience_s=PATIENCE_S)
        pipedrive = PipedriveClient(self.pipedrive, settings.pipedrive_url, settings.api_key)
        limiters = (self.github, self.pipedrive)
        self.limits = LimitPersistence(store, limiters, clock, reservation_size(ceiling))

        self.dispatcher = Dispatcher(
            pipedrive,
            store,
            time,
            clock,
            lambda ahead: self.pipedrive.ready_at(CREATE, ahead),
            self.history,
            settle=settings.settle_time,
            dry_run=settings.dry_run,
        )
        self.scanner = Scanner(
            github,
            store,
            time,
            clock,
            self,
            users=settings.queried_users,
            interval=settings.querying_interval,
        )
        url = settings.heartbeat_url
        self.heartbeat = None if url is None else Heartbeat(exchanges.heartbeat, url)
        self.collector = StatusCollector(
            settings,
            instance,
            store,
            time,
            self.scanner,
            self.dispatcher,
            self.github,
            self.pipedrive,
            self.history,
            self.heartbeat,
        )

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.limits.start()
        await self.history.start()
        await self.dispatcher.start()
        self.scanner.start()

    async def stop(self, grace_s: float, patience_s: float) -> bool:
        """First nothing new begins; then what is under way may end within ``grace_s`` seconds, and is stored. Each part
        is waited for ``patience_s`` seconds longer than that. Whether all of it has ended."""
        dispatcher, scanner = (Deferred.fromCoroutine(part.stop()) for part in (self.dispatcher, self.scanner))
        for limiter in (self.github, self.pipedrive):
            limiter.close()
        requests = [("requests", exchange.close(grace_s)) for exchange in self._exchanges]
        return all(
            [
                await all_ended(requests, grace_s + patience_s, self._clock),
                await all_ended([("dispatcher", dispatcher), ("scan", scanner)], patience_s, self._clock),
                await all_ended(
                    [("rate limits", self.limits.stop()), ("history", self.history.stop())], patience_s, self._clock
                ),
            ]
        )

    # --- what an operator asks of it ----------------------------------------------------------------------------------

    async def scan(self) -> None:
        self.scanner.scan_now()

    async def pause(self, paused: bool) -> None:
        await self.dispatcher.pause(paused)

    async def retry(self, gist_id: str) -> bool:
        return self.dispatcher.retry(gist_id)

    async def execute(self, command: Command) -> None:
        """Do what was asked of another instance."""
        match command:
            case Command(what="scan"):
                await self.scan()
            case Command(what="pause" | "resume"):
                await self.pause(command.what == "pause")
            case Command(what="retry", about=gist_id):
                await self.retry(gist_id)
            case _:
                self._log.warn("unknown command: {what}", what=command.what)

    def status(self) -> Status:
        return self.collector.collect()

    def health(self) -> Health:
        return self.collector.health()

    async def _reserve(self) -> None:
        await self.limits.reserve(self.pipedrive)

    # --- what its parts tell ------------------------------------------------------------------------------------------

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        self.history.gists_recorded(entries)
        self.dispatcher.enqueue(user, entries)

    def scan_ended(self, *, failed: bool) -> None:
        """The heartbeat tells that all is well: that the scan has not failed, and that Pipedrive can be used."""
        forecast = self.collector.forecast()
        if forecast.deals:
            self._log.info("{forecast}", forecast=str(forecast))
        if self.heartbeat is not None and not failed and not self._pipedrive_fails():
            self.heartbeat.beat()

    def _pipedrive_fails(self) -> bool:
        """While creation is paused nothing is asked, so nothing shows the end of an outage."""
        out = self.pipedrive.rate_limit.cooldown.outage and not self.dispatcher.paused
        return out or self.dispatcher.breaker.refusal is not None
