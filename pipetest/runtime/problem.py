"""Something that stays wrong for a while: logged once when it begins and once when it is over."""

from twisted.logger import Logger, LogLevel


class Problem:
    """``reason`` is None while all is well. The log lines ``begins`` and ``ends`` are format strings, ``{reason}``
    among their fields."""

    def __init__(self, log: Logger, begins: str, ends: str, level: "LogLevel" = LogLevel.error) -> None:
        self.reason: str | None = None
        self._log = log
        self._begins = begins
        self._ends = ends
        self._level = level

    def report(self, reason: str, **fields: object) -> None:
        """It is there, for this reason; said where the reason is a new one."""
        if reason != self.reason:
            self._log.emit(self._level, self._begins, reason=reason, **fields)
        self.reason = reason

    def over(self, **fields: object) -> None:
        """It is no more; said where it was."""
        if self.reason is not None:
            self._log.info(self._ends, **fields)
        self.reason = None
