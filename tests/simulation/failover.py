"""What happens to several instances on one database server: the leader freezes or loses its session, or the server is
down."""

from collections.abc import Callable

from tests.simulation.clock import HOUR_S
from tests.simulation.database_server import LOCK_TIMEOUT_S, DatabaseServer
from tests.simulation.environment import Environment
from tests.simulation.instance import Instance


class Failover:
    """``leader`` returns the instance that leads."""

    def __init__(self, environment: Environment, server: DatabaseServer, leader: Callable[[], Instance]) -> None:
        self._random = environment.random
        self._events = environment.events
        self._server = server
        self._leader = leader
        choices = (self._freeze, self._close_session, self._take_server_down)
        environment.events.every(HOUR_S, lambda: self._random.choice(choices)())

    def end(self) -> None:
        """From now on the server can be reached."""
        self._server.come_back()

    def _freeze(self) -> None:
        """As when its machine is paused: for less time than it takes to lose the lock, or for much more."""
        self._leader().process.freeze(self._random.uniform(0.0, 4 * LOCK_TIMEOUT_S))

    def _close_session(self) -> None:
        """Somebody ends the session of whoever has the lock."""
        self._server.close(self._server.holder)

    def _take_server_down(self) -> None:
        self._server.go_down()
        self._events.once(600.0, self._server.come_back)
