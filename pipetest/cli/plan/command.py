"""``pipetest plan``: how it looks."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import RenderableType

from pipetest.cli import console
from pipetest.cli.console import lines, plain
from pipetest.cli.outcome import GOOD, NOT_GOOD, cannot_tell
from pipetest.config.settings import load

if TYPE_CHECKING:
    from pipetest.cli.plan.planning import Plan

MOST_UNREAD = 20

ROOM = "not known: Pipedrive tells no ceiling of open deals; its plans have 2,500 to 20,000 a seat"
"""Nothing but a refused create shows it (apis: feature_capping_deals_limit)."""


@click.command(short_help="Say what there is to do, before the daemon does it.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers, for programs.")
def plan(as_json: bool) -> int:
    """Read GitHub and Pipedrive and say what a start would make: for how many users, organizations and deals, and what
    that takes of Pipedrive's tokens. Keeps within both limits, so that many users take a while without a GitHub token.
    Creates and stores nothing. Beside a running daemon it does nothing: "pipetest status" tells the same.

    Exit status 1: some users cannot be read, or the template of deals doesn't fit.
    """
    from pipetest.cli.plan.planning import planned  # only who plans waits until Twisted is loaded

    with cannot_tell("pipetest check says more", of_setting="Correct it; pipetest check looks at all of them"):
        made = planned(load(os.environ))
    if as_json:
        click.echo(msgspec.json.encode(made))
    else:
        console.show(lines(*_figures(made)), *_warnings(made))
    return NOT_GOOD if made.unread or made.misfit else GOOD


def _figures(plan: "Plan") -> Iterator[tuple[RenderableType, RenderableType]]:
    yield "Users", f"{plan.users:,}"
    yield "Gists", f"{plan.gists:,} that are to be deals"
    yield "Organizations", f"{plan.organizations:,} to make"
    yield "Deals", f"{plan.deals:,} to make, {plan.gists - plan.deals:,} there already"
    yield "Tokens", f"{plan.tokens:,} of Pipedrive's"
    yield "Days", "not known, as Pipedrive tells no daily limit" if plan.days is None else _days(plan.days)
    if plan.deals:
        yield "Room", ROOM


def _warnings(plan: "Plan") -> Iterator[RenderableType]:
    if plan.misfit is not None:
        yield _warning(f"Nothing is made before the template of deals fits: {plan.misfit}")
    for name, why in list(plan.unread.items())[:MOST_UNREAD]:
        yield _warning(f"{name}: {why}")
    if len(plan.unread) > MOST_UNREAD:
        yield _warning(f"and {len(plan.unread) - MOST_UNREAD:,} more that cannot be read")


def _warning(words: str) -> RenderableType:
    return lines((console.WARNING, plain(words)))


def _days(days: float) -> str:
    return "less than one" if days < 1 else f"{days:,.1f}"
