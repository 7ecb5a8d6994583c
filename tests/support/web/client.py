"""A client that does what a test says, down to the byte: half requests, answers left unread, sudden ends."""

from typing import TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure

from tests.support.processes import Response

HOPELESS_S = 30.0

T = TypeVar("T")


class Answer(Response, frozen=True):
    """``body`` may be short of its length."""

    @property
    def cookie(self) -> str:
        """What a browser would send back."""
        return self.headers["set-cookie"].partition(";")[0]


class Client(Protocol):
    """One connection."""

    transport: Connection

    def __init__(self) -> None:
        self.unread = b""
        self._waiting: list[tuple[bool, Deferred[Answer]]] = []
        self._lost: Deferred[None] = Deferred()

    def send(self, request: str | bytes) -> None:
        """Send these bytes; a text is a whole request without its Host, a line each."""
        if isinstance(request, str):
            request = "\r\n".join([*request.split("\n"), "Host: pipetest", "", ""]).encode("latin-1")
        self.transport.write(request)

    def ask(self, request: str | bytes) -> "Deferred[Answer]":
        self.send(request)
        return self.answer(bodyless=request[:5] in ("HEAD ", b"HEAD "))

    def answer(self, bodyless: bool = False) -> "Deferred[Answer]":
        """The next whole answer, in the order of the requests; fails when the connection ends before."""
        answer: Deferred[Answer] = Deferred()
        self._waiting.append((bodyless, answer))
        self._deliver()
        return _in_time(answer)

    def stop_reading(self) -> None:
        self.transport.pauseProducing()

    def read_on(self) -> None:
        self.transport.resumeProducing()

    async def closed(self) -> None:
        """Wait until the server, or :meth:`hang_up`, has ended the connection."""
        await _in_time(self._lost)

    async def hang_up(self) -> None:
        if not self._lost.called:
            self.transport.abortConnection()
            await self.closed()

    def dataReceived(self, data: bytes) -> None:
        self.unread += data
        self._deliver()

    def _deliver(self) -> None:
        while self._waiting:
            bodyless, waiting = self._waiting[0]
            answer = self._take_answer(bodyless)
            if answer is None:
                return
            del self._waiting[0]
            waiting.callback(answer)

    def _take_answer(self, bodyless: bool) -> Answer | None:
        """The answer at the beginning of what is unread; None while a part of it is missing."""
        head, blank, rest = self.unread.partition(b"\r\n\r\n")
        if not blank:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = 0 if bodyless else int(headers["content-length"])
        if len(rest) < length:
            return None
        self.unread = rest[length:]
        return Answer(int(first.split(" ")[1]), headers, rest[:length])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost.callback(None)
        for _, waiting in self._waiting:
            waiting.errback(reason)


def _in_time(awaited: "Deferred[T]") -> "Deferred[T]":
    from twisted.internet import reactor

    return awaited.addTimeout(HOPELESS_S, cast(IReactorTime, reactor))
