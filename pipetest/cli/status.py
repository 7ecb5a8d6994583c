"""``pipetest status``: the page in a terminal."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from urllib.parse import SplitResult

import click
from msgspec.structs import replace
from rich.console import RenderableType
from rich.text import Text

from pipetest.cli import console
from pipetest.cli.console import Cell, Rows, lines, plain
from pipetest.cli.http_client import asks_a_daemon, decoded, get
from pipetest.cli.outcome import GOOD, NOT_GOOD
from pipetest.domain.status import Quota, Status
from pipetest.domain.text import duration, number_of, utc

MOST_ROWS = 20
"""Of a table; ``--json`` has all."""

MOST_LATEST = 5

HEADLINES = {
    "healthy": "Healthy",
    "rehearsing": "Dry run",
    "paused": "Paused",
    "warning": "Warning",
    "error": "Problem",
}
STYLES = {"healthy": "bold green", "warning": "bold yellow", "error": "bold red"}
DEALS = {"wanted": "waits", "sent": "on its way", "quarantined": "refused"}


@click.command(short_help="Show how the daemon is.")
@asks_a_daemon
def status(url: SplitResult, as_json: bool) -> int:
    """Show how the daemon is and what it does: the page in a terminal.

    Exit status 1: there is a problem, be it a warning.

    \b
    pipetest status --json | jq .ledger
    """
    body = get(url, "/status")
    told = decoded(url, body, Status)
    if as_json:
        click.echo(body.rstrip(b"\n"))
    else:
        console.show(*_page(told))
    return NOT_GOOD if told.problems else GOOD


def _page(status: Status) -> Iterator[RenderableType]:
    """Moments are told from the daemon's own clock: as of now, whenever it was told itself."""
    status = replace(status, at=status.at + status.age)
    yield _headline(status)
    yield from _problems(status)
    yield ""
    yield lines(*_figures(status))
    yield from _quarantine(status)
    yield from _users(status)
    yield from _latest(status)


def _headline(status: Status) -> Text:
    instance = status.instance
    started = duration(max(0.0, status.at - instance.started_at))
    text = Text(HEADLINES[status.headline], STYLES.get(status.headline, "bold"))
    text.append(f"  {instance.company}, pipetest {instance.version}, started {started} ago", "not bold default")
    return text


def _problems(status: Status) -> Iterator[RenderableType]:
    for problem in status.problems:
        mark = console.FAULT if problem.severity == "error" else console.WARNING
        said = plain(f"{problem.text}, for {_since(status, problem.since)}", "bold")
        yield lines((mark, said), ("", plain(f"{problem.remedy}.")))
    if status.instance.dry_run:
        yield lines((console.WARNING, "dry run: nothing is created"))


def _figures(status: Status) -> Iterator[tuple[RenderableType, RenderableType]]:
    if status.leader is not None:
        name = "this instance" if status.leader.here else status.leader.name or "an instance that is not known just now"
        yield "Scanned by", plain(f"{name}, as it told {duration(status.age)} ago")
    yield "Scan", plain(_scan(status))
    yield "Deals", plain(_deals(status))
    yield "", f"{_today(status):,} today, {status.deals_last_hour:,} in the last hour"
    if status.outlook is not None:
        yield "", plain(status.outlook.text)
    if status.oldest is not None:
        yield (
            "",
            plain(f"{status.oldest.id} of {status.oldest.user} waits for {_since(status, status.oldest.since_at)}"),
        )
    if status.next_deal is not None:
        yield "Next deal", plain(f"{status.next_deal.title}, of {status.next_deal.user}")
    for name, said in zip_longest(["Audit"], _audit(status), fillvalue=""):
        yield name, plain(said)
    for quota in status.quotas:
        if quota.is_told:
            yield quota.service, plain(_quota(status, quota))


def _scan(status: Status) -> str:
    scan = status.scan
    if scan.started_at is None:
        return "not begun"
    visited = f"{scan.visited:,} of {number_of(scan.users, 'user')} checked"
    if scan.under_way:
        return f"under way for {_since(status, scan.started_at)}, {visited}"
    ended = "" if scan.ended_at is None else f", ended {_since(status, scan.ended_at)} ago"
    following = "" if scan.next_at is None else f", next in {duration(max(0.0, scan.next_at - status.at))}"
    return visited + ended + following


def _deals(status: Status) -> str:
    ledger = status.ledger
    refused = f", {ledger.quarantined:,} refused" if ledger.quarantined else ""
    skipped = f", {ledger.skipped:,} skipped" if ledger.skipped else ""
    paused = ", creation is paused" if status.creation.paused else ""
    made = f"{ledger.done:,} of {number_of(ledger.total, 'gist')}"
    return f"{made}, {ledger.waiting:,} waiting{refused}{skipped}{paused}"


def _today(status: Status) -> int:
    return sum(day.deals for day in status.days if day.day == utc(status.at).date().isoformat())


def _audit(status: Status) -> Iterator[str]:
    audit = status.audit
    if audit.last is None:
        yield "none yet"
    else:
        found = ", ".join(f"{number:,} {kind}" for kind, number in audit.last.counts.items() if number)
        yield f"{found or 'all as it should be'}, {_since(status, audit.last.at)} ago"
    if audit.failure is not None:
        ended = "" if audit.failed_at is None else f", {_since(status, audit.failed_at)} ago,"
        yield f"the last one{ended} has no result: {audit.failure}"
    if audit.running:
        yield f"one is under way, {audit.progress:.0%} of the deals compared"


def _quota(status: Status, quota: Quota) -> str:
    if quota.limit is None or quota.left is None:
        figure = f"{quota.left:,.0f} left" if quota.used is None else f"{quota.used:,.0f} used"
    else:
        figure = f"{quota.limit - quota.left:,.0f} of {quota.limit:,.0f} used"
    reset = "" if quota.reset_at is None else f", resets in {duration(max(0.0, quota.reset_at - status.at))}"
    return f"{quota.name}: {figure}{reset}"


def _quarantine(status: Status) -> Iterator[RenderableType]:
    if status.quarantine:
        rows = [
            (
                "its organization" if refused.kind == "organization" else plain(refused.id),
                plain(refused.user),
                f"{_since(status, refused.since_at)} ago",
                plain(refused.reason),
            )
            for refused in status.quarantine[:MOST_ROWS]
        ]
        yield ""
        yield Rows("QUARANTINED", "USER", "SINCE", "REASON", rows=rows)
        yield from _more(len(status.quarantine), "more record")


def _users(status: Status) -> Iterator[RenderableType]:
    rows: Sequence[Sequence[Cell]] = [
        (
            plain(user.name),
            f"{user.gists:,}",
            f"{user.deals:,}",
            "not yet" if user.succeeded_at is None else f"{_since(status, user.succeeded_at)} ago",
            plain(user.error or ""),
        )
        for user in status.users[:MOST_ROWS]
    ]
    if rows:
        yield ""
        yield Rows("USER", "GISTS", "DEALS", "READ", "", rows=rows, numbers=("GISTS", "DEALS"))
        yield from _more(status.user_counts.total, "more user")


def _latest(status: Status) -> Iterator[RenderableType]:
    if status.latest:
        rows = [
            (
                plain(gist.id),
                plain(gist.user),
                _date(gist.created_at),
                plain(DEALS.get(gist.state, gist.state)) if gist.deal is None else str(gist.deal),
            )
            for gist in status.latest[:MOST_LATEST]
        ]
        yield ""
        yield Rows("LATEST GISTS", "USER", "WRITTEN (UTC)", "DEAL", rows=rows)


def _more(total: int, what: str) -> Iterator[str]:
    if total > MOST_ROWS:
        yield f"and {number_of(total - MOST_ROWS, what)}: pipetest status --json has all"


def _since(status: Status, at: float) -> str:
    return duration(max(0.0, status.at - at))


def _date(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # a database of 1.0.0 may hold moments that are no dates
        return "unknown"
