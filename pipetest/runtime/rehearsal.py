"""A start that is tried in a process of its own, before twistd becomes a daemon.

Whoever typed the command waits for that daemon, which has no terminal any more: twistd passes on the first hundred
bytes of an exception, and nothing of a ``SystemExit``, after which it waits for ever.
"""

import os
import pwd
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.logger import FilteringLogObserver, ILogObserver, LogLevel, LogLevelFilterPredicate, globalLogPublisher
from twisted.python.util import switchUID

DAEMON_UMASK = 0o077
"""What twistd sets for a daemon, unless told otherwise."""


def rehearse(start: Callable[[], None], twistd: Mapping[str, Any], observer: ILogObserver | None) -> None:
    """Call ``start`` in a child process, in the place and with the rights that twistd's options give the daemon. What
    it opens is let go when the child ends.

    :raises SystemExit: the child ended with one, and has printed its text.
    """
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(os.waitstatus_to_exitcode(status))
        return
    if observer is not None:  # what a start repairs it says once, and that is now
        warnings = FilteringLogObserver(observer, [LogLevelFilterPredicate(LogLevel.warn)])
        globalLogPublisher.addObserver(warnings)
    os._exit(_status_of(start, twistd))


def _status_of(start: Callable[[], None], twistd: Mapping[str, Any]) -> int:
    try:
        _become(twistd)
        start()
    except SystemExit as e:
        if isinstance(e.code, int):
            return e.code
        reason = str(e.code)
    except OSError as e:
        reason = f"pipetest: cannot start: {e.filename}: {e.strerror}"
    else:
        return 0
    _say(reason)
    return 1


def _become(twistd: Mapping[str, Any]) -> None:
    """As twistd does it: root, folder, mask and pidfile first, then the user."""
    if twistd["chroot"] is not None:
        os.chroot(twistd["chroot"])
    os.chdir("/" if twistd["chroot"] is not None and twistd["rundir"] == "." else twistd["rundir"])
    os.umask(DAEMON_UMASK if twistd["umask"] is None else twistd["umask"])
    if twistd["pidfile"]:
        with Path(twistd["pidfile"]).open("xb"):
            pass
        Path(twistd["pidfile"]).unlink()
    uid, gid = twistd["uid"], twistd["gid"]
    if uid is not None and gid is None:
        gid = pwd.getpwuid(uid).pw_gid
    if uid is not None or gid is not None:
        switchUID(uid, gid, twistd["euid"])


def _say(line: str) -> None:
    """To standard error, if there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
