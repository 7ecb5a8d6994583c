"""Answers held back until somebody releases them: to kill a client between a deed and its answer."""

from twisted.internet.defer import Deferred


class Holds:
    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self) -> Deferred[None]:
        """Fires on release; may be cancelled by who no longer waits."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def release(self) -> int:
        """Let all of them go; how many there were."""
        released, self._waiting = self._waiting, []
        for waiting in released:
            waiting.callback(None)
        return len(released)
