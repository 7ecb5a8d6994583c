"""``pipetest audit``: starts one, and waits for what it finds."""

import time
from collections.abc import Callable, Iterator
from urllib.parse import SplitResult

import click
import msgspec
from rich.console import RenderableType

from pipetest.cli import console
from pipetest.cli.console import Cell, Rows, lines, plain
from pipetest.cli.http_client import asks_a_daemon, decoded, get, post
from pipetest.cli.outcome import GOOD, NOT_GOOD, CannotTell
from pipetest.cli.progress import bar
from pipetest.domain.status import Audit, AuditFinding, AuditState, Status
from pipetest.domain.text import number_of

ASK_EVERY_S = 1.0

BEGINS_WITHIN_S = 60.0
"""An instance that stands by passes it on, and learns of it within half a minute."""

STEPS = 100

KINDS = {
    "missing": "no deal is there any more",
    "duplicate": "several deals are there",
    "moved": "the deal is no longer in its user's organization",
    "renamed": "the deal was renamed: its title no longer has the gist's id",
    "unknown": "there is a deal, but pipetest does not know the gist",
}


@click.command(short_help="Compare all deals in Pipedrive with the known gists.")
@asks_a_daemon
def audit(url: SplitResult, as_json: bool) -> int:
    """Have the daemon compare all deals in Pipedrive with the gists that it knows, and wait for the result. It begins
    after PIPETEST_SETTLE_TIME, costs 10 tokens per 500 deals, and yields to deals that wait to be made. Nothing is
    changed.

    Needs PIPETEST_ADMIN_TOKEN. Exit status 1: gists have several deals, or some have none any more that the audit
    before did not report.
    """
    before = _state(url)
    post(url, "/audit")
    with bar("audit", STEPS) as advance:
        found = _result(url, before, advance)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        console.show(*_page(found), *_where(url, found))
    return NOT_GOOD if found.counts.get("duplicate") or found.newly_missing else GOOD


def _state(url: SplitResult) -> AuditState:
    return decoded(url, get(url, "/audit"), AuditState)


def _result(url: SplitResult, before: AuditState, advance: Callable[[], None]) -> Audit:
    """What the audit has found that was asked for just now.

    :raises CannotTell: it came to nothing.
    """
    ends, has_begun, steps = time.monotonic() + BEGINS_WITHIN_S, False, 0
    while True:
        state = _state(url)
        if state.last is not None and state.last != before.last:
            return state.last
        if state.failure is not None and state.failed_at != before.failed_at:
            raise CannotTell(f"the audit has no result: {state.failure}", "The one before still counts; see the log")
        if not state.running and (has_begun or time.monotonic() > ends):
            raise CannotTell("the audit has no result, and the daemon tells no reason", "See its log")
        has_begun = has_begun or state.running
        while steps < state.progress * STEPS:
            steps += 1
            advance()
        time.sleep(ASK_EVERY_S)


def _page(found: Audit) -> Iterator[RenderableType]:
    gists, tokens = number_of(found.gists, "gist"), number_of(found.tokens, "token")
    yield f"{gists} compared with all deals in Pipedrive, for {tokens}."
    counts = {kind: number for kind, number in found.counts.items() if number}
    if not counts:
        yield "All as it should be."
        return
    for kind, number in counts.items():
        is_warning = kind == "duplicate" or (kind == "missing" and found.newly_missing > 0)
        yield ""
        mark = console.WARNING if is_warning else ""
        yield lines((mark, f"{number_of(number, 'gist')}: {KINDS.get(kind, kind)}"))
        named = getattr(found, kind, ())
        yield Rows("GIST", "USER", "DEALS", rows=[_row(finding) for finding in named])
        if number > len(named):
            yield f"and {number - len(named):,} more"


def _where(url: SplitResult, found: Audit) -> Iterator[RenderableType]:
    if any(found.counts.values()):
        instance = decoded(url, get(url, "/status"), Status).instance
        yield ""
        yield plain(f"A deal's page: {instance.deals_url}NUMBER")


def _row(finding: AuditFinding) -> tuple[Cell, Cell, Cell]:
    deals = [finding.deal, *finding.others]
    return plain(finding.gist), plain(finding.user or ""), ", ".join(str(deal) for deal in deals if deal is not None)
