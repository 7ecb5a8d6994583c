"""Tells systemd that the daemon is ready, reloading or stopping, and again and again that its reactor still runs.

The protocol is sd_notify(3) and sd_watchdog_enabled(3): text in one datagram to the socket that the environment names.
Where it names none, nothing is sent. It is written here because the packages that offer it have had no release for
years, and would each replace a dozen lines.
"""

import os
import socket
from collections.abc import Mapping
from functools import partial

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.runtime.periodic import Periodic


class SystemdNotifier(Service):
    """Comes last among its siblings, because it says ready when it is started, and stopping when it is stopped."""

    _log = Logger()

    def __init__(self, environ: Mapping[str, str], clock: IReactorTime) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog: Periodic | None = None
        if (period := watchdog_period(environ, os.getpid())) is not None:
            self._watchdog = Periodic("telling systemd", partial(self._send, "WATCHDOG=1"), period, clock)

    def startService(self) -> None:
        super().startService()
        self.ready()
        if self._watchdog is not None:
            self._watchdog.start()

    def stopService(self) -> "Deferred[None] | None":
        super().stopService()
        self._send("STOPPING=1")
        return None if self._watchdog is None else Deferred.fromCoroutine(self._watchdog.stop())

    def reloading(self) -> None:
        """The settings are being read again, until :meth:`ready`."""
        self._send("RELOADING=1")

    def ready(self) -> None:
        self._send("READY=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(state.encode(), name)
        except OSError as e:
            self._log.warn(
                "systemd could not be told {state}: {reason}",
                event="systemd_unreachable",
                state=state,
                reason=e.strerror,
            )


def watchdog_period(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life: half of what systemd waits for one. None where it does not wait for ours."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or "WATCHDOG_USEC" not in environ:
        return None
    return int(environ["WATCHDOG_USEC"]) / 2e6
