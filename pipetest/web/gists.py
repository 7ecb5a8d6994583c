"""What visitors come for: whose gists there are, and which of them are new to this visitor."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from msgspec.json import encode
from twisted.internet.error import ConnectionClosed
from werkzeug.exceptions import BadRequest

from pipetest.domain.interfaces import IDENTITY, Store, Time
from pipetest.web.request import ApiRequest
from pipetest.web.routing import Parameter, Route
from pipetest.web.sessions import COOKIE, cookie_name, new_session_id, session_id_of, set_cookie

Feed = Callable[[int, int], Awaitable[Sequence[str]]]

MAX_LIMIT = 1_000_000  # gists in one answer
SLICE = 1_000  # ids read and sent at a time: some 35 KB of JSON, little beside a socket's buffer
EMPTY = b"[]"

SESSION = Parameter(COOKIE.decode(), "cookie", "names the session, where this database's own cookie is absent")
LIMIT = Parameter(
    "limit",
    "query",
    "show so many at most; the session moves on by just those",
    Annotated[int, Meta(ge=1, le=MAX_LIMIT)],
)


class GistRoutes:
    """``scanned_users`` tells who is scanned now; ``random_bytes`` makes session ids."""

    def __init__(
        self,
        store: Store,
        scanned_users: Callable[[], Awaitable[Sequence[str]]],
        time: Time,
        session_lifetime_s: float,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._scanned_users = scanned_users
        self._time = time
        self._session_lifetime_s = session_lifetime_s
        self._random_bytes = random_bytes
        self._identity: str | None = None

    @property
    def routes(self) -> Sequence[Route]:
        ever, now = "Every user ever scanned.", "The users who are scanned."
        new = "The gists that are new to this session, oldest first; without a session all of them, and a new one."
        return (
            Route("GET", "/getAllScannedUsers", self.all_scanned_users, ever, {200: list[str]}),
            Route("GET", "/getCurrentlyScannedUsers", self.currently_scanned_users, now, {200: list[str]}),
            Route("GET", "/getGists", self.gists, new, {200: list[str]}, (SESSION, LIMIT)),
        )

    async def all_scanned_users(self, request: ApiRequest) -> bytes:
        return request.json(HTTPStatus.OK, [user.name for user in await self._store.users()])

    async def currently_scanned_users(self, request: ApiRequest) -> bytes:
        return request.json(HTTPStatus.OK, await self._scanned_users())

    async def gists(self, request: ApiRequest) -> bytes:
        """Show the feed from the session's position on; the session moves on once the last byte has left."""
        limit = limit_of(request)
        name = await self._cookie_name()
        session_id, start, length = await self._session(request, name)
        stop = length if limit is None else min(start + limit, length)
        set_cookie(request, name, session_id, self._session_lifetime_s)
        request.setHeader("Vary", "Cookie")
        if start >= stop and start > 0:  # nothing is new; a session that is new is begun below even so
            return request.whole(HTTPStatus.OK, "application/json", EMPTY)
        request.setHeader("Content-Type", "application/json")
        request.setHeader("Content-Length", str(await _json_length(self._store.feed, start, stop)))
        if request.method != b"HEAD":
            await self._show(request, session_id, start, stop)
        return b""

    async def _cookie_name(self) -> bytes:
        if self._identity is None:
            self._identity = await self._store.get_value(IDENTITY, str)
        return cookie_name(self._identity)

    async def _session(self, request: ApiRequest, name: bytes) -> tuple[str, int, int]:
        """The session's id and position, and the feed's length; a new session where the request names none that still
        lives."""
        session_id = session_id_of(request, name)
        if session_id is None:
            return new_session_id(self._random_bytes), 0, await self._store.feed_length()
        visit = await self._store.resume_session(session_id, self._time.wall(), self._session_lifetime_s)
        if visit.shown is None:
            return new_session_id(self._random_bytes), 0, visit.feed_length
        return session_id, visit.shown, visit.feed_length

    async def _show(self, request: ApiRequest, session_id: str, start: int, stop: int) -> None:
        try:
            async for chunk in _json_chunks(self._store.feed, start, stop):
                await request.send(chunk)
        except ConnectionClosed:
            return  # the visitor is gone, and will be shown the same again
        await self._store.advance_session(session_id, stop, self._time.wall())


def limit_of(request: ApiRequest) -> int | None:
    """How many gists the visitor asks for at most; None for all.

    :raises BadRequest: that is not a number from 1 to :data:`MAX_LIMIT`, or there are several.
    """
    given = request.args.get(b"limit")
    if given is None:
        return None
    if len(given) == 1 and given[0].isdigit() and len(given[0]) <= len(str(MAX_LIMIT)):
        limit = int(given[0])
        if 1 <= limit <= MAX_LIMIT:
            return limit
    raise BadRequest(f"limit is a number from 1 to {MAX_LIMIT}")


async def _json_chunks(feed: Feed, start: int, stop: int) -> AsyncIterator[bytes]:
    """The ids at positions ``start + 1`` to ``stop`` as a JSON list, chunk by chunk, so that its size costs no memory.
    The list is empty unless ``start < stop``."""
    if start >= stop:
        yield EMPTY
    opening = b"["
    for first in range(start, stop, SLICE):
        last = min(first + SLICE, stop)
        closing = b"]" if last == stop else b","
        yield opening + encode(await feed(first, last))[1:-1] + closing
        opening = b""


async def _json_length(feed: Feed, start: int, stop: int) -> int:
    """How many bytes :func:`_json_chunks` will have. Positions never change, so reading twice reads the same.

    The second reading is worth it: Content-Length alone shows an HTTP/1.0 client, nginx for one, that an answer was cut
    short.
    """
    return sum([len(chunk) async for chunk in _json_chunks(feed, start, stop)])
