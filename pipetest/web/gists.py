"""What visitors ask: is it up, whose gists are there, and which are new to me."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated

from attrs import frozen
from msgspec import Meta
from twisted.internet.error import ConnectionClosed
from werkzeug.exceptions import BadRequest

from pipetest.domain.interfaces import Store, Time
from pipetest.web import cookie, feed
from pipetest.web.request import ApiRequest
from pipetest.web.responses import Health
from pipetest.web.routes import Parameter, Route

LIMIT = 1_000_000  # gists in one answer that a visitor may ask for
SESSION = Parameter(cookie.NAME.decode(), "cookie", "names the session")
LIMITED = Parameter(
    "limit", "query", "show so many at most; the session moves on by just those", Annotated[int, Meta(ge=1, le=LIMIT)]
)


@frozen
class GistRoutes:
    """What visitors may ask. ``users`` are the queried ones; ``random_bytes`` makes session ids."""

    _store: Store
    _users: Sequence[str]
    _time: Time
    _session_lifetime_s: float
    _random_bytes: Callable[[int], bytes]

    @property
    def routes(self) -> Sequence[Route]:
        ever, now = "Every user ever scanned.", "The users who are scanned."
        new = "The gists that are new to this session, oldest first; without a session all of them, and a new one."
        return (
            Route("GET", "/health", self.health, "Whether the database can be written.", {200: Health, 503: Health}),
            Route("GET", "/getAllScannedUsers", self.all_scanned_users, ever, {200: list[str]}),
            Route("GET", "/getCurrentlyScannedUsers", self.currently_scanned_users, now, {200: list[str]}),
            Route("GET", "/getGists", self.gists, new, {200: list[str]}, (SESSION, LIMITED)),
        )

    async def health(self, visit: ApiRequest) -> bytes:
        trouble = self._store.trouble
        if trouble is None:
            return visit.json(HTTPStatus.OK, Health("UP"))
        return visit.json(HTTPStatus.SERVICE_UNAVAILABLE, Health("DOWN", trouble))

    async def all_scanned_users(self, visit: ApiRequest) -> bytes:
        return visit.json(HTTPStatus.OK, [user.name for user in await self._store.users()])

    async def currently_scanned_users(self, visit: ApiRequest) -> bytes:
        return visit.json(HTTPStatus.OK, self._users)

    async def gists(self, visit: ApiRequest) -> bytes:
        """Show the feed from where the session stands; it moves on once the last byte has left."""
        limit = limited(visit)
        session_id, start = await self._session(visit)
        length = await self._store.feed_length()
        stop = length if limit is None else min(start + limit, length)
        cookie.give(visit, session_id, self._session_lifetime_s)
        visit.setHeader("Vary", "Cookie")
        if start >= stop and start > 0:  # a session that lives, and has nothing to move on to
            return visit.whole(HTTPStatus.OK, "application/json", feed.EMPTY)
        visit.setHeader("Content-Type", "application/json")
        visit.setHeader("Content-Length", str(await feed.length(self._store.feed, start, stop)))
        if visit.method != b"HEAD":
            await self._show(visit, session_id, start, stop)
        return b""

    async def _session(self, visit: ApiRequest) -> tuple[str, int]:
        """The visitor's session and how far it was shown the feed; a new one where there is none that lives."""
        session_id = cookie.presented(visit)
        if session_id is not None:
            position = await self._store.resume_session(session_id, self._time.wall(), self._session_lifetime_s)
            if position is not None:
                return session_id, position
        return cookie.new(self._random_bytes), 0

    async def _show(self, visit: ApiRequest, session_id: str, start: int, stop: int) -> None:
        try:
            async for piece in feed.pieces(self._store.feed, start, stop):
                await visit.send(piece)
        except ConnectionClosed:
            return  # the visitor is gone, and will be shown the same again
        await self._store.advance_session(session_id, stop, self._time.wall())


def limited(visit: ApiRequest) -> int | None:
    """How many gists the visitor asks for at most; None for all.

    :raises BadRequest: that is not a number from 1 to :data:`LIMIT`, or there are several.
    """
    given = visit.args.get(b"limit")
    if given is None:
        return None
    if len(given) == 1 and given[0].isdigit() and len(given[0]) <= len(str(LIMIT)) and 1 <= int(given[0]) <= LIMIT:
        return int(given[0])
    raise BadRequest(f"limit is a number from 1 to {LIMIT}")
