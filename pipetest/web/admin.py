"""What the admin may ask of the daemon."""

from collections.abc import Callable, Sequence
from hmac import compare_digest
from http import HTTPStatus

from twisted.internet.interfaces import IReactorTime
from werkzeug.exceptions import NotFound, Unauthorized

from pipetest.domain.interfaces import Controls
from pipetest.domain.model import Secret, key
from pipetest.domain.status import QueriedUser
from pipetest.web.guesses import Guesses, origin_of
from pipetest.web.request import ApiRequest
from pipetest.web.responses import (
    Admitted,
    AuditAsked,
    BackfillAsked,
    CreationPaused,
    RetryAsked,
    RetryOfAllAsked,
    ScanAsked,
)
from pipetest.web.routing import Parameter, Route

GIST = Parameter("gist", "path", "the gist's id, or for an organization its user's name")
USER = Parameter("user", "path", "the user's name")


class AdminRoutes:
    """Open to whoever sends the token in a header, which no page of another site can make a browser do. ``all_users``
    are those that the page shows."""

    def __init__(
        self, controls: Controls, all_users: Callable[[], Sequence[QueriedUser]], token: Secret, clock: IReactorTime
    ) -> None:
        self._controls = controls
        self._all_users = all_users
        self._token = token
        self._guesses = Guesses(clock)

    @property
    def refused(self) -> int:
        """How many requests were without the token."""
        return self._guesses.refused

    @property
    def routes(self) -> Sequence[Route]:
        retry, retry_all = "Try a quarantined gist or organization again now.", "Try all that is in quarantine again."
        audit = "Compare all deals in Pipedrive with the known gists now."
        backfill = "Make deals of a user's gists that were skipped, as they are older than the backfill."
        return (
            Route("GET", "/admin", self.admit, "Whether this is the admin token.", {200: Admitted}, admin=True),
            Route("POST", "/scan", self.scan, "Scan now, not at the next interval.", {202: ScanAsked}, admin=True),
            Route("POST", "/pause", self.pause, "Create no deals; read on.", {200: CreationPaused}, admin=True),
            Route("POST", "/resume", self.resume, "Create deals again.", {200: CreationPaused}, admin=True),
            Route("POST", "/audit", self.start_audit, audit, {202: AuditAsked}, admin=True),
            Route("POST", "/quarantine/retry", self.retry_all, retry_all, {202: RetryOfAllAsked}, admin=True),
            Route("POST", "/quarantine/<gist>/retry", self.retry, retry, {202: RetryAsked}, (GIST,), admin=True),
            Route("POST", "/users/<user>/backfill", self.backfill, backfill, {202: BackfillAsked}, (USER,), admin=True),
        )

    async def admit(self, request: ApiRequest) -> bytes:
        await self._authorize(request)
        return request.json(HTTPStatus.OK, Admitted())

    async def scan(self, request: ApiRequest) -> bytes:
        await self._authorize(request)
        await self._controls.scan()
        return request.json(HTTPStatus.ACCEPTED, ScanAsked())

    async def pause(self, request: ApiRequest) -> bytes:
        return await self._set_paused(request, True)

    async def resume(self, request: ApiRequest) -> bytes:
        return await self._set_paused(request, False)

    async def start_audit(self, request: ApiRequest) -> bytes:
        await self._authorize(request)
        await self._controls.audit()
        return request.json(HTTPStatus.ACCEPTED, AuditAsked())

    async def retry(self, request: ApiRequest, gist: str) -> bytes:
        await self._authorize(request)
        if not (_is_a_name(gist) and await self._controls.retry(gist)):
            raise NotFound("no gist of this id, and no organization of such a user, is in quarantine")
        return request.json(HTTPStatus.ACCEPTED, RetryAsked(gist))

    async def retry_all(self, request: ApiRequest) -> bytes:
        await self._authorize(request)
        await self._controls.retry_all()
        return request.json(HTTPStatus.ACCEPTED, RetryOfAllAsked())

    async def backfill(self, request: ApiRequest, user: str) -> bytes:
        await self._authorize(request)
        if not (_is_a_name(user) and await self._controls.backfill(self._recorded_as(user))):
            raise NotFound("no user of this name was ever scanned")
        return request.json(HTTPStatus.ACCEPTED, BackfillAsked(user))

    def _recorded_as(self, user: str) -> str:
        """An account that was renamed is shown by its new name, and recorded under its first one."""
        return next((shown.recorded_as or user for shown in self._all_users() if key(shown.name) == key(user)), user)

    async def _set_paused(self, request: ApiRequest, paused: bool) -> bytes:
        await self._authorize(request)
        await self._controls.set_paused(paused)
        return request.json(HTTPStatus.OK, CreationPaused(paused))

    async def _authorize(self, request: ApiRequest) -> None:
        """Compare in constant time, which tells nobody how much of a token was right.

        :raises Unauthorized: the request brings no token, or a wrong one.
        :raises TooManyRequests: too many from its address wait to be compared.
        """
        scheme, _, given = (request.getHeader(b"authorization") or b"").partition(b" ")
        origin = origin_of(request.getClientAddress())
        if scheme.lower() == b"bearer" and given.strip():  # else it is no guess
            await self._guesses.wait_for_turn(origin)
            if compare_digest(given.strip(), self._token.reveal().encode()):
                self._guesses.was_right(origin)
                return
            self._guesses.was_wrong(origin)
        self._guesses.count_refusal(origin)
        request.setHeader("WWW-Authenticate", 'Bearer realm="pipetest"')
        raise Unauthorized("this needs the admin token")


def _is_a_name(text: str) -> bool:
    """What no gist or user can be called is asked of no database."""
    return text.isascii() and text.isprintable()
