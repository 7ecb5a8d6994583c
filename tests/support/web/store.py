"""The real store on a simulated disk, whose reads of the feed can be blocked or broken."""

from collections.abc import Iterable, Sequence
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.model import Gist, PassResult
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import SimDisk, run


class BlockableStore(TinyStore):
    """While ``blocked`` is set, all reads of the feed wait for that one Deferred, as for a commit that they share.
    ``slices`` are the reads so far; the one numbered ``broken_slice`` fails. ``advances`` are the sessions' steps."""

    def __init__(self) -> None:
        self.disk = SimDisk(Random(0))
        self.retry_clock = Clock()
        super().__init__(self.disk.folder(), run, self.retry_clock, roots={})
        self.open()
        self.slices: list[tuple[int, int]] = []
        self.advances: list[tuple[str, int]] = []
        self.blocked: Deferred[None] | None = None
        self.broken_slice: int | None = None

    def record(self, user: str, gists: Iterable[str] = ()) -> None:
        """Gists of these ids, as found by one pass over this user's list."""
        result_of(self.add_gists(PassResult(user, None, None, [Gist(gist, 0.0) for gist in gists])))

    def ids(self) -> list[str]:
        return list(result_of(super().feed(0, 1_000_000)))

    def position(self, session_id: str) -> int | None:
        return result_of(self.resume_session(session_id, 0.0)).shown

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        self.slices.append((start, stop))
        if self.blocked is not None:
            await self.blocked
        if len(self.slices) == self.broken_slice:
            raise OSError("the disk is gone")
        return await super().feed(start, stop)

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        self.advances.append((session_id, position))
        await super().advance_session(session_id, position, now)
