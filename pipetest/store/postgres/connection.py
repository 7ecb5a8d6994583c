"""Connections to one PostgreSQL database, and what went wrong with one in words for people. All of it blocks."""

import os
from contextlib import suppress
from socket import SHUT_RDWR, socket
from typing import Any

from psycopg import Connection, DataError, Error, IntegrityError, OperationalError, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Secret

OLDEST = 14
"""``idle_session_timeout``, which takes the lease from an instance that is frozen, came with this version."""

DEFAULTS = {
    "application_name": "pipetest",
    "client_encoding": "utf8",  # of a database without an encoding psycopg would return bytes
    "connect_timeout": 3,
    "target_session_attrs": "read-write",  # of several hosts, the one that is no standby
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
"""A server that has vanished is noticed within five seconds (libpq docs: parameter key words). The URL may say
otherwise."""

WRITING = """
    SET statement_timeout = '10s'; SET lock_timeout = '5s';
    SET idle_session_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""
"""A frozen instance loses its session, and the lease with it. What is committed is on disk, whatever the default is."""

READING = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; SET synchronous_commit = off;"
"""The reading connections write nothing but how far a visitor came, which may wait for the disk."""

ANSWER_S = 35.0
"""Whoever waits for longer gives up: the server would have ended a statement before (``statement_timeout``), so the way
to it stands still, as a proxy lets it without ending the connection."""

UNSTORABLE = (DataError, IntegrityError, UnicodeEncodeError)
"""The server, or the driver before it, refuses a statement for what it says: it would do so again."""

Connected = Connection[tuple[Any, ...]]


class Database:
    """One PostgreSQL database. ``name`` is for people; the URL holds a password, which may be renewed, and is shown
    nowhere."""

    def __init__(self, url: Secret) -> None:
        """
        :raises DatabaseRefused: that is no URL of a database.
        """
        try:
            given = _parameters(url)
            timeout_from_conninfo(given)
        except (OperationalError, ProgrammingError) as e:
            raise DatabaseRefused(str(e)) from None
        host = given.get("host") or given.get("hostaddr") or "localhost"
        self.name = f"PostgreSQL at {host}/{given.get('dbname') or ''}".removesuffix("/")
        self._url = url

    def connect(self, settings: str) -> Connected:
        """A connection without a transaction; ``settings`` is :data:`WRITING` or :data:`READING`.

        :raises psycopg.Error: there is none to be had.
        """
        connection = Connection.connect(make_conninfo(**_parameters(self._url)), autocommit=True)
        try:
            if connection.info.server_version < OLDEST * 10_000:
                raise OperationalError(f"pipetest needs PostgreSQL {OLDEST} or later")
            connection.execute(settings.encode())
        except BaseException:
            connection.close()
            raise
        return connection

    def explain(self, error: Exception) -> str:
        """One line about what the database refused or why it could not be asked."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return f"{self.name}: {lines[0].strip()}"


def _parameters(url: Secret) -> dict[str, Any]:
    try:
        return {**DEFAULTS, **conninfo_to_dict(url.reveal())}
    except ProgrammingError:  # its text may quote the password
        expected = "expected postgresql://user:password@host:port/database"
        raise OperationalError(f"the database's URL is malformed: {expected}") from None


def abort(connection: Connected) -> None:
    """End it from another thread: whoever waits there for an answer gets an error instead."""
    with suppress(Error, OSError), socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(SHUT_RDWR)


def fetch_one(connection: Connected, query: str, *parameters: object) -> tuple[Any, ...]:
    """The row of a query that always has one."""
    (row,) = connection.execute(query.encode(), parameters)
    return row
