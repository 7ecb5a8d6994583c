"""The daemon's state as people ask for it, taken together from its parts at one moment."""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from urllib.parse import urlsplit

from attrs import define, field
from msgspec.structs import replace

from pipetest.config.settings import Settings
from pipetest.domain import status
from pipetest.domain.model import Quarantined, Sent, State, Wanted, key
from pipetest.domain.status import Status
from pipetest.monitoring.health import problems
from pipetest.pipeline import Pipeline


@define(eq=False)
class StatusCollector:
    """Takes a :class:`~pipetest.domain.status.Status` whenever it is called; ``current`` is the job there is at
    the moment, ``leader`` who works where there are several instances."""

    _settings: Settings
    _current: Callable[[], Pipeline]
    _leader: Callable[[], status.Leader | None] = lambda: None
    _instance: status.Instance = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._instance = status.Instance(
            company=self._settings.company_name,
            version=version("pipetest"),
            started_at=self._job.time.wall(),
            gists_url=gists_url(self._settings.github_url),
            deals_url=f"{self._settings.pipedrive_url}/deal/",
            dry_run=self._settings.dry_run,
        )

    @property
    def _job(self) -> Pipeline:
        return self._current()

    def __call__(self) -> Status:
        job, creator = self._job, self._job.creator
        forecast, counts = job.forecast(), job.scanner.user_counts()
        return Status(
            at=job.time.wall(),
            instance=self._instance,
            leader=self._leader(),
            troubles=tuple(self._troubles(counts.failing)),
            unready="; ".join(problems(job.signs()).values()) or None,
            database_trouble=job.store.trouble,
            scan=self._scan(),
            creation=status.Creation(paused=creator.paused, refusal=creator.breaker.refusal),
            ledger=self._ledger(),
            outlook=status.Outlook(done_at=forecast.done_at, text=str(forecast)) if forecast.deals else None,
            oldest=self._oldest(),
            user_counts=counts,
            users=[self._user(user) for user in job.scanner.users()],
            quotas=self._quotas(),
            latest=self._latest(),
            quarantine=self._quarantine(),
            days=[status.Day(day=day, gists=n.gists, deals=n.deals) for day, n in job.history.days.items()],
            passes=dict(job.scanner.passes),
        )

    def _troubles(self, failing: int) -> Iterator[str]:
        """What somebody should look at, the worst first."""
        job, backlog = self._job, self._job.creator.queue
        if job.store.trouble is not None:
            yield f"the database cannot be written: {job.store.trouble}"
        yield from problems(job.signs()).values()
        if job.scanner.problem is not None:
            yield f"GitHub cannot be read: {job.scanner.problem}"
        if job.creator.paused:
            yield "creation is paused by people"
        if failing:
            yield f"{failing} users cannot be read" if failing > 1 else "one user cannot be read"
        if quarantined := len(backlog.quarantined):
            yield f"{quarantined} gists are quarantined" if quarantined > 1 else "one gist is quarantined"
        if job.heartbeat is not None and job.heartbeat.trouble is not None:
            yield f"the heartbeat is not taken: {job.heartbeat.trouble}"

    def _scan(self) -> status.Scan:
        signs = self._job.signs()
        return replace(self._job.scanner.status(), stalled=signs.failing or signs.standing)

    def _ledger(self) -> status.Ledger:
        counts = self._job.creator.queue.counts
        return status.Ledger(
            wanted=counts[Wanted],
            sent=counts[Sent],
            quarantined=counts[Quarantined],
            done=self._job.history.counts.total() - counts.total(),
        )

    def _oldest(self) -> status.Waiting | None:
        case = self._job.creator.queue.oldest()
        if case is None:
            return None
        since_at = self._job.time.wall() - (self._job.time.monotonic() - case.waiting_since)
        return status.Waiting(id=case.entry.gist.id, user=case.parent.name, since_at=since_at)

    def _user(self, user: status.QueriedUser) -> status.QueriedUser:
        name = key(user.name)
        organization, gists = self._job.creator.queue.organizations.get(f"user {name}"), self._job.history.counts[name]
        return replace(user, gists=gists, deals=gists - (0 if organization is None else len(organization.deals)))

    def _quotas(self) -> Sequence[status.Quota]:
        return [
            status.Quota(
                service=governor.service,
                name=gauge.name,
                limit=gauge.limit,
                left=gauge.left,
                used=gauge.used,
                reset_at=gauge.reset_at,
            )
            for governor in (self._job.github, self._job.pipedrive)
            for gauge in governor.snapshot().gauges
        ]

    def _quarantine(self) -> Sequence[status.Quarantined]:
        return [
            status.Quarantined(
                id=case.entry.gist.id, user=case.parent.name, reason=case.state.reason, since_at=case.state.since_at
            )
            for case in self._job.creator.queue.quarantined.values()
            if isinstance(case.state, Quarantined)
        ]

    def _latest(self) -> Sequence[status.ShownGist]:
        cases = self._job.creator.queue
        shown = []
        for latest in reversed(self._job.history.latest.values()):
            case = cases.deal(latest.gist.id)
            state = "done" if case is None else name_of(case.state)
            gist = latest.gist
            shown.append(
                status.ShownGist(
                    id=gist.id, user=latest.user, created_at=gist.created_at, state=state, deal=latest.deal
                )
            )
        return shown


def gists_url(github_url: str) -> str:
    """Where people read gists: GitHub has a host for them, GitHub Enterprise a folder."""
    url = urlsplit(github_url)
    if url.hostname == "api.github.com":
        return "https://gist.github.com/"
    return f"{url.scheme}://{url.netloc}/gist/"


def name_of(state: State) -> str:
    return type(state).__name__.lower()
