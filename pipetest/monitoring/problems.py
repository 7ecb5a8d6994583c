"""What is wrong, by what can be seen of the daemon. Pure.

Each rule is about one kind of problem: its id, how severe it is, what is said about it, and what to do.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from msgspec import Struct

from pipetest.domain.problems import PAUSED, OperatorProblem, Severity
from pipetest.domain.status import Audit, AuditFinding, UserCounts
from pipetest.domain.text import capitalized, duration, number_of

FAILED_SCANS = 3
STANDING_INTERVALS = 3

UNANSWERED = 3
"""After this many requests in a row without a usable answer, nobody waits for a better one."""

UNANSWERED_S = 120.0
"""Whatever stands still is told within this time."""

LEADER_SILENT_S = 60.0
"""An instance that leads tells of itself every 15 s."""

LONG_HOLD_S = 180.0
"""A limit that lets nothing go for this long is a problem. GitHub's hour, spread without a token, has shorter waits."""

MORE = {"GitHub": "A token (PIPETEST_GITHUB_TOKEN) allows more", "Pipedrive": "A bigger plan allows more"}
"""What makes a limit wider."""

CORRECT_SETTING = "correct the setting, and restart pipetest, or send it SIGHUP where that is a file"

MOST_NAMED = 3
"""Users that are named in a sentence, at most."""

MOST_ABOUT = 100


class Access(Struct, frozen=True):
    """How one API answers.

    The last ``failures`` requests in a row had no usable answer, the first of them ``failing_for`` seconds ago and the
    last one for this ``reason``. ``wanted``: something waits for its answers. ``refusal``: why the account, or
    the token, is refused. ``held_until``: when (since the epoch) a limit lets the next request go; ``limited_for``: for
    how many seconds it has refused one request after the other.
    """

    failures: int = 0
    failing_for: float = 0.0
    reason: str | None = None
    wanted: bool = False
    refusal: str | None = None
    held_until: float = 0.0
    limited_for: float = 0.0

    @property
    def gives_no_usable_answer(self) -> bool:
        return self.failures >= UNANSWERED or (self.failures > 0 and self.failing_for >= UNANSWERED_S)


class DaemonHealth(Struct, frozen=True):
    """What can be seen of the daemon, as each part tells it of itself."""

    failed_scans: int = 0
    """In a row."""
    scan_failure: str | None = None
    """Why the last of them failed."""
    silent_for: float = 0.0
    """Seconds since a scan has last ended."""
    interval: float = 0.0
    """Seconds between scans."""
    users: UserCounts = UserCounts()
    errors: Mapping[str, str] = {}
    """Why users cannot be read, by user."""
    left_out: Sequence[str] = ()
    """Users of whose lists something is left out."""
    users_file: str | None = None
    """Why the file of users is ignored."""
    user_lists: Sequence[str] = ()
    """What is wrong with lists of users."""
    too_many_users: tuple[str, str] | None = None
    """What is too much for GitHub's limits, and what to do."""
    github: Access = Access()
    pipedrive: Access = Access()
    paused: bool = False
    half_open: bool = False
    """Creates go one at a time."""
    misfit: str | None = None
    """What of the template doesn't fit what there is in Pipedrive."""
    template_in_doubt: bool = False
    """What the template names is looked up again, and records wait for it."""
    refusals: Mapping[str, str] = {}
    """Why no record of a kind is created, by kind."""
    put_off: Mapping[str, str] = {}
    """Why nothing is created for these users, by user."""
    unsearched: Mapping[str, str] = {}
    """Why Pipedrive does not tell what it holds of these users, by user."""
    hidden: Mapping[str, int] = {}
    """The first record of a kind, by kind, where the key's user does not see it."""
    quarantined: Mapping[str, int] = {}
    """How many records are in quarantine, by kind."""
    audit: Audit | None = None
    """The last one."""
    database: str | None = None
    """Why it cannot be written."""
    heartbeat: str | None = None
    """Why its last request failed."""

    # of several instances
    leader_silent_for: float = 0.0
    """Seconds for which the one that leads, if it is another, has told nothing new."""
    lease_in_doubt: bool = False
    """This one leads as far as it knows, but may have lost the lease."""
    disabled: str | None = None
    """Why this one cannot lead."""
    differing_settings: Sequence[str] = ()
    """Those that the leader has other values of."""

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
    about: tuple[str, ...] = ()

    def lasting(self, since: float) -> OperatorProblem:
        return OperatorProblem(
            id=self.id, severity=self.severity, since=since, text=self.text, remedy=self.remedy, about=self.about
        )


def problems(health: DaemonHealth, known: Mapping[str, float], now_at: float) -> Sequence[OperatorProblem]:
    """All that is wrong, the worst first; ``known`` tells since when, for those that were there before. Where the clock
    was set back since then, that is now."""
    found = sorted(_findings(health, known, now_at), key=lambda finding: finding.severity)  # "error" < "warning"
    return [finding.lasting(min(known.get(finding.id, now_at), now_at)) for finding in found]


def _findings(health: DaemonHealth, known: Collection[str], now_at: float) -> Iterator[Finding]:
    if health.database is not None:
        yield Finding(
            "database-not-writable",
            "error",
            f"the database cannot be written: {health.database}",
            "Make room where a disk is full, or start its server; pipetest then goes on by itself",
        )
    yield from _instances(health)
    yield from _pipedrive(health)
    yield from _github(health.github)
    for service, access in (("Pipedrive", health.pipedrive), ("GitHub", health.github)):
        yield from _limit(service, access, known, now_at)
    yield from _scans(health)
    yield from _users(health)
    yield from _user_lists(health)
    yield from _too_many(health)
    if health.quarantined:
        yield Finding(
            "quarantine",
            "warning",
            f"Pipedrive refused {_records(health.quarantined)}, now in quarantine",
            "The page and /status say why; each is tried again once a day, or at once with: pipetest retry",
        )
    yield from _audit(health.audit)
    if health.heartbeat is not None:
        yield Finding(
            "heartbeat",
            "warning",
            f"the heartbeat request failed: {health.heartbeat}",
            "Check PIPETEST_HEARTBEAT_URL and the service behind it",
        )


def _instances(health: DaemonHealth) -> Iterator[Finding]:
    if health.disabled is not None:
        remedy = "It tries again by itself; restart it if that does not help"
        yield Finding("instance-disabled", "error", f"this instance cannot scan: {health.disabled}", remedy)
    if health.lease_in_doubt:
        yield Finding(
            "lease-in-doubt",
            "warning",
            "this instance may have lost the lease, and creates nothing",
            "See whether it reaches the database; either it goes on by itself, or another instance takes over",
        )
    if health.leader_silent_for > LEADER_SILENT_S:
        yield Finding(
            "nobody-scans",
            "error",
            f"nobody scans: no instance has said that it leads for {duration(health.leader_silent_for)}",
            "Start an instance that can write the database; it takes over by itself",
        )
    if health.differing_settings:
        yield Finding(
            "settings-differ",
            "warning",
            f"the instance that leads has other settings than this one: {', '.join(health.differing_settings)}",
            "Give every instance of one database the same settings: which of them leads may change at any time",
        )


def _pipedrive(health: DaemonHealth) -> Iterator[Finding]:
    pipedrive = health.pipedrive
    if health.paused:
        yield Finding(
            PAUSED,
            "warning",
            "creation is paused by an operator",
            "Resume it on the page, or with: pipetest resume",
        )
        return
    if pipedrive.refusal is not None:
        yield Finding(
            "creation-refused",
            "error",
            f"Pipedrive refuses to create deals: {pipedrive.refusal}",
            f"Correct what it names in Pipedrive, and pipetest goes on by itself within an hour; or {CORRECT_SETTING}",
        )
        return
    yield from _template(health)
    yield from _refused(health)
    yield from _hidden(health)
    if pipedrive.wanted and pipedrive.gives_no_usable_answer:
        yield Finding(
            "pipedrive-no-answer",
            "error",
            f"Pipedrive gives no usable answer: {pipedrive.reason}",
            "Check the network: pipetest goes on by itself within minutes; or correct PIPETEST_PIEPEDRIVE_COMPANY_NAME "
            "or PIPETEST_PIPEDRIVE_URL, and restart it",
        )
        return
    if health.half_open:
        yield Finding(
            "creation-slowed",
            "warning",
            "deals are created one at a time, after several requests in a row failed",
            "Nothing to do: once one succeeds, the others follow",
        )
    if health.unsearched:
        yield Finding(
            "search-fails",
            "warning",
            f"Pipedrive does not tell what it holds of {_by_reason(health.unsearched)}; nothing is created of theirs "
            "meanwhile, as it may be there",
            "It is asked again by itself; where that lasts, see whether the key's user may read their organizations",
            tuple(islice(health.unsearched, MOST_ABOUT)),
        )


def _template(health: DaemonHealth) -> Iterator[Finding]:
    if health.misfit is not None:
        yield Finding(
            "template-unfit",
            "error",
            f"the template of deals doesn't fit: {health.misfit}",
            "Correct it in Pipedrive, and pipetest goes on by itself within an hour, or at once when asked to scan; or "
            "correct PIPETEST_DEALS, and restart pipetest, or send it SIGHUP where that is a file",
        )
    elif health.template_in_doubt:
        yield Finding(
            "template-doubted",
            "warning",
            "Pipedrive refused what was created by the template of deals, so its names are looked up again, within ten "
            "minutes; until then those records wait",
            "See whether all that PIPETEST_DEALS names is still in Pipedrive; a scan by hand looks it up at once",
        )


def _hidden(health: DaemonHealth) -> Iterator[Finding]:
    for kind, record_id in health.hidden.items():
        yield Finding(
            f"{kind}s-not-seen",
            "error",
            f"the API key's user does not see {kind} {record_id}, which was just created: nothing more is, as what "
            "cannot be seen would be created twice",
            f"Let the key's user see the {kind}s that it creates, whoever owns them; pipetest then goes on by itself",
        )


def _refused(health: DaemonHealth) -> Iterator[Finding]:
    for kind, reason in health.refusals.items():
        yield Finding(
            f"{kind}s-refused",
            "error",
            f"Pipedrive refuses to create {kind}s: {reason}",
            f"Let the key's user add {kind}s, or make room where a limit is named; pipetest then goes on by itself "
            "within an hour",
        )
    if health.put_off:
        users = tuple(islice(health.put_off, MOST_ABOUT))
        text = f"Pipedrive refuses what is created for {_by_reason(health.put_off)}; others go on"
        yield Finding("creation-put-off", "warning", text, "Correct it in Pipedrive; one of each is tried again", users)


def _records(quarantined: Mapping[str, int]) -> str:
    names = {"deal": "gist", "organization": "organization"}
    told = (number_of(quarantined[kind], name) for kind, name in names.items() if quarantined.get(kind))
    return " and ".join(told)


def _github(github: Access) -> Iterator[Finding]:
    if github.refusal is not None:
        yield Finding(
            "github-refuses",
            "error",
            f"GitHub {github.refusal}",
            f"Correct what the token may read, and pipetest goes on by itself; or {CORRECT_SETTING}",
        )
    elif github.wanted and github.gives_no_usable_answer:
        yield Finding(
            "github-no-answer",
            "error",
            f"GitHub gives no usable answer: {github.reason}",
            "Check the network: pipetest goes on by itself within minutes; or correct PIPETEST_GITHUB_URL, and restart "
            "it",
        )


def _limit(service: str, access: Access, known: Collection[str], now_at: float) -> Iterator[Finding]:
    kind, held_for = f"{service.lower()}-limit", access.held_until - now_at
    if access.limited_for >= UNANSWERED_S:
        yield Finding(
            kind,
            "warning",
            f"{service} has refused each request for {duration(access.limited_for)}, as one too many",
            f"See what else uses this limit; pipetest goes on by itself. {MORE[service]}",
        )
    elif held_for >= LONG_HOLD_S or (held_for > 0 and kind in known):
        yield Finding(
            kind,
            "warning",
            f"{service}'s limit is used up until {datetime.fromtimestamp(access.held_until, UTC):%Y-%m-%d %H:%M} UTC",
            f"Nothing to do: pipetest then goes on by itself. {MORE[service]}",
        )


def _scans(health: DaemonHealth) -> Iterator[Finding]:
    remedy = "The page and /status say why each user cannot be read; pipetest tries again by itself"
    if health.scans_fail:
        why = "" if health.scan_failure is None else f": {health.scan_failure}"
        yield Finding("scans-fail", "error", f"the last {health.failed_scans} scans failed{why}", remedy)
    if health.scans_stand_still:
        yield Finding("scans-stand-still", "error", f"no scan has ended for {duration(health.silent_for)}", remedy)


def _users(health: DaemonHealth) -> Iterator[Finding]:
    users, about = health.users, tuple(islice(health.errors, MOST_ABOUT))
    if users.total and users.unknown == users.total:
        text = f"GitHub knows none of the users: {named(about, users.failing)}"
        yield Finding("users-unknown", "error", text, "Correct PIPETEST_QUERIED_USERS or its file", about)
    elif users.failing:
        text = f"{users.failing} of {number_of(users.total, 'user')} cannot be read: {_by_reason(health.errors)}"
        remedy = "Correct PIPETEST_QUERIED_USERS or its file where GitHub knows no such user; others are tried again"
        yield Finding("users-not-read", "warning", text, remedy, about)
    if health.left_out:
        yield Finding(
            "gists-left-out",
            "warning",
            f"GitHub lists gists that cannot be read, of {named(health.left_out, len(health.left_out))}",
            "Nothing to do: all others are recorded, and these as soon as they can be read",
            tuple(health.left_out[:MOST_ABOUT]),
        )


def _user_lists(health: DaemonHealth) -> Iterator[Finding]:
    if health.users_file is not None:
        yield Finding(
            "users-file",
            "warning",
            f"the file of users is ignored: {health.users_file}",
            "Correct it: until then, what it said before counts",
        )
    if health.user_lists:
        first, *others = health.user_lists
        more = f", and {number_of(len(others), 'more list')}" if others else ""
        yield Finding(
            "user-lists",
            "warning",
            f"{first}{more}",
            "What was last read counts; correct PIPETEST_QUERIED_USERS or its file where GitHub knows no such user",
        )


def _audit(audit: Audit | None) -> Iterator[Finding]:
    if audit is None:
        return
    if several := audit.counts.get("duplicate", 0):
        yield Finding(
            "audit-duplicate",
            "warning",
            f"Pipedrive holds several deals of {number_of(several, 'gist')}",
            "/audit says which: delete in Pipedrive those that are too many, then audit again (pipetest audit)",
            _users_of(audit.duplicate),
        )
    if audit.newly_missing:
        yield Finding(
            "audit-missing",
            "warning",
            f"the deals of {number_of(audit.newly_missing, 'gist')} are no longer in Pipedrive",
            "/audit says which; none is made again. If they were deleted on purpose, audit again (pipetest audit): "
            "what was reported before is no problem",
            _users_of(audit.missing),
        )


def _users_of(findings: Iterable[AuditFinding]) -> tuple[str, ...]:
    return tuple(sorted({finding.user for finding in findings if finding.user is not None}))


def _too_many(health: DaemonHealth) -> Iterator[Finding]:
    if health.too_many_users is not None:
        text, remedy = health.too_many_users
        yield Finding("too-many-users", "warning", text, capitalized(remedy))


def _by_reason(errors: Mapping[str, str]) -> str:
    """Who cannot be read and why, the most frequent reasons first."""
    users: dict[str, list[str]] = {}
    for user, reason in errors.items():
        users.setdefault(reason, []).append(user)
    reasons = sorted(users, key=lambda reason: -len(users[reason]))
    told = [f"{named(users[reason], len(users[reason]))} ({reason})" for reason in reasons[:MOST_NAMED]]
    rest = sum(len(users[reason]) for reason in reasons[MOST_NAMED:])
    return "; ".join([*told, *([f"{rest} more"] if rest else [])])


def named(names: Sequence[str], number: int) -> str:
    """The first of so many, and how many more there are."""
    first = ", ".join(names[:MOST_NAMED])
    return first if number <= MOST_NAMED else f"{first} and {number - MOST_NAMED} more"
