"""What a database knows already, where no daemon is at work on it."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from pipetest.config.parsers import PostgresDatabase, TinyDatabase
from pipetest.config.settings import Settings
from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Done, Skipped, key
from pipetest.store.refusals import without_extra
from pipetest.store.tinydb.format import GISTS, GistRow
from pipetest.store.tinydb.inspection import Snapshot


class Recorded(Struct, frozen=True):
    """Ids of gists that have a deal, and of those that are to get none; the users, by key, that have an organization,
    and all whose lists were read."""

    done: Collection[str] = frozenset()
    skipped: Collection[str] = frozenset()
    organizations: Collection[str] = frozenset()
    users: Collection[str] = frozenset()


def recorded(settings: Settings) -> Recorded:
    """
    :raises DatabaseRefused: a daemon is at work on it, or it cannot be used.
    """
    match settings.database:
        case TinyDatabase(path):
            return _of_tinydb(Snapshot(path), settings.roots)
        case PostgresDatabase(url):
            try:  # psycopg is an extra
                from pipetest.store.postgres.inspection import recorded_rows
            except ImportError:
                raise without_extra() from None
            return Recorded(*recorded_rows(url))


def _of_tinydb(snapshot: Snapshot, roots: Mapping[str, str]) -> Recorded:
    try:
        if snapshot.in_use():
            raise DatabaseRefused(f"a daemon is at work on {snapshot.path}: ask it with pipetest status")
        found = snapshot.find(roots)
    except OSError as e:
        raise DatabaseRefused(f"{e.filename}: {e.strerror}: be a user who may read it") from None
    rows = [row for _, row in found.tables[GISTS].rows(GistRow)]
    users = found.memory.users.values()
    return Recorded(
        done={row.gist for row in rows if isinstance(row.deal, Done)},
        skipped={row.gist for row in rows if isinstance(row.deal, Skipped)},
        organizations={key(user.name) for user in users if isinstance(user.organization.state, Done)},
        users={key(user.name) for user in users},
    )
