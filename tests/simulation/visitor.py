"""A visitor of the feed, who comes back now and then: nothing is left out, and nothing is shown twice without need."""

from collections.abc import Callable

from tests.simulation.environment import Environment
from tests.simulation.instance import Instance
from tests.support.results import result_of

SESSION = "visitor"

SURE_S = 300.0
"""So long after it was shown, a position is on disk: it rides along within seconds, or when the disk works again."""


class Visitor:
    """``life`` tells which daemon is asked; ``shown`` is all that this visitor was ever shown, in its order."""

    def __init__(
        self, environment: Environment, life: Callable[[], Instance], object_to: Callable[[str], None]
    ) -> None:
        self._environment = environment
        self._life = life
        self._object = object_to
        self._shown: list[str] | None = []
        self._sure = 0
        environment.events.every(3600.0, self._visit)

    def forget(self) -> None:
        """The database is another one from now on."""
        self._shown, self._sure = None, 0

    def _visit(self) -> None:
        life = self._life()
        if not life.process.alive or life.tables.trouble is not None:
            return
        start = result_of(life.tables.resume_session(SESSION, life.process.time.wall())) or 0
        shown = list(result_of(life.tables.feed(0, start))) if self._shown is None else self._shown
        if start < self._sure:
            self._object(f"a session was at {self._sure}, and is at {start} now")
        if start > len(shown):
            self._object(f"a session is at {start}, and its visitor was shown {len(shown)} gists")
        gists = result_of(life.tables.feed(start, start + 1000))
        again = shown[start:]
        if list(gists[: len(again)]) != again:
            self._object("a visitor is shown other gists than before")
        if self._environment.chance(0.8):
            self._show(life, [*shown[:start], *gists])

    def _show(self, life: Instance, shown: list[str]) -> None:
        self._shown = shown
        result_of(life.tables.advance_session(SESSION, len(shown), life.process.time.wall()))
        life.process.callLater(SURE_S, self._be_sure, life, len(shown))

    def _be_sure(self, life: Instance, position: int) -> None:
        if life.tables.trouble is None:
            self._sure = position
