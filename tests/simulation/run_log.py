"""What a run leaves for people: its story, line by line, and the promises that were broken in it."""

from collections.abc import Callable
from datetime import UTC, datetime

from twisted.internet.interfaces import IReactorTime

WriteLine = Callable[[str], object]


class RunLog:
    """``write_line`` is None where nobody reads the story."""

    def __init__(self, clock: IReactorTime, write_line: WriteLine | None) -> None:
        self._clock = clock
        self._write_line = write_line
        self.violations: list[str] = []

    @property
    def is_read(self) -> bool:
        return self._write_line is not None

    def violation(self, text: str) -> None:
        self.violations.append(text)
        self.write("violation: {}", text)

    def write(self, form: str, *values: object) -> None:
        if self._write_line is not None:
            at = datetime.fromtimestamp(self._clock.seconds(), UTC)
            self._write_line(f"{at:%d %H:%M:%S.%f} {form.format(*values)}")
