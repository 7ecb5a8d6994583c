"""What is wrong, by what can be seen of the daemon. Pure.

Each rule is about one kind of problem: its id, how severe it is, what is said about it, and what to do.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from pipetest.domain.problems import OperatorProblem, Severity
from pipetest.domain.status import UserCounts
from pipetest.domain.text import duration

FAILED_SCANS = 3
STANDING_INTERVALS = 3

UNANSWERED = 3
"""After this many requests in a row without a usable answer, nobody waits for a better one."""

UNANSWERED_S = 120.0
"""Whatever stands still is told within this time."""

LEADER_SILENT_S = 60.0
"""An instance that leads tells of itself every 15 s."""

LONG_HOLD_S = 180.0
"""A limit that lets nothing go for so long is told. GitHub's hour, spread without a token, has shorter waits."""


class Access(Struct, frozen=True):
    """How one API answers.

    So many requests in a row as ``failures`` tells had no usable answer, the first of them ``failing_for`` seconds ago
    and the last one for this ``reason``. ``wanted``: something waits for its answers. ``refusal``: why the account, or
    the token, is refused. ``held_until``: when (since the epoch) a limit lets the next request go.
    """

    failures: int = 0
    failing_for: float = 0.0
    reason: str | None = None
    wanted: bool = False
    refusal: str | None = None
    held_until: float = 0.0

    @property
    def gives_no_usable_answer(self) -> bool:
        return self.failures >= UNANSWERED or (self.failures > 0 and self.failing_for >= UNANSWERED_S)


class Health(Struct, frozen=True):
    """What can be seen: failed scans in a row, seconds since a scan has last ended, the seconds between scans, and what
    each part says of itself. ``leader_silent_for``: seconds for which the instance that leads has told nothing new, if
    it is another one."""

    failed_scans: int = 0
    silent_for: float = 0.0
    interval: float = 0.0
    users: UserCounts = UserCounts()
    github: Access = Access()
    pipedrive: Access = Access()
    paused: bool = False
    quarantined: int = 0
    database: str | None = None
    heartbeat: str | None = None
    leader_silent_for: float = 0.0

    @property
    def scans_fail(self) -> bool:
        return self.failed_scans >= FAILED_SCANS

    @property
    def scans_stand_still(self) -> bool:
        return self.silent_for > STANDING_INTERVALS * self.interval


class Finding(Struct, frozen=True):
    """A problem that is there now."""

    id: str
    severity: Severity
    text: str
    remedy: str

    def lasting(self, since: float) -> OperatorProblem:
        return OperatorProblem(id=self.id, severity=self.severity, since=since, text=self.text, remedy=self.remedy)


def problems(health: Health, known: Mapping[str, float], now_at: float) -> Sequence[OperatorProblem]:
    """All that is wrong, the worst first; ``known`` tells since when, for those that were there before."""
    found = sorted(
        _findings(health, known, now_at), key=lambda finding: finding.severity
    )  # "error" comes before "warning"
    return [finding.lasting(known.get(finding.id, now_at)) for finding in found]


def _findings(health: Health, known: Collection[str], now_at: float) -> Iterator[Finding]:
    if health.database is not None:
        yield Finding(
            "database-not-writable",
            "error",
            f"the database cannot be written: {health.database}",
            "Make room where a disk is full; it goes on by itself",
        )
    if health.leader_silent_for > LEADER_SILENT_S:
        yield Finding(
            "nobody-scans",
            "error",
            f"nobody scans: no instance that leads has told of itself for {duration(health.leader_silent_for)}",
            "See whether an instance runs that can write the database; it takes over by itself",
        )
    yield from _pipedrive(health)
    yield from _github(health.github)
    for service, access in (("Pipedrive", health.pipedrive), ("GitHub", health.github)):
        kind, held_for = f"{service.lower()}-limit", access.held_until - now_at
        if held_for >= LONG_HOLD_S or (held_for > 0 and kind in known):
            yield _held(kind, service, access.held_until)
    yield from _scans(health)
    yield from _users(health.users)
    if health.quarantined:
        yield Finding(
            "quarantine",
            "warning",
            "one gist is quarantined" if health.quarantined == 1 else f"{health.quarantined} gists are quarantined",
            "The status tells why Pipedrive refused them; they are tried again once a day, or by hand",
        )
    if health.heartbeat is not None:
        yield Finding(
            "heartbeat",
            "warning",
            f"the heartbeat request failed: {health.heartbeat}",
            "Check PIPETEST_HEARTBEAT_URL and the service behind it",
        )


def _pipedrive(health: Health) -> Iterator[Finding]:
    pipedrive = health.pipedrive
    if health.paused:
        yield Finding(
            "creation-paused",
            "warning",
            "creation is paused by an operator",
            "Resume it on the page, or with POST /resume",
        )
    elif pipedrive.refusal is not None:
        yield Finding(
            "creation-refused",
            "error",
            f"creation is paused, Pipedrive refuses: {pipedrive.refusal}",
            "Correct the key, the subscription or the limit that it names; creation then goes on by itself",
        )
    elif pipedrive.wanted and pipedrive.gives_no_usable_answer:
        yield Finding(
            "pipedrive-no-answer",
            "error",
            f"Pipedrive gives no usable answer: {pipedrive.reason}",
            "Check PIPETEST_PIEPEDRIVE_COMPANY_NAME, PIPETEST_PIPEDRIVE_URL and the network; it goes on by itself",
        )


def _github(github: Access) -> Iterator[Finding]:
    if github.refusal is not None:
        yield Finding(
            "github-refuses",
            "error",
            f"GitHub cannot be read: {github.refusal}",
            "Check PIPETEST_GITHUB_TOKEN",
        )
    elif github.wanted and github.gives_no_usable_answer:
        yield Finding(
            "github-no-answer",
            "error",
            f"GitHub gives no usable answer: {github.reason}",
            "Check PIPETEST_GITHUB_URL and the network; it goes on by itself",
        )


def _held(kind: str, service: str, until: float) -> Finding:
    return Finding(
        kind,
        "warning",
        f"{service}'s limit is used up until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC",
        "Nothing to do: it goes on by itself. A GitHub token or a bigger plan makes it faster",
    )


def _scans(health: Health) -> Iterator[Finding]:
    remedy = "The status tells why, for each user; it is tried again by itself"
    if health.scans_fail:
        yield Finding("scans-fail", "error", f"the last {health.failed_scans} scans failed", remedy)
    if health.scans_stand_still:
        yield Finding("scans-stand-still", "error", f"no scan has ended for {duration(health.silent_for)}", remedy)


def _users(users: UserCounts) -> Iterator[Finding]:
    remedy = "The status tells which and why; correct PIPETEST_QUERIED_USERS where an account is unknown"
    if users.total and users.unknown == users.total:
        text = "GitHub knows none of the users" if users.total > 1 else "GitHub does not know the only user"
        yield Finding("users-unknown", "error", text, remedy)
    elif users.failing:
        yield Finding("users-not-read", "warning", f"{users.failing} of {users.total} users cannot be read", remedy)
