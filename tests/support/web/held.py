"""The real store on a simulated disk, which can be held or broken as visitors read the feed."""

from collections.abc import Iterable, Sequence
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.model import Gist, PassResult
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import SimDisk, run


class HeldStore(TinyStore):
    """While there is a ``gate``, all who read the feed wait for that one Deferred, as for a commit that they share.
    ``slices`` are the readings so far; the one numbered ``broken_slice`` fails. ``shown`` are the sessions' steps."""

    def __init__(self) -> None:
        self.simulated = SimDisk(Random(0))
        self.retrying = Clock()
        super().__init__(self.simulated.folder(), run, self.retrying, roots={})
        self.open()
        self.slices: list[tuple[int, int]] = []
        self.shown: list[tuple[str, int]] = []
        self.gate: Deferred[None] | None = None
        self.broken_slice: int | None = None

    def scanned(self, user: str, gists: Iterable[str] = ()) -> None:
        """A pass has found these."""
        result_of(self.add_gists(PassResult(user, None, None, [Gist(gist, 0.0) for gist in gists])))

    def ids(self) -> list[str]:
        return list(result_of(super().feed(0, 1_000_000)))

    def position(self, session_id: str) -> int | None:
        return result_of(self.resume_session(session_id, 0.0))

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        self.slices.append((start, stop))
        if self.gate is not None:
            await self.gate
        if len(self.slices) == self.broken_slice:
            raise OSError("the disk is gone")
        return await super().feed(start, stop)

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        self.shown.append((session_id, position))
        await super().advance_session(session_id, position, now)
