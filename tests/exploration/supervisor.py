"""Who starts the daemon, and starts it again whenever it has died; and the ways in which it may die."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import floor

from pipetest.config.settings import Settings, load
from pipetest.domain.model import Request
from pipetest.sandbox.world import KEY
from tests.exploration.small_world import INTERVAL_S, SETTLE_S, SmallWorld
from tests.simulation.crash_plan import AFTER, CrashPlan
from tests.simulation.instance import Instance
from tests.simulation.invariants import Invariants
from tests.simulation.storage_faults import CURRENT, PREVIOUS, WRITES
from tests.support.simulated_disk import Crash, Names, SimDisk, Step

STARTS_EVERY_S = 10.0
"""It is started again at the next full ten seconds, so that many runs come to the same state."""

KILLED, POWER_CUT = "killed", "power cut, nothing left but what was synced"
RENAMED = "power cut, but for all renames nothing left but what was synced"
LOST, OLDER = "killed, the database lost", "killed, the generation before put in the database's place"

LEFT_BY: Mapping[str, Callable[[SimDisk], Sequence[Names]]] = {
    KILLED: lambda disk: disk.journal,
    POWER_CUT: lambda disk: [_synced(disk.journal[0])],
    RENAMED: lambda disk: [_synced(disk.journal[-1])],
    LOST: lambda disk: [{}],
    OLDER: lambda disk: [{CURRENT: disk.names[PREVIOUS]} if PREVIOUS in disk.names else {}],
}
"""What each way to die leaves of the disk."""

REPLACED = (LOST, OLDER)
AT_READ, AT_STEP, AT_CREATE = (KILLED,), (KILLED, POWER_CUT, RENAMED), (KILLED, POWER_CUT, LOST, OLDER)


def _synced(names: Names) -> Names:
    return {suffix: inode.as_synced() for suffix, inode in names.items()}


class ChosenEnd(CrashPlan):
    """A process dies where it ``dies`` of one of these ways."""

    dies: Callable[[Sequence[str], str], bool] = lambda ways, where: False

    def crashes_at(self, moment: str, request: Request | None = None) -> bool:
        """Only a create changes anything that makes a difference between a crash before and one after."""
        if request is None or (moment == AFTER and request.method != "POST"):
            return False
        return self.dies(AT_CREATE if request.method == "POST" else AT_READ, f"{moment}: {request.url}")


class Supervisor:
    """``leader`` is the process that runs, or ran last. ``state_of`` digests what is left where it dies, told
    when it is started again, what is on the disk, and what was shown of the feed.

    It has the shape of :class:`tests.simulation.operators.Operators` for the final checks.
    """

    def __init__(
        self,
        environment: SmallWorld,
        invariants: Invariants,
        state_of: Callable[[float, Sequence[Names], Sequence[str]], bytes],
    ) -> None:
        self._environment = environment
        self._invariants = invariants
        self._state_of = state_of
        self._way = KILLED
        self._kept: list[Instance] = []  # as in the simulation: to collect one would end what it waited for
        self.users = environment.plan.users
        self.replaced_at: list[float] = []
        self.storage_faults = self
        environment.disk.fault = self._fault_at
        self._start()

    def _start(self) -> None:
        settings, end = settings_for(",".join(self.users)), ChosenEnd(dies=self._dies)
        self.leader = Instance(self._environment, settings, end, self._invariants, self._ended)
        self._kept.append(self.leader)
        self._invariants.starts(self.leader)
        self.leader.start()

    def _fault_at(self, step: Step) -> Crash | None:
        if step.operation in WRITES and self._dies(AT_STEP, f"{step.operation} {step.suffix}"):
            return Crash()
        return None

    def _dies(self, ways: Sequence[str], where: str) -> bool:
        way = self._environment.choices.choose(ways, where, self._after)
        self._way = way or KILLED
        return way is not None

    def _after(self, way: str) -> bytes:
        feed = () if way in REPLACED else self._invariants.feed
        return self._state_of(self._next_start(way), LEFT_BY[way](self._environment.disk), feed)

    def _next_start(self, way: str) -> float:
        """A machine that is put back without a word starts at least a settle time after its last create."""
        rested = self._environment.clock.seconds() + (SETTLE_S if way == OLDER else 0.0)
        return (floor(rested / STARTS_EVERY_S) + 1) * STARTS_EVERY_S

    def _ended(self, instance: Instance, how: str) -> None:
        self._environment.clock.callLater(0.0, self._clear_up, instance, how)

    def _clear_up(self, instance: Instance, how: str) -> None:
        self._invariants.ended(instance, how)
        disk, clock = self._environment.disk, self._environment.clock
        if self._way in REPLACED:
            self._invariants.database_replaced()
            self.replaced_at.append(clock.seconds())
        disk.leave(LEFT_BY[self._way](disk))
        clock.callLater(self._next_start(self._way) - clock.seconds(), self._start)


@cache
def settings_for(users: str) -> Settings:
    return load(
        {
            "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
            "PIPETEST_QUERIED_USERS": users,
            "PIPETEST_QUERYING_INTERVAL": f"{INTERVAL_S / 60.0}",
            "PIPETEST_SETTLE_TIME": f"{SETTLE_S}",
        }
    )
