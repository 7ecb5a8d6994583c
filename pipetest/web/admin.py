"""What the admin may ask of the daemon."""

from collections.abc import Awaitable, Callable, Sequence
from hmac import compare_digest
from http import HTTPStatus

from attrs import frozen
from werkzeug.exceptions import NotFound, Unauthorized

from pipetest.domain.model import Secret
from pipetest.web.request import ApiRequest
from pipetest.web.responses import CreationPaused, RetryAsked, ScanAsked
from pipetest.web.routes import Parameter, Route

GIST = Parameter("gist", "path", "the gist's id")


@frozen
class Operations:
    """What the controls do. ``scan`` begins one unless one is under way; ``pause`` takes whether creation is to be
    paused, and returns when that is stored; ``retry`` says whether a gist of this id is in quarantine."""

    scan: Callable[[], Awaitable[object]]
    pause: Callable[[bool], Awaitable[object]]
    retry: Callable[[str], Awaitable[bool]]


@frozen
class AdminRoutes:
    """Open to whoever brings the token in a header, which no page of another site can make a browser send."""

    _operations: Operations
    _token: Secret

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route("POST", "/scan", self.scan, "Scan now, not at the next interval.", {202: ScanAsked}, admin=True),
            Route("POST", "/pause", self.pause, "Create no deals; read on.", {200: CreationPaused}, admin=True),
            Route("POST", "/resume", self.resume, "Create deals again.", {200: CreationPaused}, admin=True),
            Route(
                "POST",
                "/quarantine/<gist>/retry",
                self.retry,
                "Try a quarantined gist again now.",
                {202: RetryAsked},
                (GIST,),
                admin=True,
            ),
        )

    async def scan(self, visit: ApiRequest) -> bytes:
        self._admit(visit)
        await self._operations.scan()
        return visit.json(HTTPStatus.ACCEPTED, ScanAsked())

    async def pause(self, visit: ApiRequest) -> bytes:
        return await self._turn(visit, paused=True)

    async def resume(self, visit: ApiRequest) -> bytes:
        return await self._turn(visit, paused=False)

    async def retry(self, visit: ApiRequest, gist: str) -> bytes:
        self._admit(visit)
        if not await self._operations.retry(gist):
            raise NotFound("no gist of this id is in quarantine")
        return visit.json(HTTPStatus.ACCEPTED, RetryAsked(gist))

    async def _turn(self, visit: ApiRequest, *, paused: bool) -> bytes:
        self._admit(visit)
        await self._operations.pause(paused)
        return visit.json(HTTPStatus.OK, CreationPaused(paused))

    def _admit(self, visit: ApiRequest) -> None:
        """
        :raises Unauthorized: it brings no token, or a wrong one; how wrong does not show in the time that takes.
        """
        scheme, _, given = (visit.getHeader(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not compare_digest(given.strip(), self._token.reveal().encode()):
            visit.setHeader("WWW-Authenticate", 'Bearer realm="pipetest"')
            raise Unauthorized("this needs the admin token")
