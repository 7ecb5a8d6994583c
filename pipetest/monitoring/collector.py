"""The daemon's state as people ask for it, taken from its parts at one moment."""

from collections.abc import Sequence
from importlib.metadata import version
from math import ceil, inf
from typing import Any

from msgspec.structs import replace

from pipetest.config.github_quota import quota_shortage
from pipetest.config.settings import Settings
from pipetest.domain import status
from pipetest.domain.interfaces import Store, Time
from pipetest.domain.status import Status
from pipetest.github.addresses import addresses_of
from pipetest.github.rate_limit import GitHubRateLimit
from pipetest.monitoring.access_check import AccessCheck
from pipetest.monitoring.answers import Answers
from pipetest.monitoring.forecast import Forecast
from pipetest.monitoring.forecaster import Forecaster
from pipetest.monitoring.heartbeat import Heartbeat
from pipetest.monitoring.history import History
from pipetest.monitoring.problems import UNANSWERED, Access, DaemonHealth
from pipetest.outbox.auditor import Auditor
from pipetest.outbox.outbox import Outbox
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import PipedriveRateLimit
from pipetest.pipedrive.templates import preview
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.policy import Cost
from pipetest.scanner.scanner import Scanner
from pipetest.scanner.user_lists import UserLists


class StatusCollector:
    """Takes :class:`~pipetest.domain.status.Status` and health from the parts of a pipeline."""

    def __init__(
        self,
        settings: Settings,
        instance: status.Instance,
        store: Store,
        time: Time,
        *,
        scanner: Scanner,
        lists: UserLists,
        outbox: Outbox,
        auditor: Auditor,
        github_limiter: RateLimiter[GitHubRateLimit],
        graphql_limiter: RateLimiter[GitHubRateLimit] | None,
        pipedrive_limiter: RateLimiter[PipedriveRateLimit],
        history: History,
        forecaster: Forecaster,
        heartbeat: Heartbeat | None,
        github_answers: Answers,
        pipedrive_answers: Answers,
        access_check: AccessCheck,
    ) -> None:
        self._instance = instance
        self._settings = settings
        self._interval = settings.querying_interval
        self._store = store
        self._time = time
        self._scanner = scanner
        self._lists = lists
        self._outbox = outbox
        self._auditor = auditor
        self._github_limiter = github_limiter
        self._graphql_limiter = graphql_limiter
        self._pipedrive_limiter = pipedrive_limiter
        self._history = history
        self.forecaster = forecaster
        self._heartbeat = heartbeat
        self._github_answers = github_answers
        self._pipedrive_answers = pipedrive_answers
        self._access_check = access_check

    def collect(self) -> Status:
        forecast, counts = self.forecaster.forecast(), self._scanner.users.counts()
        return Status(
            at=self._time.wall(),
            instance=self._instance,
            database_trouble=self._store.problem,
            scan=self._scan(),
            creation=self._creation(),
            ledger=self._outbox.status.counts(self._history.gists(), self._history.skipped()),
            outlook=_outlook(forecast),
            oldest=self._outbox.status.oldest(),
            user_counts=counts,
            users=[self._user(user) for user in self._scanner.users.most()],
            quotas=[*self._github_limiter.usage(), *self._graphql_usage(), *self._pipedrive_limiter.usage()],
            latest=self._latest(),
            quarantine=self._outbox.status.quarantine(),
            days=self._history.days(),
            deals_last_hour=self._history.deals_last_hour(),
            next_deal=self._next_deal(),
            passes=dict(self._scanner.passes),
            audit=self._auditor.state,
        )

    def all_users(self) -> Sequence[status.QueriedUser]:
        """The status names some of them."""
        return [self._user(user) for user in self._scanner.users.all()]

    def _creation(self) -> status.Creation:
        refusal = self._pipedrive_access().refusal or self._outbox.status.refusals().get("deal")
        return status.Creation(paused=self._outbox.paused, refusal=refusal, reconciling=self._outbox.reconciling)

    def _scan(self) -> status.Scan:
        health = self.health()
        return replace(self._scanner.status(), stalled=health.scans_fail or health.scans_stand_still)

    def _user(self, user: status.QueriedUser) -> status.QueriedUser:
        name = user.recorded_as or user.name
        gists, skipped = self._history.gists_of(name), self._history.skipped_of(name)
        return replace(user, gists=gists, skipped=skipped, deals=gists - skipped - self._outbox.status.open_deals(name))

    def _latest(self) -> Sequence[status.ShownGist]:
        shown = []
        for latest in self._history.latest():
            gist = latest.gist
            state = "skipped" if latest.skipped else self._outbox.status.state_name(gist.id)
            shown.append(
                status.ShownGist(
                    id=gist.id,
                    description="" if gist.text is None else gist.text.heading,
                    user=latest.user,
                    created_at=gist.created_at,
                    state=state,
                    deal=latest.deal,
                )
            )
        return shown

    def _next_deal(self) -> status.NextDeal | None:
        latest = self._history.latest()
        waiting = (gist for gist in latest if self._outbox.status.state_name(gist.gist.id) in ("wanted", "sent"))
        example = next(waiting, latest[0] if latest else None)
        if example is None:
            return None
        return preview(self._outbox.shape, example.gist, example.user, addresses_of(self._settings.github_url))

    def health(self) -> DaemonHealth:
        """What shows whether the work is done."""
        scanner, now = self._scanner, self._time.monotonic()
        return DaemonHealth(
            failed_scans=scanner.failed_in_a_row,
            scan_failure=scanner.failure,
            silent_for=0.0 if scanner.last_end is None else now - scanner.last_end,
            interval=self._interval,
            users=scanner.users.counts(),
            errors=scanner.users.errors(),
            left_out=scanner.users.leaving_out(),
            users_file=self._lists.file_problem,
            user_lists=self._lists.problems,
            too_many_users=self._too_many_users(),
            github=self._github_access(),
            pipedrive=self._pipedrive_access(),
            paused=self._outbox.paused,
            half_open=self._outbox.breaker.half_open,
            misfit=self._outbox.breaker.misfit,
            template_in_doubt=self._outbox.template_in_doubt,
            refusals=self._outbox.status.refusals(),
            put_off=self._outbox.status.put_off(),
            unsearched=self._outbox.status.unsearched(),
            hidden=self._outbox.status.hidden(),
            quarantined=self._outbox.status.quarantined(),
            audit=self._auditor.state.last,
            database=self._store.problem,
            heartbeat=None if self._heartbeat is None else self._heartbeat.problem,
        )

    def _graphql_usage(self) -> Sequence[status.Quota]:
        """Once GraphQL is asked, which is for very many users only."""
        usage = () if self._graphql_limiter is None else self._graphql_limiter.usage()
        return [quota for quota in usage if quota.limit is not None]

    def _too_many_users(self) -> tuple[str, str] | None:
        """What is too much for GitHub's limits, and what to do. Where nothing but settings says who is read, the start
        has told that."""
        if not (self._lists.may_change or self._settings.queried_users_file):
            return None
        short = quota_shortage(self._settings, self._scanner.users.counts().total)
        return None if short is None else (short.text, short.remedy)

    def _github_access(self) -> Access:
        """Its answers are ``wanted`` unless they are missing about a few users only: others were answered about."""
        answers, scan, scanner = self._github_answers, self._scanner.status(), self._scanner
        failing, queried = len(answers.about), scanner.users.counts().total
        return Access(
            failures=answers.failures,
            failing_for=answers.failing_for,
            reason=answers.reason,
            wanted=2 * failing > queried or (failing >= UNANSWERED and scan.visited < scan.users),
            refusal=scanner.refusal,
            held_until=self._held_until(self._github_limiter, Cost()),
            limited_for=answers.limited_for,
        )

    def _pipedrive_access(self) -> Access:
        answers, waiting = self._pipedrive_answers, self._outbox.status.anything_waits()
        wanted = waiting or self._access_check.is_open
        return Access(
            failures=answers.failures,
            failing_for=answers.failing_for,
            reason=answers.reason,
            wanted=wanted,
            refusal=(self._outbox.breaker.refusal if waiting else None) or self._access_check.refusal,
            held_until=self._held_until(self._pipedrive_limiter, CREATE),
            limited_for=answers.limited_for if wanted else 0.0,
        )

    def _held_until(self, limiter: RateLimiter[Any], cost: Cost) -> float:
        wait = limiter.rate_limit.wait(cost, 0, limiter.now())  # of the first that may go, however many wait for it
        return float(ceil(self._time.wall() + wait)) if 0.0 < wait < inf else 0.0


def _outlook(forecast: Forecast) -> status.Outlook | None:
    if not forecast.deals:
        return None
    return status.Outlook(done_at=forecast.done_at, text=str(forecast), obstacle=forecast.obstacle)


def instance_of(settings: Settings, started_at: float) -> status.Instance:
    """What does not change while the process lives."""
    addresses = addresses_of(settings.github_url)
    return status.Instance(
        company=settings.company_name,
        version=version("pipetest"),
        started_at=started_at,
        gists_url=addresses.gists,
        profiles_url=addresses.profiles,
        deals_url=f"{settings.pipedrive_url}/deal/",
        dry_run=settings.dry_run,
    )
