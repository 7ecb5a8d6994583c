"""Several instances on one server: the one that works is frozen or loses its session, or the server is down."""

from collections.abc import Callable

from tests.simulation.database_server import IDLE_S, DatabaseServer
from tests.simulation.environment import Environment
from tests.simulation.instance import Instance
from tests.simulation.service_faults import HOUR_S


class Failover:
    """``life`` tells which instance works."""

    def __init__(self, environment: Environment, server: DatabaseServer, life: Callable[[], Instance]) -> None:
        self._environment = environment
        self._server = server
        self._life = life
        self.order = server.order
        environment.events.every(HOUR_S, lambda: environment.random.choice((self._freeze, self._close, self._fall))())

    def rest(self) -> None:
        """From now on the server can be reached."""
        self._server.down = False

    def _freeze(self) -> None:
        """As when its machine is paused: for less than it takes to lose the lock, or for much more."""
        self._life().process.freeze(self._environment.random.uniform(0.0, 4 * IDLE_S))

    def _close(self) -> None:
        """Somebody ends the session of whoever has the lock."""
        self._server.drop(self._server.holder)

    def _fall(self) -> None:
        self._server.down = True
        self._close()
        self._environment.clock.callLater(self._environment.random.expovariate(1.0 / 600.0), self.rest)
