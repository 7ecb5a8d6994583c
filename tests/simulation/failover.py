"""Several instances on one server: the one that works is frozen or loses its session, or the server is down."""

from collections.abc import Callable

from tests.simulation.environment import Stage
from tests.simulation.faults import HOUR_S
from tests.simulation.life import Life
from tests.simulation.server import IDLE_S, Server


class Rivals:
    """``life`` tells which instance works."""

    def __init__(self, stage: Stage, server: Server, life: Callable[[], Life]) -> None:
        self._stage = stage
        self._server = server
        self._life = life
        self.order = server.order
        stage.habits.every(HOUR_S, lambda: stage.random.choice((self._freeze, self._close, self._fall))())

    def rest(self) -> None:
        """From now on the server can be reached."""
        self._server.down = False

    def _freeze(self) -> None:
        """As when its machine is paused: for less than it takes to lose the lock, or for much more."""
        self._life().process.freeze(self._stage.random.uniform(0.0, 4 * IDLE_S))

    def _close(self) -> None:
        """Somebody ends the session of whoever has the lock."""
        self._server.drop(self._server.holder)

    def _fall(self) -> None:
        self._server.down = True
        self._close()
        self._stage.clock.callLater(self._stage.random.expovariate(1.0 / 600.0), self.rest)
