"""``pipetest check``: how it looks."""

import os
from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from pipetest.cli import console
from pipetest.cli.check.line import CheckLine
from pipetest.cli.console import lines, plain
from pipetest.cli.outcome import GOOD, NOT_GOOD
from pipetest.domain.text import number_of

MARKS = {"ok": console.GOOD, "warning": console.WARNING, "fault": console.FAULT}


@click.command(short_help="Say what would go wrong, before it does.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of what was found, for programs.")
def check(as_json: bool) -> int:
    """Look at settings, database, listeners, Pipedrive, GitHub and users before the daemon is started, or beside it,
    with its environment and as its user. Creates nothing; takes 22 of Pipedrive's tokens, up to 60 more with a template
    of deals, and of GitHub one request per user.

    \b
    ✓  all right
    !  it works, but probably not as is meant
    ✗  pipetest would not start, or some of its work would stand still

    Exit status 1: something has a ! or a ✗.
    """
    from pipetest.cli.check.order import check_all  # only who checks waits until Twisted is loaded

    found: list[CheckLine] = []

    def tell(line: CheckLine) -> None:
        found.append(line)
        if not as_json:
            _show(line)

    check_all(os.environ, tell)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        _show_sum(found)
    return GOOD if all(line.result == "ok" for line in found) else NOT_GOOD


def _show_sum(found: Sequence[CheckLine]) -> None:
    """So that a fault that has left the screen is not missed."""
    results = Counter[str](line.result for line in found)
    told = [number_of(results[result], result) for result in ("fault", "warning") if results[result]]
    if told:
        console.show(f"{' and '.join(told)}, see above")


def _show(line: CheckLine) -> None:
    remedy = [("", plain(f"{line.remedy}."))] if line.remedy else []
    console.show(lines((MARKS[line.result], plain(f"{line.subject}: {line.text}")), *remedy))
