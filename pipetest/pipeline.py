"""The pipeline of one term: scanner and outbox with their clients, wired."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.config.files import read_users_file
from pipetest.config.settings import Settings
from pipetest.domain.interfaces import ClosingExchange, Command, Run, Store, Time
from pipetest.domain.model import Entry, User
from pipetest.domain.problems import errors
from pipetest.domain.status import Instance, QueriedUser, Status
from pipetest.github.addresses import addresses_of
from pipetest.github.client import GitHubClient
from pipetest.github.graphql import GraphQLClient
from pipetest.github.rate_limit import GitHubRateLimit, github_rate_limit, graphql_rate_limit
from pipetest.monitoring.access_check import AccessCheck
from pipetest.monitoring.answers import Answers, WatchedGitHub, WatchedPipedrive
from pipetest.monitoring.collector import StatusCollector
from pipetest.monitoring.forecaster import Forecaster
from pipetest.monitoring.heartbeat import Heartbeat
from pipetest.monitoring.history import History
from pipetest.monitoring.problems import DaemonHealth, problems
from pipetest.outbox.auditor import Auditor
from pipetest.outbox.dispatcher import LONGEST_CREATE_WAIT_S
from pipetest.outbox.outbox import Outbox
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.prices import ARCHIVED_PAGE, CREATE, WHO_AM_I
from pipetest.pipedrive.rate_limit import PipedriveRateLimit, pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.persistence import LimitPersistence, tokens_ahead
from pipetest.runtime.shutdown import all_ended
from pipetest.scanner.scanner import Scanner
from pipetest.scanner.user_lists import UserLists


class Exchanges(Struct, frozen=True):
    """With each service one."""

    github: ClosingExchange
    pipedrive: ClosingExchange
    heartbeat: ClosingExchange


def build_pipeline(
    settings: Settings,
    instance: Instance,
    store: Store,
    exchanges: Exchanges,
    time: Time,
    clock: IReactorTime,
    random: Random,
    run: Run,
) -> "Pipeline":
    """Every object of one term, wired from top to bottom. Nothing begins. ``run`` does in a thread what blocks."""
    history = History(store, time.wall, clock)
    limits = LimitPersistence(store, time, clock, tokens_ahead(settings.daily_tokens))

    github_limiter, github_client = _github(settings, exchanges, time, clock, random)
    github_answers = Answers(time.monotonic)
    github = WatchedGitHub(github_client, github_answers)
    graphql_limiter, summaries = _graphql(settings, exchanges, time, clock, random)

    pipedrive_limiter = RateLimiter(
        "Pipedrive",
        pipedrive_rate_limit(ceiling=settings.daily_tokens, reserve=settings.reserve),
        exchanges.pipedrive,
        time,
        clock,
        random,
        longest_create_wait=LONGEST_CREATE_WAIT_S,
        # Under a ceiling of our own nobody else counts the tokens: none is spent before its count is stored.
        count_ahead=None if settings.daily_tokens is None else limits.count_ahead,
    )
    pipedrive_answers = Answers(time.monotonic)
    pipedrive = WatchedPipedrive(
        PipedriveClient(
            pipedrive_limiter,
            settings.pipedrive_url,
            settings.api_key,
            addresses_of(settings.github_url),
            stamp_field=lambda: outbox.shape.stamp_field,  # asked once the outbox is there
        ),
        pipedrive_answers,
    )

    def tokens_a_day() -> float:
        return pipedrive_limiter.rate_limit.budget(pipedrive_limiter.now()).a_day

    outbox = Outbox(
        pipedrive,
        store,
        time,
        clock,
        lambda ahead: pipedrive_limiter.ready(CREATE, ahead),
        history,
        settle=settings.settle_time,
        dry_run=settings.dry_run,
        tokens_a_day=tokens_a_day,
        template=settings.deals,
    )
    auditor = Auditor(
        pipedrive,
        store,
        time,
        clock,
        run,
        may_begin=lambda: outbox.status.waiting() == 0,
        may_ask=lambda: outbox.leaves_room and pipedrive_limiter.ready(ARCHIVED_PAGE) <= time.monotonic(),
        asked=outbox.wake,
        tokens_a_day=tokens_a_day,
        settle=settings.settle_time,
        titles_tell=lambda: settings.deals.value.title.ends_with_id,
    )
    access_check = AccessCheck(
        pipedrive, lambda: pipedrive_limiter.ready(WHO_AM_I) <= time.monotonic(), outbox.wake, clock
    )
    heartbeat = None if settings.heartbeat_url is None else Heartbeat(exchanges.heartbeat, settings.heartbeat_url)
    forecaster = Forecaster(outbox, pipedrive_limiter, pipedrive_answers, access_check, dry_run=settings.dry_run)

    def is_healthy() -> bool:  # asked once the collector is there
        return not errors(problems(collector.health(), {}, time.wall()))

    follow_up = FollowUp(history, outbox, forecaster, heartbeat, is_healthy)
    users_file = settings.queried_users_file
    read_users = None if users_file is None else partial(run, partial(read_users_file, users_file, settings.backfill))
    lists = UserLists(settings.queried_users, read_users, github, store)
    scanner = Scanner(
        github,
        store,
        time,
        clock,
        follow_up,
        lists=lists,
        interval=settings.querying_interval,
        backfill_since=settings.backfill.since_at,
        needs_text=lambda: settings.deals.value.needs_text,
        summaries=summaries,
        reads_a_minute=github_limiter.rate_limit.points.limit,
    )
    collector = StatusCollector(
        settings,
        instance,
        store,
        time,
        scanner=scanner,
        lists=lists,
        outbox=outbox,
        auditor=auditor,
        github_limiter=github_limiter,
        graphql_limiter=graphql_limiter,
        pipedrive_limiter=pipedrive_limiter,
        history=history,
        forecaster=forecaster,
        heartbeat=heartbeat,
        github_answers=github_answers,
        pipedrive_answers=pipedrive_answers,
        access_check=access_check,
    )
    return Pipeline(
        exchanges,
        store,
        clock,
        github_limiter=github_limiter,
        graphql_limiter=graphql_limiter,
        pipedrive_limiter=pipedrive_limiter,
        limits=limits,
        history=history,
        outbox=outbox,
        scanner=scanner,
        auditor=auditor,
        access_check=access_check,
        collector=collector,
    )


def _github(
    settings: Settings, exchanges: Exchanges, time: Time, clock: IReactorTime, random: Random
) -> tuple[RateLimiter[GitHubRateLimit], GitHubClient]:
    limit = github_rate_limit(
        token=settings.github_token is not None, host=urlsplit(settings.github_url).hostname or ""
    )
    limiter = RateLimiter("GitHub", limit, exchanges.github, time, clock, random)
    return limiter, GitHubClient(limiter, settings.github_url, settings.github_token, time.wall)


def _graphql(
    settings: Settings, exchanges: Exchanges, time: Time, clock: IReactorTime, random: Random
) -> tuple[RateLimiter[GitHubRateLimit] | None, GraphQLClient | None]:
    """It is not for clients without a token."""
    if settings.github_token is None:
        return None, None
    limit = graphql_rate_limit(urlsplit(settings.github_url).hostname or "")
    limiter = RateLimiter("GitHub GraphQL", limit, exchanges.github, time, clock, random)
    return limiter, GraphQLClient(limiter, settings.github_url, settings.github_token, time.wall)


class Pipeline:
    """Reads GitHub, records, and creates in Pipedrive, from :meth:`start` to :meth:`stop`.

    It is the :class:`~pipetest.domain.interfaces.Controls` of its parts.
    """

    _log = Logger()

    def __init__(
        self,
        exchanges: Exchanges,
        store: Store,
        clock: IReactorTime,
        *,
        github_limiter: RateLimiter[GitHubRateLimit],
        graphql_limiter: RateLimiter[GitHubRateLimit] | None,
        pipedrive_limiter: RateLimiter[PipedriveRateLimit],
        limits: LimitPersistence,
        history: History,
        outbox: Outbox,
        scanner: Scanner,
        auditor: Auditor,
        access_check: AccessCheck,
        collector: StatusCollector,
    ) -> None:
        self._limiters: Sequence[RateLimiter[Any]] = (
            github_limiter,
            pipedrive_limiter,
            *(() if graphql_limiter is None else (graphql_limiter,)),
        )
        self.pipedrive_limiter = pipedrive_limiter
        self.limits = limits
        self.history = history
        self.outbox = outbox
        self.scanner = scanner
        self.auditor = auditor
        self.access_check = access_check
        self.collector = collector
        self._store = store
        self._exchanges = (exchanges.github, exchanges.pipedrive, exchanges.heartbeat)
        self._clock = clock

    # --- start and stop -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.limits.start(*self._limiters)
        await self.history.start()
        self.access_check.start()
        await self.outbox.start()
        await self.auditor.start()
        self.scanner.start()

    async def stop(self, grace_s: float, extra_s: float) -> bool:
        """First nothing new begins; then what is under way may end within ``grace_s`` seconds, and is stored. Each part
        is waited for ``extra_s`` seconds longer than that. Whether all of it has ended."""
        stops = {"outbox": self.outbox.stop, "scan": self.scanner.stop, "audit": self.auditor.stop}
        endings = [(name, Deferred.fromCoroutine(stop())) for name, stop in stops.items()]
        self.access_check.stop()
        for limiter in self._limiters:
            limiter.close()
        requests = [("requests", exchange.close(grace_s)) for exchange in self._exchanges]
        return all(
            [
                await all_ended(requests, grace_s + extra_s, self._clock),
                await all_ended(endings, extra_s, self._clock),
                await all_ended(
                    [("rate limits", self.limits.stop()), ("history", self.history.stop())], extra_s, self._clock
                ),
            ]
        )

    # --- what an operator asks of it ----------------------------------------------------------------------------------

    async def scan(self) -> None:
        """Who asks for it may have changed what the template names."""
        self.scanner.scan_now()
        self.outbox.look_up_now()

    async def set_paused(self, paused: bool) -> None:
        storing = Deferred.fromCoroutine(self.outbox.set_paused(paused))
        self.pipedrive_limiter.take_back_creates()
        await storing

    async def retry(self, name: str) -> bool:
        return self.outbox.retry(name)

    async def retry_all(self) -> None:
        self.outbox.retry_all()

    async def audit(self) -> None:
        self.auditor.audit_now()

    async def backfill(self, user: str) -> bool:
        """All gists of this user that were skipped are wanted; False where no such user was ever scanned."""
        known = await self._store.known_users([user], ())
        if not known:
            return False
        self.outbox.skipped_no_more(await self._store.want_skipped(known[0].name))
        self.scanner.skipped_no_more()
        return True

    async def execute(self, command: Command) -> None:
        """Do what was asked of another instance."""
        match command:
            case Command(what="scan"):
                await self.scan()
            case Command(what="pause" | "resume"):
                await self.set_paused(command.what == "pause")
            case Command(what="retry", about=name):
                await self.retry(name)
            case Command(what="retry-all"):
                await self.retry_all()
            case Command(what="audit"):
                await self.audit()
            case Command(what="backfill", about=user):
                await self.backfill(user)
            case _:
                self._log.warn("unknown command: {what}", event="command_unknown", what=command.what)

    def settings_renewed(self) -> None:
        """The settings were read again, and the key with them. What waits to leave was made by the template before."""
        self.outbox.template_changed()
        self.pipedrive_limiter.take_back_creates()
        self.access_check.ask_again()

    # --- how it stands ------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        return self.collector.collect()

    def all_users(self) -> Sequence[QueriedUser]:
        return self.collector.all_users()

    def health(self) -> DaemonHealth:
        return self.collector.health()

    def scanned_users(self) -> Sequence[str]:
        return self.scanner.users.names


TOLD_S = 600.0
"""Where new gists will wait for longer than this, the log says until when."""


class FollowUp:
    """What follows a pass and a scan; a :class:`~pipetest.domain.interfaces.ScanListener`."""

    _log = Logger()

    def __init__(
        self,
        history: History,
        outbox: Outbox,
        forecaster: Forecaster,
        heartbeat: Heartbeat | None,
        is_healthy: Callable[[], bool],
    ) -> None:
        self._history = history
        self._outbox = outbox
        self._forecaster = forecaster
        self._heartbeat = heartbeat
        self._is_healthy = is_healthy
        self._has_news = False

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        self._has_news = self._has_news or bool(entries)
        self._history.gists_recorded(entries)
        self._outbox.enqueue(user, entries)

    def texts_known(self, entries: Sequence[Entry]) -> None:
        self._outbox.texts_known(entries)

    def scan_ended(self, *, failed: bool) -> None:
        """The heartbeat tells that all is well: that the scan has not failed, and no error lasts."""
        forecast = self._forecaster.forecast()
        if self._has_news and forecast.takes_s > TOLD_S:
            self._log.info("{forecast}", event="forecast_made", forecast=str(forecast))
        self._has_news = False
        if self._heartbeat is not None and not failed and self._is_healthy():
            self._heartbeat.beat()
