"""Whether a pooler stands between us and the server that shares the server's sessions among its clients."""

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.postgres.connection import READING, Connected, Database, fetch_one


def refuse_shared_sessions(database: Database) -> None:
    """
    :raises DatabaseRefused: several clients share a session: a lock that one of them takes would be all of theirs.
    :raises psycopg.Error: the database cannot be asked.
    """
    with database.connect(READING) as one, database.connect(READING) as other:
        if (problem := _problem(one, other)) is not None:
            raise DatabaseRefused(f"{database.name}: {problem}")


def _problem(one: Connected, other: Connected) -> str | None:
    """In words; None where all is well.

    A pooler makes up the process number that a connection begins with. In transaction mode it gives the same session
    to two clients that ask in turn.
    """
    first = _backend_of(one)
    if first == one.info.backend_pid:
        return None
    seen = [_backend_of(connection) for connection in (other, one, one, other, one)]
    ours, others = {first, seen[1], seen[2], seen[4]}, {seen[0], seen[3]}
    if len(ours) == len(others) == 1 and not ours & others:
        return None
    return "the pooler before it shares sessions among clients: set its pool_mode to session"


def _backend_of(connection: Connected) -> int:
    """The number of the server's process that answers."""
    (backend,) = fetch_one(connection, "SELECT pg_backend_pid()")
    return int(backend)
