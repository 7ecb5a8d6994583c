"""Connections for whatever needs no lease: reads, and how far visitors came. Several threads share them."""

from collections import deque
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from psycopg import Error, OperationalError
from psycopg.errors import QueryCanceled

from pipetest.domain.errors import Unavailable, Unstorable
from pipetest.domain.interfaces import Run, Time
from pipetest.store.postgres.connection import READING, UNSTORABLE, Connected, Database, abort

T = TypeVar("T")
P = ParamSpec("P")

RETRY_S = 1.0
"""After a connection failed, nobody tries for so long: each try may keep a thread for seconds."""


class ConnectionPool:
    """As many connections as ``run`` has threads, opened when needed; one that was lost is opened anew."""

    def __init__(self, database: Database, run: Run, time: Time) -> None:
        self._database = database
        self._run = run
        self._time = time
        self._idle: deque[Connected] = deque()
        self._busy: set[Connected] = set()
        self._closed = False
        self._reason = ""
        self._next_try = float("-inf")

    @property
    def problem(self) -> str | None:
        """Why a connection has just failed."""
        return self._reason if self._time.monotonic() < self._next_try else None

    async def ask(self, query: Callable[Concatenate[Connected, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer to a query that may be asked twice.

        :raises Unavailable: the database cannot be asked just now.
        :raises Unstorable: it can hold no such value.
        """
        return await self._run(lambda: self._ask(lambda connection: query(connection, *args, **kwargs)))

    async def close(self) -> None:
        await self._run(self._close)

    def abort(self) -> None:
        """End whatever waits for the database."""
        self._closed = True
        for connection in list(self._busy):
            abort(connection)

    # --- in the threads -----------------------------------------------------------------------------------------------

    def _ask(self, query: Callable[[Connected], T]) -> T:
        """Others may have failed while this waited for a thread."""
        if (problem := self.problem) is not None:
            raise Unavailable(problem)
        try:
            return self._try(query)
        except UNSTORABLE as e:
            raise Unstorable(self._database.explain(e)) from None
        except OperationalError as e:
            if not isinstance(e, QueryCanceled):  # it took too long, which says nothing of the next
                self._reason, self._next_try = self._database.explain(e), self._time.monotonic() + RETRY_S
            raise Unavailable(self._database.explain(e)) from None

    def _try(self, query: Callable[[Connected], T]) -> T:
        """An idle connection may have been lost long ago, and shows it only when it is used."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return self._answer(connection, query)
            except Error:
                if self._closed or not connection.broken:
                    raise
        return self._answer(self._database.connect(READING), query)

    def _answer(self, connection: Connected, query: Callable[[Connected], T]) -> T:
        self._busy.add(connection)
        try:
            return query(connection)
        finally:
            self._busy.discard(connection)
            if self._closed or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)

    def _close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()
