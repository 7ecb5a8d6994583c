"""What an admin may ask of a running daemon: ``scan``, ``pause``, ``resume``, ``retry``, ``backfill``."""

from http import HTTPStatus
from urllib.parse import SplitResult

import click

from pipetest.cli.http_client import asks_a_daemon, post
from pipetest.cli.outcome import GOOD, NOT_GOOD
from pipetest.domain.text import printable


@click.command(short_help="Scan all users now.")
@asks_a_daemon
def scan(url: SplitResult, as_json: bool) -> int:
    """Scan all users now instead of at the next interval. A scan that is under way already is the one.

    Needs PIPETEST_ADMIN_TOKEN, as all commands that change something.
    """
    return _told(url, "A scan begins now.", as_json, "/scan")


@click.command(short_help="Create nothing until told otherwise.")
@asks_a_daemon
def pause(url: SplitResult, as_json: bool) -> int:
    """Create nothing in Pipedrive until "pipetest resume"; reading goes on, and a restart changes nothing.

    Needs PIPETEST_ADMIN_TOKEN.
    """
    return _told(url, "Creation is paused. Go on with: pipetest resume", as_json, "/pause")


@click.command(short_help="Create deals again.")
@asks_a_daemon
def resume(url: SplitResult, as_json: bool) -> int:
    """Create deals again after "pipetest pause".

    Needs PIPETEST_ADMIN_TOKEN.
    """
    return _told(url, "Creation goes on.", as_json, "/resume")


@click.command(short_help="Try again what is in quarantine.")
@click.argument("gist", required=False)
@asks_a_daemon
def retry(url: SplitResult, as_json: bool, gist: str | None) -> int:
    """Try again now what Pipedrive has refused, and "pipetest status" shows in quarantine: this GIST, or the
    organization of the user named so; without a name all of it, a few at a time. By itself each is tried once a day.

    Needs PIPETEST_ADMIN_TOKEN. Exit status 1: no such gist is in quarantine.
    """
    if gist is None:
        return _told(url, "Everything in quarantine is tried again.", as_json, "/quarantine/retry")
    none = "no such gist is in quarantine"
    return _told(url, f"Gist {gist} is tried again now.", as_json, "/quarantine/{gist}/retry", none, gist=gist)


@click.command(short_help="Make deals of a user's older gists.")
@click.argument("user")
@asks_a_daemon
def backfill(url: SplitResult, as_json: bool, user: str) -> int:
    """Make deals of a user's gists that were skipped, because they are older than PIPETEST_BACKFILL says. Nobody can
    take that back.

    Needs PIPETEST_ADMIN_TOKEN. Exit status 1: no such user was ever scanned.
    """
    none = "no user of this name was ever scanned"
    return _told(url, f"The older gists of {user} become deals.", as_json, "/users/{user}/backfill", none, user=user)


def _told(url: SplitResult, done: str, as_json: bool, route: str, none: str = "", **names: str) -> int:
    answer = post(url, route, **names)
    found = answer.status != HTTPStatus.NOT_FOUND
    if as_json:
        click.echo(answer.body.rstrip(b"\n"))
    else:
        click.echo(printable(done if found else f"Nothing was done: {none}."))
    return GOOD if found else NOT_GOOD
