"""A stretch of the feed as a JSON list, piece by piece, so that its size costs no memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from msgspec.json import encode

SLICE = 1_000  # ids at a time: some 35 KB of JSON, little beside a socket's buffer
EMPTY = b"[]"

Feed = Callable[[int, int], Awaitable[Sequence[str]]]


async def pieces(feed: Feed, start: int, stop: int) -> AsyncIterator[bytes]:
    """The ids at positions ``start + 1`` to ``stop``, of which there is none unless ``start < stop``."""
    if start >= stop:
        yield EMPTY
    opening = b"["
    for first in range(start, stop, SLICE):
        last = min(first + SLICE, stop)
        closing = b"]" if last == stop else b","
        yield opening + encode(await feed(first, last))[1:-1] + closing
        opening = b""


async def length(feed: Feed, start: int, stop: int) -> int:
    """How many bytes :func:`pieces` will have. Positions never change, so reading twice reads the same.

    A Content-Length is worth the second reading: it alone shows an HTTP/1.0 client, nginx for one, an answer cut short.
    """
    return sum([len(piece) async for piece in pieces(feed, start, stop)])
