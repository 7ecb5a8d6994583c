"""What systemd is told: ready, reloading, stopping, and every now and then that the reactor still turns.

The protocol is sd_notify(3) and sd_watchdog_enabled(3): lines of text in one datagram to the socket named by the
environment. Where nobody listens, nothing is sent. It is written here because the packages that offer it have had no
release for years and would each replace a dozen lines.
"""

import os
import socket
from collections.abc import Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class SystemdNotifier(Service):
    """Comes last among its siblings: it says ready when it is started, and stopping when it is stopped."""

    _log = Logger()

    def __init__(self, environ: Mapping[str, str], clock: IReactorTime) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._period = watchdog_period(environ, os.getpid())
        self._alive = LoopingCall(self._send, "WATCHDOG=1")
        self._alive.clock = clock
        self._fed: Deferred[LoopingCall] | None = None

    def startService(self) -> None:
        super().startService()
        self.ready()
        if self._period is not None:
            self._fed = self._alive.start(self._period)

    def stopService(self) -> "Deferred[LoopingCall] | None":
        super().stopService()
        self._send("STOPPING=1")
        if self._alive.running:
            self._alive.stop()
        return self._fed

    def reloading(self) -> None:
        """The settings are being read again, until :meth:`ready`."""
        self._send("RELOADING=1")

    def ready(self) -> None:
        self._send("READY=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            try:
                manager.sendto(state.encode(), name)
            except OSError as e:
                self._log.warn("systemd could not be told {state}: {reason}", state=state, reason=e.strerror)


def watchdog_period(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, half of what systemd waits for one; None where it does not wait for ours."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or "WATCHDOG_USEC" not in environ:
        return None
    return int(environ["WATCHDOG_USEC"]) / 2e6
