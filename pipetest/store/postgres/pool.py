"""Connections for whatever needs no lease: reads, and how far visitors came. Several threads share them."""

from collections import deque
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from psycopg import Error, InternalError, OperationalError
from psycopg.errors import QueryCanceled
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.errors import Unavailable, Unstorable
from pipetest.domain.interfaces import Run, Time
from pipetest.store.postgres.connection import ANSWER_S, READING, UNSTORABLE, Connected, Database, abort

T = TypeVar("T")
P = ParamSpec("P")

RETRY_S = 1.0
"""After a connection failed, nobody tries for so long: each try may keep a thread for seconds."""


class ConnectionPool:
    """As many connections as ``run`` has threads, opened when needed; one that was lost is opened anew."""

    def __init__(self, database: Database, run: Run, time: Time, clock: IReactorTime) -> None:
        self._database = database
        self._run = run
        self._time = time
        self._clock = clock
        self._idle: deque[Connected] = deque()
        self._under_way: set[_Query[Any]] = set()
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
        asked = _Query(lambda connection: query(connection, *args, **kwargs))
        self._under_way.add(asked)
        giving_up = self._clock.callLater(ANSWER_S, asked.give_up)
        try:
            return await self._run(lambda: self._ask(asked))
        finally:
            self._under_way.discard(asked)
            if giving_up.active():
                giving_up.cancel()

    async def close(self) -> None:
        await self._run(self._close)

    def abort(self) -> None:
        """End whatever waits for the database."""
        self._closed = True
        for query in self._under_way:
            query.give_up()

    # --- in the threads -----------------------------------------------------------------------------------------------

    def _ask(self, query: "_Query[T]") -> T:
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
        except InternalError as e:  # it takes reads alone, say, as its disk is nearly full
            raise Unavailable(self._database.explain(e)) from None

    def _try(self, query: "_Query[T]") -> T:
        """An idle connection may have been lost long ago, and shows it only when it is used."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return self._answer(connection, query)
            except Error:
                if query.given_up or not connection.broken:
                    raise
        return self._answer(self._database.connect(READING), query)

    def _answer(self, connection: Connected, query: "_Query[T]") -> T:
        try:
            return query.ask(connection)
        finally:
            if self._closed or connection.broken:
                connection.close()
            else:
                self._idle.append(connection)

    def _close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()


class _Query(Generic[T]):
    """One query, which the main thread may give up while another thread asks it."""

    def __init__(self, query: Callable[[Connected], T]) -> None:
        self.given_up = False
        self._query = query
        self._connection: Connected | None = None

    def ask(self, connection: Connected) -> T:
        self._connection = connection
        try:
            if self.given_up:
                raise OperationalError("the query was given up")
            return self._query(connection)
        finally:
            self._connection = None

    def give_up(self) -> None:
        """Whoever waits for its answer gets an error."""
        self.given_up = True
        if (connection := self._connection) is not None:
            abort(connection)
