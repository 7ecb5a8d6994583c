"""Who starts the daemon, and starts it again whenever it has died; and the ways in which it may die."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from math import floor

from pipetest.config.settings import Settings, load
from pipetest.domain.model import Request
from pipetest.sandbox.world import KEY
from tests.exploration.small_world import INTERVAL_S, SETTLE_S, SmallWorld
from tests.simulation.crash_plan import AFTER, BEFORE, DISK, CrashPlan
from tests.simulation.database_server import LOCK_TIMEOUT_S
from tests.simulation.exchange import CONNECT_S
from tests.simulation.instance import Instance
from tests.simulation.invariants import Invariants
from tests.simulation.storage_faults import CURRENT, PREVIOUS, WRITES
from tests.support.simulated_disk import Crash, Names, SimDisk, Step

STARTS_EVERY_S = 10.0
"""It is started again at the next full ten seconds, so that many runs come to the same state."""

FROZEN_S = 2 * LOCK_TIMEOUT_S

KILLED, POWER_CUT = "killed", "power cut, nothing left but what was synced"
RENAMED = "power cut, but for all renames nothing left but what was synced"
LOST, OLDER = "killed, the database lost", "killed, the generation before put in the database's place"
UNHEARD, FROZEN = "power cut, which the database server is not told", "frozen until another one leads"
DISCONNECTED = "its session closed by the database server"

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
OF_SEVERAL = {BEFORE: (KILLED, UNHEARD, FROZEN, DISCONNECTED), AFTER: (KILLED, UNHEARD), DISK: (KILLED,)}


def _synced(names: Names) -> Names:
    return {suffix: inode.as_synced() for suffix, inode in names.items()}


class ChosenEnd(CrashPlan):
    """A process dies at a moment where it ``dies``."""

    dies: Callable[[str, Request | None], bool] = lambda moment, request: False

    def crashes_at(self, moment: str, request: Request | None = None) -> bool:
        return self.dies(moment, request)


class Supervisor:
    """``state_of`` digests what is left where the daemon dies, told when it is started again, what is on the disk, and
    what was shown of the feed. ``thawed_at``: by then no instance is frozen any more.

    It has the shape of :class:`tests.simulation.operators.Operators` for the final checks.
    """

    def __init__(
        self,
        environment: SmallWorld,
        invariants: Invariants,
        state_of: Callable[[float, Sequence[Names], Sequence[str]], bytes],
    ) -> None:
        self._environment = environment
        self._choices = environment.choices
        self._invariants = invariants
        self._state_of = state_of
        self._way = KILLED
        self._slots: list[Instance] = []  # in each the latest, alive or not
        self._kept: list[Instance] = []  # as in the simulation: to collect one would end what it waited for
        self.users = environment.plan.users
        self.replaced_at: list[float] = []
        self.storage_faults = self
        self.thawed_at = 0.0
        if environment.server is None:
            environment.disk.fault = self._fault_at
        for slot in range(environment.plan.instances):
            self._start(slot)

    @property
    def leader(self) -> Instance:
        """The instance that works; one that does not, where none does."""
        return next((instance for instance in self._slots if instance.leads), self._slots[0])

    def _start(self, slot: int) -> None:
        environment = self._environment
        dies = self._alone_dies if environment.server is None else partial(self._one_of_several_dies, slot)
        settings = settings_for(",".join(self.users), environment.plan.settle_s)
        instance = Instance(environment, settings, ChosenEnd(dies=dies), self._invariants, partial(self._ended, slot))
        self._slots[slot : slot + 1] = [instance]
        self._kept.append(instance)
        self._invariants.starts(instance)
        instance.start()

    def _ended(self, slot: int, instance: Instance, how: str) -> None:
        self._environment.clock.callLater(0.0, self._start_next, slot, instance, how)

    def _start_next(self, slot: int, instance: Instance, how: str) -> None:
        self._invariants.ended(instance, how)
        disk, clock = self._environment.disk, self._environment.clock
        if self._way in REPLACED:
            self._invariants.database_replaced()
            self.replaced_at.append(clock.seconds())
        if self._environment.server is None:
            disk.leave(LEFT_BY[self._way](disk))
        clock.callLater(self._next_start(self._way) - clock.seconds(), self._start, slot)

    def _next_start(self, way: str) -> float:
        """A machine that is put back without a word starts at least a settle time after its last create."""
        rested = self._environment.clock.seconds() + (SETTLE_S if way == OLDER else 0.0)
        return (floor(rested / STARTS_EVERY_S) + 1) * STARTS_EVERY_S

    # --- one alone ----------------------------------------------------------------------------------------------------

    def _alone_dies(self, moment: str, request: Request | None) -> bool:
        """Only a create changes anything that makes a difference between a crash before and one after."""
        if request is None or (moment == AFTER and request.method != "POST"):
            return False
        return self._dies(AT_CREATE if request.method == "POST" else AT_READ, f"{moment}: {request.url}")

    def _fault_at(self, step: Step) -> Crash | None:
        if step.operation in WRITES and self._dies(AT_STEP, f"{step.operation} {step.suffix}"):
            return Crash()
        return None

    def _dies(self, ways: Sequence[str], where: str) -> bool:
        way = self._choices.choose(ways, where, self._after)
        self._way = way or KILLED
        return way is not None

    def _after(self, way: str) -> bytes:
        feed = () if way in REPLACED else self._invariants.feed
        return self._state_of(self._next_start(way), LEFT_BY[way](self._environment.disk), feed)

    # --- one of several -----------------------------------------------------------------------------------------------

    def _one_of_several_dies(self, slot: int, moment: str, request: Request | None) -> bool:
        """What another one remembers is no digest: none is made."""
        if request is not None and request.method != "POST":
            return False
        where = moment if request is None else f"{moment}: {request.url}"
        way, instance = self._choices.choose(OF_SEVERAL[moment], where), self._slots[slot]
        server, clock = self._environment.server, self._environment.clock
        if way == FROZEN:
            self.thawed_at = clock.seconds() + FROZEN_S + SETTLE_S
            clock.callLater(CONNECT_S / 2, instance.process.freeze, FROZEN_S)
        elif way == DISCONNECTED and server is not None:
            server.close(server.holder)
        instance.crash_plan.power_cut = way == UNHEARD
        return way in (KILLED, UNHEARD)


@cache
def settings_for(users: str, settle_s: float) -> Settings:
    return load(
        {
            "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
            "PIPETEST_QUERIED_USERS": users,
            "PIPETEST_QUERYING_INTERVAL": f"{INTERVAL_S / 60.0}",
            "PIPETEST_SETTLE_TIME": f"{settle_s}",
        }
    )
