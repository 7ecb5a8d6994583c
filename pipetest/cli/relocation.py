"""Whether what a database knows is at the new addresses of its services; if so, it becomes theirs."""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Any

from pipetest.cli import services
from pipetest.cli.reactor import run
from pipetest.config.parsers import PostgresDatabase, TinyDatabase
from pipetest.config.settings import Settings
from pipetest.domain.errors import DatabaseRefused, Missing
from pipetest.domain.model import Done
from pipetest.http.exchange import connect
from pipetest.outbox.recognition import match
from pipetest.store.copy.content import Movable
from pipetest.store.copy.tiny import TinySource
from pipetest.store.refusals import without_extra
from pipetest.store.tinydb.format import GISTS, USERS, GistRow, UserRow

DEALS = 20
"""So many of the newest are looked up; one that is there is enough, as people delete and rename."""

ACCOUNTS = 5

Relocation = tuple[Mapping[str, str], str | None]
"""The new address of each service that has one, and what is not there, in words; None where it is."""


def relocate(settings: Settings) -> Relocation:
    """
    :raises DatabaseRefused: the database cannot be used as it is, or is in use.
    :raises ServiceError: a service cannot be asked.
    """
    database = _opened(settings)
    try:
        stored = database.about().roots
        moved = {service: root for service, root in settings.roots.items() if stored.get(service) != root}
        missing = run(lambda reactor: _missing(database, moved, settings, reactor)) if moved else None
        if moved and missing is None:
            database.give_to(settings.roots)
        return moved, missing
    finally:
        database.close()


def _opened(settings: Settings) -> Movable:
    match settings.database:
        case TinyDatabase(path):
            try:
                return TinySource(path)
            except OSError as e:
                raise DatabaseRefused(f"{e.filename or path}: {e.strerror}: the user has to own it") from None
        case PostgresDatabase(url):
            try:  # psycopg is an extra
                from pipetest.store.copy.postgres import PostgresSource
            except ImportError:
                raise without_extra() from None
            return PostgresSource(url)


async def _missing(database: Movable, moved: Mapping[str, str], settings: Settings, reactor: Any) -> str | None:
    if "Pipedrive" in moved and not await _knows_a_deal(_newest_deals(database), settings, reactor):
        return (
            f"none of the newest deals that the database knows is at {settings.pipedrive_url}; another company needs "
            "a new database, which PIPETEST_DATABASE_URL names"
        )
    if "GitHub" in moved and not await _knows_an_account(_accounts(database), settings, reactor):
        return (
            f"none of the users that the database knows is at {settings.github_url}; another GitHub needs a new "
            "database, which PIPETEST_DATABASE_URL names"
        )
    return None


def _newest_deals(database: Movable) -> Mapping[int, str]:
    """The gist of each, by the deal's id."""
    deals = (
        (row.deal.id, row.gist)
        for row in database.rows(GISTS)
        if isinstance(row, GistRow) and isinstance(row.deal, Done) and row.deal.id is not None
    )
    return dict(nlargest(DEALS, deals))


def _accounts(database: Movable) -> Sequence[tuple[str, int]]:
    """Name and number of the first ones."""
    rows = (row for row in database.rows(USERS) if isinstance(row, UserRow))
    known = [(row.username, row.owner_id) for row in rows if row.owner_id is not None]
    return known[:ACCOUNTS]


async def _knows_a_deal(deals: Mapping[int, str], settings: Settings, reactor: Any) -> bool:
    exchange = connect("Pipedrive", reactor)
    _, client = services.pipedrive(settings, exchange, reactor)
    try:
        found = await client.deals_by_id(list(deals))
    finally:
        await exchange.close()
    return any(deal.id in match([deals[deal.id]], [deal]).adopted.values() for deal in found)


async def _knows_an_account(accounts: Sequence[tuple[str, int]], settings: Settings, reactor: Any) -> bool:
    """A name may be anybody's elsewhere: the number counts."""
    exchange = connect("GitHub", reactor)
    _, client = services.github(settings, exchange, reactor)
    try:
        for name, owner_id in accounts:
            try:
                page = await client.page(client.first_page(name, 1))
            except Missing:
                continue
            if page is not None and page.owner_id == owner_id:
                return True
        return False
    finally:
        await exchange.close()
