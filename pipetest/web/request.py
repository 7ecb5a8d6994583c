"""One request and its answer, as every handler sees them."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

from msgspec.json import encode
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from pipetest.config.parsers import Network
from pipetest.web.addresses import ip_of
from pipetest.web.connection import Channel
from pipetest.web.hosts import LoopbackHosts
from pipetest.web.responses import Problem

_ORIGIN = re.compile(rb"^https?://[^/]*", re.IGNORECASE)
"""What the absolute form of a request has before its path (RFC 9112, 3.2.2): proxies and some probes use it."""


class ApiRequest(Request):
    """Twisted's request, with errors as JSON where Twisted and Klein would answer HTML, and a write that waits."""

    channel: Channel | None  # type: ignore[assignment]
    _log = Logger()

    def __init__(
        self,
        channel: Channel,
        queued: bool,
        *,
        trusted_proxies: Sequence[Network] = (),
        hosts: LoopbackHosts,
    ) -> None:
        super().__init__(channel, queued)
        self._trusted_proxies = trusted_proxies
        self._hosts = hosts

    def isSecure(self) -> bool:
        """Whether the client came over TLS: to us, or to a trusted proxy that says so. Of several proxies, each with a
        word of its own, the first one saw the client."""
        claims = b",".join(self.requestHeaders.getRawHeaders(b"x-forwarded-proto", ()))
        over_tls = claims.partition(b",")[0].strip().lower() == b"https"
        return super().isSecure() or (over_tls and self._is_proxied())

    def _is_proxied(self) -> bool:
        """Whether a trusted proxy passed it on. What connects to a UNIX socket is one: no visitor can."""
        peer = self.getClientAddress()
        if isinstance(peer, UNIXAddress):
            return True
        address = ip_of(peer)
        return address is not None and any(address in proxies for proxies in self._trusted_proxies)

    def getRequestHostname(self) -> bytes:
        """The same for all: we route by path alone, and what a client claims as host goes no further."""
        return b"pipetest"

    @property
    def line(self) -> str:
        """Method and path, for the log, without the query."""
        return f"{self.method.decode()} {self.path.decode(errors='replace')}"

    def process(self) -> None:
        self.path = _ORIGIN.sub(b"", self.path) or b"/"
        if self._is_misdirected():
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, "on loopback, this is asked by names in PIPETEST_HOSTS only")
        elif not _is_utf8(unquote_to_bytes(self.path)):  # Klein would log each as an error of ours
            self._answer(HTTPStatus.BAD_REQUEST, "the path is not UTF-8")
        else:
            super().process()

    def _is_misdirected(self) -> bool:
        hosts = self.requestHeaders.getRawHeaders(b"host", ())
        return self._hosts.refuses(self.getHost(), hosts) and not self._is_proxied()

    def processingFailed(self, reason: Failure) -> Failure:
        self._log.failure("{request} failed", reason, event="request_failed", request=self.line)
        self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "this failed; the log says why")
        return reason

    def _answer(self, status: int, detail: str) -> None:
        self.write(self.problem(status, detail))
        self.finish()

    def json(self, status: int, value: object) -> bytes:
        """Set status and headers of an answer in JSON, and return its body for Klein to write."""
        return self.whole(status, "application/json", encode(value))

    def problem(self, status: int, detail: str) -> bytes:
        """The same for an error."""
        return self.whole(status, Problem.MEDIA_TYPE, encode(Problem.of(status, detail)))

    def whole(self, status: int, media_type: str, body: bytes) -> bytes:
        """The same for any body that is there as a whole."""
        self.setResponseCode(status, HTTPStatus(status).phrase.encode())  # Twisted doesn't know all of them
        self.setHeader("Content-Type", media_type)
        self.setHeader("Content-Length", str(len(body)))
        return body

    async def send(self, chunk: bytes) -> None:
        """Write a chunk of the answer and wait until the operating system has taken it.

        :raises ConnectionClosed: the client is gone.
        """
        if self.channel is not None and self.channel.unflushed:  # by the end of the answer before, when pipelined
            await self.channel.flushed()
        if self.channel is None:
            raise ConnectionDone
        flushed = self.channel.flushed()
        self.write(chunk)
        await flushed


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
