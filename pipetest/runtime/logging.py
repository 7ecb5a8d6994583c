"""How log events are written: as lines for people, or as one JSON object a line.

Of an event's fields only texts, numbers and truth values become JSON, never an object, which might hold a secret. What
others have written can neither begin a line nor steer a terminal: whatever is not printable is escaped.
"""

import json
import os
import select
import signal
import stat
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import TextIOBase
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from twisted.application.service import MultiService
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.logfile import LogFile

from pipetest.domain.text import printable

PRIORITIES = {LogLevel.debug: 7, LogLevel.info: 6, LogLevel.warn: 4, LogLevel.error: 3, LogLevel.critical: 2}
"""The journal's priorities, see sd-daemon(3)."""

OTHERS = "other"
"""The event of lines that are Twisted's own."""

READER_GRACE_MS = 200
"""A full pipe is waited for this long, once: whoever reads it may be busy."""

ROTATED_FILES = 100  # of 1 MB each, so that the log of an unattended daemon fills no disk


class RootService(MultiService):
    """The service around all others: it makes twistd write its log with ``observer``; None leaves the log to twistd.

    Unless told ``--logger``, twistd uses the observer of the application, which is the parent of this service.
    """

    def __init__(self, observer: ILogObserver | None, *, daemonizes: bool = False) -> None:
        super().__init__()
        self._observer = observer
        self._daemonizes = daemonizes

    def setServiceParent(self, parent: Any) -> None:
        if self._observer is not None:
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        try:
            super().startService()
        except SystemExit as e:
            if self._daemonizes:  # of a daemon, twistd passes on nothing else, and leaves its pidfile
                raise RuntimeError(e.code) from None
            raise


def log_observer(options: Mapping[str, Any], log_format: str, environ: Mapping[str, str]) -> ILogObserver | None:
    """Writes where these options of twistd's say. It leaves out what only debugging needs, which
    ``--logger=pipetest.runtime.logging.debug`` writes, too. None where twistd has another observer, or was told to
    write to syslog, which it does by itself, and where it is ``twist``, which has its own."""
    if options.get("logger") or options.get("syslog") or "nodaemon" not in options:
        return None
    level = LogLevelFilterPredicate(LogLevel.info)
    level.setLogLevelForNamespace("twisted.web._newclient", LogLevel.warn)  # a line for every interim answer
    return FilteringLogObserver(_writer(options, log_format, environ), [level])


def debug() -> ILogObserver:
    """Writes everything, as lines for people, to standard output."""
    return FileLogObserver(sys.stdout, as_debug_lines)


def _writer(options: Mapping[str, Any], log_format: str, environ: Mapping[str, str]) -> ILogObserver:
    stream = _stream(options)
    to_journal = stream is sys.stdout and writes_to_journal(environ, stream)
    if stream is sys.stdout and (descriptor := _pipe_of(stream)) is not None:
        stream = PipeLog(descriptor)
    if log_format == "json":
        return FileLogObserver(stream, as_json)
    return FileLogObserver(stream, as_journal_lines if to_journal else as_lines)


def _stream(options: Mapping[str, Any]) -> Any:
    path = options.get("logfile")
    if path == "-" and not options.get("nodaemon"):
        raise SystemExit("pipetest: a daemon has no standard output to log to; name a file, or stay with --nodaemon")
    if options.get("nodaemon") and path in (None, "-"):
        return sys.stdout or Path(os.devnull).open("w")  # closed by whoever started it
    try:
        file = _RotatedLog.fromFullPath(path or "twistd.log", maxRotatedFiles=ROTATED_FILES)
    except OSError as e:
        raise SystemExit(f"pipetest: cannot log to {e.filename}: {e.strerror}; name a file with --logfile") from None
    signal.signal(signal.SIGUSR1, file.request_rotation)
    return file


def _pipe_of(stream: TextIO) -> int | None:
    """The descriptor of a pipe or a socket; None of all else."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # closed, or no real file
        return None
    return stream.fileno() if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


class PipeLog(TextIOBase):
    """Writes to a pipe or a socket without ever waiting for long: while nobody reads the log, lines are lost, and the
    daemon goes on. What was lost is counted, and said once somebody reads again.

    The descriptor stays blocking, as others may share it.
    """

    _log = Logger()

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._lost = 0

    def write(self, text: str) -> int:
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            if not self._write(data[: select.PIPE_BUF]):
                self._lost += 1
                return len(text)
            data = data[select.PIPE_BUF :]
        if self._lost:
            lost, self._lost = self._lost, 0
            self._log.warn("the log lost lines, as nobody read it: {lines}", event="log_lines_lost", lines=lost)
        return len(text)

    def _write(self, chunk: memoryview) -> bool:
        """A pipe that takes anything takes a whole chunk."""
        if not self._room.poll(0 if self._lost else READER_GRACE_MS):
            return False
        try:
            return os.write(self._descriptor, chunk) == len(chunk)
        except OSError:  # its reader is gone
            return False


class _RotatedLog(LogFile):
    """Rotated when it is full, as twistd's own, and before the line that follows a SIGUSR1."""

    _requested = False

    def request_rotation(self, number: int, frame: object) -> None:
        self._requested = True

    def shouldRotate(self) -> bool:
        requested, self._requested = self._requested, False
        return requested or super().shouldRotate()


def writes_to_journal(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether systemd has connected ``stream`` to its journal, see JOURNAL_STREAM in systemd.exec(5)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no real file
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def as_lines(event: LogEvent) -> str:
    """``time level message``, and the lines of a traceback, indented."""
    return _timed(event, "")


def as_debug_lines(event: LogEvent) -> str:
    """The same, and who says it."""
    return _timed(event, f"{event.get('log_namespace')}: ")


def _timed(event: LogEvent, source: str) -> str:
    first, *traceback = _lines(event)
    time = datetime.fromtimestamp(event["log_time"], UTC).astimezone().isoformat(" ", "seconds")
    return "\n\t".join([f"{time} {_level(event).name} {source}{first}", *traceback]) + "\n"


def as_journal_lines(event: LogEvent) -> str:
    """Without the time, which the journal keeps itself; with the priority before each line, of a traceback, too."""
    return "".join(f"<{PRIORITIES[_level(event)]}>{line}\n" for line in _lines(event))


def _level(event: LogEvent) -> LogLevel:
    level: LogLevel | None = event.get("log_level")
    return level or LogLevel.info


def _message(event: LogEvent) -> str:
    """Twisted's own way takes half of what a line costs; it alone can call a field, as ``{name()}`` asks for."""
    try:
        text: str = event["log_format"].format_map(event)
    except Exception:  # whichever: an event that cannot be formatted is written as well
        text = formatEvent(event)
    return printable(text)


def _lines(event: LogEvent) -> Iterator[str]:
    yield _message(event)
    if (failure := event.get("log_failure")) is not None:
        words = failure.getErrorMessage()
        traceback = failure.getTraceback().replace(words, printable(words)).rstrip("\n")
        yield from map(printable, traceback.split("\n"))


def as_json(event: LogEvent) -> str:
    """``message`` is the line that people would read; ``event`` names its kind."""
    line: dict[str, object] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": _level(event).name,
        "logger": event.get("log_namespace"),
        "event": event.get("event", OTHERS),
        "message": _message(event),
    }
    if (failure := event.get("log_failure")) is not None:
        line["traceback"] = failure.getTraceback()
    fields = {name: _plain(value) for name, value in event.items() if not name.startswith("log_")}
    return (
        json.dumps(line | {name: value for name, value in fields.items() if name not in line and value is not None})
        + "\n"
    )


def _plain(value: object) -> object:
    """A field's value as JSON has it; None where it is left out."""
    match value:
        case str():
            return printable(value)
        case bool() | int():
            return value
        case float():
            return value if isfinite(value) else None
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return None
