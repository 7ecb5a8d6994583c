"""The daemon's state as people ask for it, taken from its parts at one moment."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from msgspec.structs import replace

from pipetest.config.settings import Settings
from pipetest.domain import status
from pipetest.domain.interfaces import Store, Time
from pipetest.domain.status import Status
from pipetest.github.rate_limit import GitHubRateLimit
from pipetest.monitoring.forecaster import Forecaster
from pipetest.monitoring.health import Health, problems
from pipetest.monitoring.heartbeat import Heartbeat
from pipetest.monitoring.history import History
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.pipedrive.rate_limit import PipedriveRateLimit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.scanner.scanner import Scanner


class StatusCollector:
    """Takes :class:`~pipetest.domain.status.Status` and health from the parts of a pipeline."""

    def __init__(
        self,
        settings: Settings,
        instance: status.Instance,
        store: Store,
        time: Time,
        scanner: Scanner,
        dispatcher: Dispatcher,
        github_limiter: RateLimiter[GitHubRateLimit],
        pipedrive_limiter: RateLimiter[PipedriveRateLimit],
        history: History,
        forecaster: Forecaster,
        heartbeat: Heartbeat | None,
    ) -> None:
        self._instance = instance
        self._interval = settings.querying_interval
        self._store = store
        self._time = time
        self._scanner = scanner
        self._dispatcher = dispatcher
        self._limiters = (github_limiter, pipedrive_limiter)
        self._history = history
        self.forecaster = forecaster
        self._heartbeat = heartbeat

    def collect(self) -> Status:
        forecast, counts = self.forecaster.forecast(), self._scanner.user_counts()
        return Status(
            at=self._time.wall(),
            instance=self._instance,
            troubles=tuple(self._troubles(counts.failing)),
            unready="; ".join(problems(self.health()).values()) or None,
            database_trouble=self._store.trouble,
            scan=self._scan(),
            creation=self._dispatcher.creation(),
            ledger=self._dispatcher.counts(self._history.gists()),
            outlook=status.Outlook(done_at=forecast.done_at, text=str(forecast)) if forecast.deals else None,
            oldest=self._dispatcher.oldest(),
            user_counts=counts,
            users=[self._user(user) for user in self._scanner.users()],
            quotas=self._quotas(),
            latest=self._latest(),
            quarantine=self._dispatcher.quarantine(),
            days=self._history.days(),
            passes=dict(self._scanner.passes),
        )

    def _troubles(self, failing: int) -> Iterator[str]:
        """What somebody should look at, the worst first."""
        if self._store.trouble is not None:
            yield f"the database cannot be written: {self._store.trouble}"
        yield from problems(self.health()).values()
        if self._scanner.problem is not None:
            yield f"GitHub cannot be read: {self._scanner.problem}"
        if self._dispatcher.paused:
            yield "creation is paused by people"
        if failing:
            yield f"{failing} users cannot be read" if failing > 1 else "one user cannot be read"
        if quarantined := len(self._dispatcher.queue.quarantined):
            yield f"{quarantined} gists are quarantined" if quarantined > 1 else "one gist is quarantined"
        if self._heartbeat is not None and self._heartbeat.problem is not None:
            yield f"the heartbeat is not taken: {self._heartbeat.problem}"

    def _scan(self) -> status.Scan:
        health = self.health()
        return replace(self._scanner.status(), stalled=health.failing or health.standing)

    def _user(self, user: status.QueriedUser) -> status.QueriedUser:
        gists = self._history.gists_of(user.name)
        return replace(user, gists=gists, deals=gists - self._dispatcher.open_deals(user.name))

    def _quotas(self) -> Sequence[status.Quota]:
        return [
            status.Quota(
                service=limiter.service,
                name=usage.name,
                limit=usage.limit,
                left=usage.left,
                used=usage.used,
                reset_at=usage.reset_at,
            )
            for limiter in self._limiters
            for usage in limiter.usage()
        ]

    def _latest(self) -> Sequence[status.ShownGist]:
        shown = []
        for latest in self._history.latest():
            gist, state = latest.gist, self._dispatcher.state_name(latest.gist.id)
            shown.append(
                status.ShownGist(
                    id=gist.id, user=latest.user, created_at=gist.created_at, state=state, deal=latest.deal
                )
            )
        return shown

    def health(self) -> Health:
        """What shows whether the work is done."""
        scanner, now = self._scanner, self._time.monotonic()
        return Health(
            failed_scans=scanner.failed_in_a_row,
            silent_for=0.0 if scanner.ended_at is None else now - scanner.ended_at,
            interval=self._interval,
            refusal=self._dispatcher.creation().refusal,
        )


def instance_of(settings: Settings, started_at: float) -> status.Instance:
    """What does not change while the process lives."""
    return status.Instance(
        company=settings.company_name,
        version=version("pipetest"),
        started_at=started_at,
        gists_url=gists_url(settings.github_url),
        deals_url=f"{settings.pipedrive_url}/deal/",
        dry_run=settings.dry_run,
    )


def gists_url(github_url: str) -> str:
    """Where people read gists: GitHub has a host for them, GitHub Enterprise a folder."""
    url = urlsplit(github_url)
    if url.hostname == "api.github.com":
        return "https://gist.github.com/"
    return f"{url.scheme}://{url.netloc}/gist/"
