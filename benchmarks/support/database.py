"""Databases in which everything is done, each user has an organization and each gist is a deal; or nothing yet."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from pipetest.domain.model import DealChange, Done, Gist, Organization, OrganizationChange, PassResult
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore

USERS = 20
NOW = 1_700_000_000.0
FIRST_ORGANIZATION = 1_000_001
"""The services don't hold these organizations: one that they create must not come to life in the place of another."""

T = TypeVar("T")


def fill(path: Path, roots: Mapping[str, str], gists: int, users: int = USERS, *, done: bool = True) -> None:
    """Make a database at ``path``, about the services at these ``roots``, with so many gists of so many users."""
    share = gists // users
    readings = []
    for number in range(users):
        written = [Gist(f"{number * share + i:032x}", NOW + i) for i in range(share)]
        readings.append(PassResult(f"user{number}", number + 1, '"etag"', written, NOW))
    make(path, roots, readings, done=done)


def make(path: Path, roots: Mapping[str, str], readings: Sequence[PassResult], *, done: bool = True) -> None:
    """Make a database at ``path`` of what was read."""
    waiting: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()

    def run(work: Callable[[], T]) -> "Deferred[T]":
        """Put it off: all that is asked for meanwhile shares the next commit."""
        result: Deferred[T] = Deferred()
        waiting.append((work, result))
        return result

    store = TinyStore(FolderDisk(str(path)), run, Clock(), roots=roots)
    store.open()
    made = Deferred.fromCoroutine(_make(store, readings, done=done))
    while waiting:
        work, result = waiting.popleft()
        result.callback(work())
    made.addErrback(Failure.raiseException)


async def _make(store: TinyStore, readings: Sequence[PassResult], *, done: bool) -> None:
    await gatherResults([Deferred.fromCoroutine(store.add_gists(reading)) for reading in readings])
    if done:
        await _save_done(store, readings)
    await store.close()


async def _save_done(store: TinyStore, readings: Sequence[PassResult]) -> None:
    organizations = [
        OrganizationChange(reading.user, Organization(Done(number), reconciled_at=0.0))
        for number, reading in enumerate(readings, FIRST_ORGANIZATION)
    ]
    gists = (gist for reading in readings for gist in reading.gists)
    await store.save(*organizations, *(DealChange(gist.id, Done(number)) for number, gist in enumerate(gists, 1)))
