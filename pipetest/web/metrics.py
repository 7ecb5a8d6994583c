"""The status as Prometheus reads it.

Names and units follow Prometheus's conventions (prometheus.io/docs/practices/naming). Labels take few values: none is a
gist or a user. What is not known is left out rather than made up.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipetest.domain.status import Audit, Quota, Status

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """What ``/metrics`` answers, made from a new status each time. ``refused``: how many had no admin token."""

    def __init__(self, status: Callable[[], Status], refused: Callable[[], int] = lambda: 0) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StatusMetrics(status, refused))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _StatusMetrics(Collector):
    def __init__(self, status: Callable[[], Status], refused: Callable[[], int]) -> None:
        self._status = status
        self._refused = refused

    def describe(self) -> list[Metric]:
        """Empty, so that the registry asks for no status when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield from _state(status)
        yield from _scan(status)
        yield from _ledger(status)
        yield from _quotas(status)
        yield from _audit(status.audit.last)
        yield CounterMetricFamily(
            "pipetest_admin_refusals", "Requests that came without the admin token.", value=self._refused()
        )


def _state(status: Status) -> Iterator[Metric]:
    instance = status.instance
    info = GaugeMetricFamily("pipetest_build_info", "Which pipetest runs.", labels=["version"])
    info.add_metric([instance.version], 1)
    yield info
    leads = status.leader is None or status.leader.here
    yield _gauge("leader", "Whether this instance scans and creates; one of several does.", leads)
    yield _gauge("ready", "Whether /ready answers 200.", status.unready is None)
    yield _gauge("database_writable", "Whether the database can be written.", status.database_trouble is None)
    yield _gauge("troubles", "Things that somebody should look at; the status names them.", len(status.troubles))
    problems = GaugeMetricFamily(
        "pipetest_problem",
        "What an operator has to know, 1 while it lasts; the status says what to do.",
        labels=["id", "severity"],
    )
    for problem in status.problems:
        problems.add_metric([problem.id, problem.severity], 1)
    yield problems
    yield _gauge("dry_run", "Whether nothing is created, by its settings.", instance.dry_run)
    yield _gauge("creation_paused", "Whether an operator has paused the creation of deals.", status.creation.paused)
    yield _gauge(
        "creation_refused", "Whether Pipedrive's account refuses every create.", status.creation.refusal is not None
    )


def _scan(status: Status) -> Iterator[Metric]:
    scan = status.scan
    yield _gauge("scan_under_way", "Whether a scan is under way.", scan.under_way)
    yield _gauge("scan_users", "Users that the scan under way, or the last one, is to check.", scan.users)
    yield _gauge("scan_users_visited", "Users that it has checked.", scan.visited)
    yield _gauge("scan_failures_in_a_row", "Failed scans since the last one that did not.", scan.failed_in_a_row)
    yield _gauge("scans_stalled", "Whether scans fail again and again, or stand still.", scan.stalled)
    yield from _time("scan_started", "When that scan began.", scan.started_at)
    yield from _time("scan_ended", "When it ended; missing while it is under way.", scan.ended_at)
    passes = CounterMetricFamily("pipetest_passes", "Readings of a user's list that ended.", labels=["outcome"])
    for outcome, number in sorted(status.passes.items()):
        passes.add_metric([outcome], number)
    yield passes
    users = GaugeMetricFamily("pipetest_users", "Queried users, by how the last reading went.", labels=["state"])
    counts = status.user_counts
    users.add_metric(["failing"], counts.failing)
    users.add_metric(["unread"], counts.unread)
    users.add_metric(["well"], counts.total - counts.failing - counts.unread)
    yield users


def _ledger(status: Status) -> Iterator[Metric]:
    ledger = status.ledger
    gists = GaugeMetricFamily("pipetest_gists", "Gists ever recorded, by how far the deal has come.", labels=["state"])
    for state in ("wanted", "sent", "done", "quarantined", "skipped"):
        gists.add_metric([state], getattr(ledger, state))
    yield gists
    refused = sum(record.kind == "organization" for record in status.quarantine)
    yield _gauge("organizations_quarantined", "Organizations that Pipedrive refused for good.", refused)
    since_at = status.oldest.since_at if status.oldest else None
    yield from _time("oldest_waiting_gist", "Since when the gist waits that waits longest.", since_at)
    done_at = status.outlook.done_at if status.outlook else None
    yield from _time("backlog_done", "When all that waits is expected to be done.", done_at)


def _quotas(status: Status) -> Iterator[Metric]:
    def family(name: str, text: str, value: Callable[[Quota], float | None]) -> Metric:
        gauge = GaugeMetricFamily(f"pipetest_quota_{name}", text, labels=["service", "quota"])
        for quota in status.quotas:
            if (known := value(quota)) is not None:
                gauge.add_metric([quota.service, quota.name], known)
        return gauge

    yield family("limit", "What an API allows.", lambda quota: quota.limit)
    yield family("left", "What may still be used of it.", lambda quota: quota.left)
    yield family("used", "What has been used of it.", lambda quota: quota.used)
    yield family("reset_timestamp_seconds", "When it is whole again.", lambda quota: quota.reset_at)


def _audit(audit: Audit | None) -> Iterator[Metric]:
    gists = GaugeMetricFamily("pipetest_audit_gists", "Gists that the last audit found to differ.", labels=["result"])
    for result, number in {} if audit is None else audit.counts.items():
        gists.add_metric([result], number)
    yield gists
    yield from _time("audit", "When it began.", None if audit is None else audit.at)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"pipetest_{name}", text, value=value)


def _time(name: str, text: str, at: float | None) -> Iterator[Metric]:
    if at is not None:
        yield _gauge(f"{name}_timestamp_seconds", f"{text} Since the epoch.", at)
