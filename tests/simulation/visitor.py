"""A visitor of the feed who returns now and then: no gist may be left out, and none shown twice without need."""

from collections.abc import Callable

from tests.simulation.environment import Environment
from tests.simulation.instance import Instance
from tests.simulation.run_log import RunLog
from tests.support.results import result_of

SESSION = "visitor"

STORED_AFTER_S = 300.0
"""So long after it was shown, a position is on disk: it is stored with other commits within seconds, or when the disk
works again."""


class Visitor:
    """``leader`` returns the instance that is asked."""

    def __init__(self, environment: Environment, leader: Callable[[], Instance], run_log: RunLog) -> None:
        self._environment = environment
        self._leader = leader
        self._run_log = run_log
        self._shown: list[str] | None = []  # all that was ever shown, in order; None: what the database says
        self._stored_position = 0
        environment.events.every(3600.0, self._visit)

    def database_replaced(self) -> None:
        """From now on the database is another one, which may know less of this visitor."""
        self._shown, self._stored_position = None, 0

    def _visit(self) -> None:
        instance = self._leader()
        content = instance.content
        if not instance.process.alive or content.problem is not None:
            return
        start = result_of(content.resume_session(SESSION, instance.process.time.wall())).shown or 0
        shown = list(result_of(content.feed(0, start))) if self._shown is None else self._shown
        if start < self._stored_position:
            self._run_log.violation(f"a session was at {self._stored_position}, and is at {start} now")
        if start > len(shown):
            self._run_log.violation(f"a session is at {start}, and its visitor was shown {len(shown)} gists")
        gists = result_of(content.feed(start, start + 1000))
        again = shown[start:]
        if list(gists[: len(again)]) != again:
            self._run_log.violation("a visitor is shown other gists than before")
        if self._environment.chance(0.8):
            self._show(instance, [*shown[:start], *gists])

    def _show(self, instance: Instance, shown: list[str]) -> None:
        self._shown = shown
        result_of(instance.content.advance_session(SESSION, len(shown), instance.process.time.wall()))
        self._note_when_stored(instance, len(shown), self._environment.clock.seconds() + STORED_AFTER_S)

    def _note_when_stored(self, instance: Instance, position: int, stored_by: float) -> None:
        """What waits comes early where the machine's clock is set ahead: then the disk had no time yet."""
        left = stored_by - self._environment.clock.seconds()
        if left > 0.0:
            instance.process.callLater(left, self._note_when_stored, instance, position, stored_by)
        elif instance.content.problem is None:
            self._stored_position = position
