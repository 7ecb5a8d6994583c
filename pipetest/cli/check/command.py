"""``pipetest check``: how it looks."""

import os

import click
import msgspec

from pipetest.cli import console
from pipetest.cli.check.finding import Finding
from pipetest.cli.console import lines, plain
from pipetest.cli.outcome import GOOD, NOT_GOOD

MARKS = {"ok": console.GOOD, "warning": console.WARNING, "fault": console.FAULT}


@click.command(short_help="Say what would go wrong, before it does.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of what was found, for programs.")
def check(as_json: bool) -> int:
    """Look at settings, database, listeners, Pipedrive, GitHub and users before the daemon is started, or beside it,
    with its environment and as its user. Creates nothing; takes 22 of Pipedrive's tokens, and of GitHub one request
    per user.

    \b
    ✓  all right
    !  it works, but probably not as is meant
    ✗  pipetest would not start, or some of its work would stand still

    Exit status 1: something has a ! or a ✗.
    """
    from pipetest.cli.check.order import check_all  # only who checks waits until Twisted is loaded

    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if not as_json:
            _show(finding)

    check_all(os.environ, tell)
    if as_json:
        click.echo(msgspec.json.encode(found))
    return GOOD if all(finding.result == "ok" for finding in found) else NOT_GOOD


def _show(finding: Finding) -> None:
    remedy = [("", plain(f"{finding.remedy}."))] if finding.remedy else []
    console.show(lines((MARKS[finding.result], plain(f"{finding.subject}: {finding.text}")), *remedy))
