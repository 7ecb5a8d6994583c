"""Reads the body of an answer: whole, unpacked while it arrives, and within limits whatever is sent."""

import zlib
from collections.abc import Iterable

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

LARGEST_BODY = 32 * 2**20
"""Bytes, unpacked. The largest answer there is, 100 gists of 300 files with some 400 bytes for each file, has 12 MB.
More than twice that is no list of gists."""

LARGEST_ERROR = 64 * 2**10
"""Bytes of the body of an answer other than 2xx, unpacked: it holds a few words."""

LARGEST_TOGETHER = 4 * LARGEST_BODY
"""Bytes of all bodies that one service is sending at the same time."""

MOST_MEMBERS = 1_000
"""A gzip file is a sequence of members, mostly one. Each may be empty, so their number needs a limit of its own."""

GZIP = ("gzip", "x-gzip")
_GZIP_FORMAT = 31  # for zlib: a gzip header and trailer, and the largest window


class UnreadableBody(Exception):
    """The body is packed in a way that was not asked for, or is not what its packing says."""


class OversizeBody(Exception):
    """The body is larger than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


class Gunzip:
    """Unpacks gzip, a piece at a time."""

    def __init__(self) -> None:
        self._members = 0
        self._member = zlib.decompressobj(_GZIP_FORMAT)
        self._begun = False

    def __call__(self, data: bytes, most: int) -> bytes:
        """What ``data`` unpacks to, cut off at ``most`` bytes: it may be a thousand times as long.

        :raises UnreadableBody: it is no gzip.
        """
        unpacked = bytearray()
        while data and len(unpacked) < most:
            if self._member.eof:
                data = data.lstrip(b"\0")  # some pad their files
                if data:
                    self._next_member()
                continue
            self._begun = True
            try:
                unpacked += self._member.decompress(data, most - len(unpacked))
            except zlib.error:
                raise UnreadableBody from None
            data = self._member.unused_data or self._member.unconsumed_tail
        return bytes(unpacked)

    @property
    def complete(self) -> bool:
        """Whether the input may end here."""
        return self._member.eof or not self._begun

    def _next_member(self) -> None:
        self._members += 1
        if self._members >= MOST_MEMBERS:
            raise UnreadableBody
        self._member = zlib.decompressobj(_GZIP_FORMAT)


class SizeBudget(Struct):
    """How many bytes the bodies hold that are being read, of all exchanges with one service."""

    held: int = 0


class BodyReader(Protocol):
    """Reads a body of at most ``limit`` bytes. ``whole`` fires with it; it closes the connection when it fails, or is
    cancelled."""

    def __init__(self, encodings: Iterable[str], limit: int, budget: SizeBudget) -> None:
        self.whole: Deferred[bytes] = Deferred(lambda _: self._cut_off())
        self._encodings = list(encodings)
        self._limit = limit
        self._budget = budget
        self._gunzip = Gunzip() if self._encodings else None
        self._body = bytearray()
        self._received = 0

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return  # cut off, and more arrives before the connection is gone
        try:
            self._add(data)
        except Exception:
            failure = Failure()
            self._cut_off()
            self.whole.errback(failure)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        # Without a length the end of the connection is the end of the body; JSON shows whether it is whole.
        body = self._release()
        if not reason.check(ResponseDone, PotentialDataLoss):
            self.whole.errback(reason)
        elif self._gunzip is not None and not self._gunzip.complete:
            self.whole.errback(UnreadableBody())
        else:
            self.whole.callback(body)

    def _add(self, data: bytes) -> None:
        if self._encodings and (len(self._encodings) > 1 or self._encodings[0] not in GZIP):
            raise UnreadableBody
        self._received += len(data)  # much may come that unpacks to nothing
        if self._gunzip is not None:
            data = self._gunzip(data, self._limit + 1 - len(self._body))
        self._body += data
        self._budget.held += len(data)
        if max(self._received, len(self._body)) > self._limit:
            raise OversizeBody(self._limit)
        if self._budget.held > LARGEST_TOGETHER:
            raise OversizeBody(LARGEST_TOGETHER)

    def _release(self) -> bytes:
        body, self._body = bytes(self._body), bytearray()
        self._budget.held -= len(body)
        return body

    def _cut_off(self) -> None:
        self._release()
        if self.transport is not None:
            self.transport.loseConnection()


def encodings(values: Iterable[bytes]) -> list[str]:
    """How a body is packed, by the lines of Content-Encoding: the layers in the order in which they were put on."""
    names = b",".join(values).decode("latin-1").lower().split(",")
    return [name for name in map(str.strip, names) if name not in ("", "identity")]
