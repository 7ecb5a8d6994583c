"""What people read in the log."""

from collections.abc import Iterable

from twisted.logger import LogEvent, LogLevel, formatEvent


def lines(events: Iterable[LogEvent]) -> list[str]:
    """The texts of those that are not for debugging alone."""
    return [formatEvent(event) for event in events if event["log_level"] != LogLevel.debug]
