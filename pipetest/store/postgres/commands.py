"""Commands for the instance that scans, passed on through the database: the holder of the lease fetches them every
second. Their table is called ``orders``."""

from collections.abc import Sequence

from pipetest.domain.interfaces import Command
from pipetest.domain.model import key
from pipetest.store.postgres.connection import Connected
from pipetest.store.postgres.pool import ConnectionPool


class CommandQueue:
    """A command is stored once its method has returned."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def scan(self) -> None:
        await self._pool.ask(_add, "scan")

    async def set_paused(self, paused: bool) -> None:
        await self._pool.ask(_add, "pause" if paused else "resume")

    async def retry(self, name: str) -> bool:
        """False when there is no such gist in quarantine, nor an organization of such a user."""
        if not await self._pool.ask(_is_quarantined, name):
            return False
        await self._pool.ask(_add, "retry", name)
        return True

    async def retry_all(self) -> None:
        await self._pool.ask(_add, "retry-all")

    async def audit(self) -> None:
        await self._pool.ask(_add, "audit")

    async def backfill(self, user: str) -> bool:
        """False where no such user was ever scanned."""
        if not await self._pool.ask(_is_user, user):
            return False
        await self._pool.ask(_add, "backfill", user)
        return True


def waiting(connection: Connected) -> tuple[int, Sequence[Command]]:
    """The number of the server's process that answers, and the commands that are not carried out yet, oldest first:
    one query, as it is asked every second."""
    rows = connection.execute(
        "SELECT pg_backend_pid(), id, what, about FROM (SELECT) AS alive LEFT JOIN pipetest.orders ON true ORDER BY id"
    ).fetchall()
    return rows[0][0], [Command(*row) for _, *row in rows if row[0] is not None]


def remove(connection: Connected, command: Command) -> None:
    connection.execute("DELETE FROM pipetest.orders WHERE id = %s", [command.id])


def _add(connection: Connected, what: str, about: str = "") -> None:
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")  # the connections of the pool have it off
        connection.execute("INSERT INTO pipetest.orders (what, about) VALUES (%s, %s)", [what, about])


def _is_quarantined(connection: Connected, name: str) -> bool:
    found = connection.execute(
        "SELECT FROM pipetest.gists WHERE gist = %s AND state = 'quarantined' UNION ALL "
        "SELECT FROM pipetest.users WHERE key = %s AND state = 'quarantined'",
        [name, key(name)],
    )
    return found.fetchone() is not None


def _is_user(connection: Connected, name: str) -> bool:
    return connection.execute("SELECT FROM pipetest.users WHERE key = %s", [key(name)]).fetchone() is not None
