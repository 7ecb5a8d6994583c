"""TinyDB databases for daemons to start with."""

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

FEW_USERS = 20
NOW = 1_700_000_000.0
UNKNOWN_ORGANIZATION = 1_000_001
"""The sandbox's Pipedrive lacks the organizations from this one on: none that it creates may get the id of one."""

T = TypeVar("T")


def write_invented(
    path: Path, roots: Mapping[str, str], gists: int, users: int = FEW_USERS, *, done: bool = True
) -> None:
    """With so many gists of so many users, which no GitHub has."""
    each = gists // users
    results = []
    for number in range(users):
        written = [Gist(f"{number * each + i:032x}", NOW + i) for i in range(each)]
        results.append(PassResult(f"user{number}", number + 1, '"etag"', written, NOW))
    write(path, roots, results, done=done)


def write(
    path: Path,
    roots: Mapping[str, str],
    results: Sequence[PassResult],
    *,
    done: bool = True,
    first_organization: int = UNKNOWN_ORGANIZATION,
) -> None:
    """With what these passes found. ``done``: every user has an organization, the first of them with this id, and every
    gist a deal; else nothing is created yet. ``roots``: the addresses of GitHub and Pipedrive that the database
    remembers."""
    waiting: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()

    def run_later(work: Callable[[], T]) -> "Deferred[T]":
        """So everything asked for until then shares the next commit."""
        result: Deferred[T] = Deferred()
        waiting.append((work, result))
        return result

    store = TinyStore(FolderDisk(str(path)), run_later, Clock(), roots=roots)
    store.open()
    filled = Deferred.fromCoroutine(_fill(store, results, first_organization if done else None))
    while waiting:
        work, result = waiting.popleft()
        result.callback(work())
    filled.addErrback(Failure.raiseException)


async def _fill(store: TinyStore, results: Sequence[PassResult], first_organization: int | None) -> None:
    await gatherResults([Deferred.fromCoroutine(store.add_gists(result)) for result in results])
    if first_organization is not None:
        await _save_done(store, results, first_organization)
    await store.close()


async def _save_done(store: TinyStore, results: Sequence[PassResult], first_organization: int) -> None:
    organizations = [
        OrganizationChange(result.user, Organization(Done(number), reconciled_at=0.0))
        for number, result in enumerate(results, first_organization)
    ]
    gists = (gist for result in results for gist in result.gists)
    await store.mark_reconciled()  # as it is long before everything is done
    await store.save(*organizations, *(DealChange(gist.id, Done(number)) for number, gist in enumerate(gists, 1)))
