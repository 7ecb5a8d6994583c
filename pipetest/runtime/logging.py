"""How log events are written: lines for people, or one JSON object a line.

Only what an event says in words, numbers and truth values is written, never an object: none can bring a secret along.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TextIO

from twisted.application.service import MultiService
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.logfile import LogFile

PRIORITIES = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}
"""The journal's own: see sd-daemon(3)."""


ROTATED_FILES = 100  # of 1 MB each: an unattended daemon fills no disk with its log


class RootService(MultiService):
    """The outermost service: has twistd write its log our way, with ``observer``; None leaves it to twistd.

    twistd asks the application that its service was added to, unless it is told ``--logger``.
    """

    def __init__(self, observer: ILogObserver | None) -> None:
        super().__init__()
        self._observer = observer

    def setServiceParent(self, parent: Any) -> None:
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)


def observer(twistd: Mapping[str, Any], log_format: str, environ: Mapping[str, str]) -> ILogObserver | None:
    """Writes where these options of twistd say, all but what only debugging needs:
    ``--logger=pipetest.runtime.logging.debug`` writes that too. None where twistd was told another way, or the system
    log, which it writes itself."""
    if twistd.get("logger") or twistd.get("syslog"):
        return None
    return FilteringLogObserver(_writer(twistd, log_format, environ), [LogLevelFilterPredicate(LogLevel.info)])


def debug() -> ILogObserver:
    """Writes everything, as lines for people, to standard output."""
    return textFileLogObserver(sys.stdout)


def _writer(twistd: Mapping[str, Any], log_format: str, environ: Mapping[str, str]) -> ILogObserver:
    if log_format == "json":
        return FileLogObserver(_stream(twistd), as_json)
    stream = _stream(twistd)
    if stream is sys.stdout and writes_to_journal(environ, stream):
        return FileLogObserver(stream, as_journal_lines)
    return textFileLogObserver(stream)


def _stream(twistd: Mapping[str, Any]) -> Any:
    path = twistd.get("logfile")
    if path == "-" and not twistd.get("nodaemon"):
        raise SystemExit("pipetest: a daemon has no standard output to log to; name a file, or stay with --nodaemon")
    if twistd.get("nodaemon") and path in (None, "-"):
        return sys.stdout
    file = _RotatedLog.fromFullPath(path or "twistd.log", maxRotatedFiles=ROTATED_FILES)
    signal.signal(signal.SIGUSR1, file.ask)
    return file


class _RotatedLog(LogFile):
    """Rotated when it is full, as twistd's own, and before the next line where SIGUSR1 has asked for it."""

    asked = False

    def ask(self, number: int, frame: object) -> None:
        self.asked = True

    def shouldRotate(self) -> bool:
        asked, self.asked = self.asked, False
        return asked or super().shouldRotate()


def writes_to_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether ``stream`` is what systemd connected to its journal: see systemd.exec(5), JOURNAL_STREAM."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no real file
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def as_journal_lines(event: LogEvent) -> str:
    """The journal keeps time and name itself; each line of a traceback needs the priority."""
    text = eventAsText(event, includeTimestamp=False)
    priority = PRIORITIES.get(event.get("log_level"), 6)
    return "".join(f"<{priority}>{line}\n" for line in text.splitlines())


def as_json(event: LogEvent) -> str:
    """``event`` is the format, the same for each event of its kind; ``message`` is the line that people would read."""
    level = event.get("log_level") or LogLevel.info
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": level.name,
        "logger": event.get("log_namespace"),
        "event": event.get("log_format"),
        "message": formatEvent(event),
    }
    if (failure := event.get("log_failure")) is not None:
        line["traceback"] = failure.getTraceback()
    fields = {name: _plain(value) for name, value in event.items() if not name.startswith("log_")}
    return (
        json.dumps(line | {name: value for name, value in fields.items() if name not in line and value is not None})
        + "\n"
    )


def _plain(value: object) -> object:
    """A field as JSON; None for what is left out."""
    match value:
        case str() | bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return None
