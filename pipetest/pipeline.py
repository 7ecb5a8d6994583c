"""The job of the daemon, wired: the scan, the creator, and the quotas that both stay within."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.config.settings import Settings
from pipetest.daemon import Pool, Work
from pipetest.domain.interfaces import ClosingExchange, Command, Store, Time
from pipetest.domain.model import Entry, Sent, User, Wanted
from pipetest.github.client import GitHubClient
from pipetest.github.rate_limit import GitHubRateLimit, github_rate_limit
from pipetest.monitoring.forecast import Forecast, forecast
from pipetest.monitoring.health import Health
from pipetest.monitoring.heartbeat import Heartbeat
from pipetest.monitoring.history import History
from pipetest.outbox.dispatcher import PATIENCE_S, Dispatcher
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import PipedriveRateLimit, pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.persistence import LimitPersistence, ReservingExchange, reservation_size
from pipetest.scanner.scanner import Scanner


@frozen
class Resources:
    """What the daemon stands on: clocks, chance, the store and its thread, and an exchange with each service."""

    time: Time
    clock: IReactorTime
    chance: Random
    pool: Pool
    store: Store
    github: ClosingExchange
    pipedrive: ClosingExchange
    heartbeat: ClosingExchange


class Pipeline:
    """The scan and the creator on one ground. Nothing is begun by making it."""

    _log = Logger()

    def __init__(self, settings: Settings, ground: Resources) -> None:
        self.time, self.store = ground.time, ground.store
        self.history = History(ground.store, ground.time.wall, ground.clock)
        self.github = _github_governor(settings, ground)
        self.pipedrive = _pipedrive_governor(settings, ground, lambda: self.work.keeper.cover(self.pipedrive))
        self.creator = self._creator(settings, ground)
        self.scanner = self._scanner(settings, ground)
        self._interval = settings.querying_interval
        self._dry_run = settings.dry_run
        url = settings.heartbeat_url
        self.heartbeat = None if url is None else Heartbeat(ground.heartbeat, url)
        governors = (self.github, self.pipedrive)
        self.work = Work(
            keeper=LimitPersistence(ground.store, governors, ground.clock, reservation_size(settings.daily_tokens)),
            history=self.history,
            governors=governors,
            exchanges=(ground.github, ground.pipedrive, ground.heartbeat),
            creator=self.creator,
            scanner=self.scanner,
            clock=ground.clock,
        )

    # --- what people ask of it ----------------------------------------------------------------------------------------

    async def scan(self) -> None:
        self.scanner.scan_now()

    async def pause(self, paused: bool) -> None:
        await self.creator.pause(paused)

    async def retry(self, gist_id: str) -> bool:
        return self.creator.retry(gist_id)

    async def obey(self, order: Command) -> None:
        """Do what was asked of another instance."""
        match order:
            case Command(what="scan"):
                await self.scan()
            case Command(what="pause" | "resume"):
                await self.pause(order.what == "pause")
            case Command(what="retry", about=gist_id):
                await self.retry(gist_id)
            case _:
                self._log.warn("nobody here knows how to {what}", what=order.what)

    # --- how it stands ------------------------------------------------------------------------------------------------

    def _creator(self, settings: Settings, ground: Resources) -> Dispatcher:
        return Dispatcher(
            PipedriveClient(self.pipedrive, settings.pipedrive_url, settings.api_key),
            ground.store,
            ground.time,
            ground.clock,
            lambda ahead: self.pipedrive.ready_at(CREATE, ahead),
            self.history.done,
            settle=settings.settle_time,
            dry_run=settings.dry_run,
        )

    def _scanner(self, settings: Settings, ground: Resources) -> Scanner:
        return Scanner(
            GitHubClient(self.github, settings.github_url, settings.github_token, ground.time.wall),
            ground.store,
            ground.time,
            ground.clock,
            self,
            users=settings.queried_users,
            interval=settings.querying_interval,
        )

    def signs(self) -> Health:
        """What shows whether it is done."""
        scanner, now = self.scanner, self.time.monotonic()
        return Health(
            failed_scans=scanner.failed_in_a_row,
            silent_for=0.0 if scanner.ended_at is None else now - scanner.ended_at,
            interval=self._interval,
            refusal=self.creator.breaker.refusal,
        )

    def forecast(self) -> Forecast:
        """When all that waits now will be done."""
        backlog = self.creator.queue
        homeless = sum(isinstance(desk.state, Wanted | Sent) for desk in backlog.organizations.values())
        now = self.pipedrive.now()
        budget = self.pipedrive.quota.budget(now)
        return forecast(backlog.waiting, homeless, budget, now.wall, self._obstacle())

    def _obstacle(self) -> str | None:
        """Why nothing is created, other than for a quota."""
        if self._dry_run:
            return "a dry run creates none"
        if self.creator.paused:
            return "creation is paused by people"
        return None if self.creator.breaker.refusal is None else "Pipedrive refuses them"

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        self.history.recorded(entries)
        self.creator.enqueue(user, entries)

    def scan_ended(self, *, failed: bool) -> None:
        """A scan fails when an API could not be used; for the creator's part of it, that is Pipedrive."""
        if self.creator.queue.waiting:
            self._log.info("{forecast}", forecast=str(self.forecast()))
        if self.heartbeat is not None and not failed and not self._pipedrive_fails():
            self.heartbeat.beat()

    def _pipedrive_fails(self) -> bool:
        """While people pause creation nothing is asked, so nothing shows the end of an outage."""
        out = self.pipedrive.quota.hold.out and not self.creator.paused
        return out or self.creator.breaker.refusal is not None


def _github_governor(settings: Settings, ground: Resources) -> RateLimiter[GitHubRateLimit]:
    host = urlsplit(settings.github_url).hostname or ""
    quota = github_rate_limit(token=settings.github_token is not None, host=host)
    return RateLimiter("GitHub", quota, ground.github, ground.time, ground.clock, ground.chance)


def _pipedrive_governor(
    settings: Settings, ground: Resources, cover: Callable[[], Awaitable[None]]
) -> RateLimiter[PipedriveRateLimit]:
    """Where we set the ceiling, nothing is sent before ``cover`` has stored its tokens: nobody else counts them."""
    quota = pipedrive_rate_limit(ceiling=settings.daily_tokens, reserve=settings.reserve)
    counted = ReservingExchange(ground.pipedrive, cover, ground.clock)
    exchange = ground.pipedrive if settings.daily_tokens is None else counted
    return RateLimiter("Pipedrive", quota, exchange, ground.time, ground.clock, ground.chance, patience_s=PATIENCE_S)
