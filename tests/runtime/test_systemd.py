"""The notifier, at a socket such as systemd's."""

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from pipetest.runtime.systemd import SystemdNotifier, watchdog_period


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address)

    def received(self) -> list[str]:
        """What came since the last call."""
        states = []
        while True:
            try:
                states.append(self._socket.recv(1024).decode())
            except BlockingIOError:
                return states

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


@pytest.fixture
def environ(manager: Manager, tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_it_says_ready_when_started_and_stopping_when_stopped(manager: Manager, environ: dict[str, str]) -> None:
    notifier = SystemdNotifier(environ, Clock())
    assert manager.received() == []
    notifier.startService()
    assert manager.received() == ["READY=1"]
    notifier.stopService()
    assert manager.received() == ["STOPPING=1"]


def test_systemd_is_told_when_a_reload_begins_and_when_it_has_ended(manager: Manager, environ: dict[str, str]) -> None:
    notifier = SystemdNotifier(environ, Clock())
    notifier.reloading()
    notifier.ready()
    assert manager.received() == ["RELOADING=1", "READY=1"]


def test_the_watchdog_is_fed_twice_as_often_as_asked_and_only_while_running(
    manager: Manager, environ: dict[str, str]
) -> None:
    clock = Clock()
    notifier = SystemdNotifier(environ | {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, clock)
    notifier.startService()
    assert manager.received() == ["READY=1", "WATCHDOG=1"]
    clock.advance(9.9)
    assert manager.received() == []
    clock.advance(0.1)
    assert manager.received() == ["WATCHDOG=1"]
    notifier.stopService()
    clock.advance(60)
    assert manager.received() == ["STOPPING=1"]
    assert clock.getDelayedCalls() == []


def test_an_abstract_socket_is_reached_too() -> None:
    manager = Manager(f"\0pipetest-{os.getpid()}")
    SystemdNotifier({"NOTIFY_SOCKET": f"@pipetest-{os.getpid()}"}, Clock()).ready()
    assert manager.received() == ["READY=1"]
    manager.close()


def test_without_systemd_nothing_is_sent_and_nothing_scheduled() -> None:
    clock = Clock()
    notifier = SystemdNotifier({}, clock)
    notifier.startService()
    assert clock.getDelayedCalls() == []
    notifier.stopService()


def test_a_socket_that_is_gone_is_only_a_warning(tmp_path: Path) -> None:
    with capturedLogs() as events:
        SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}, Clock()).ready()
    (event,) = events
    assert (event["log_level"], event["state"]) == (LogLevel.warn, "READY=1")


def test_without_a_free_descriptor_a_stop_goes_on(manager: Manager, environ: dict[str, str]) -> None:
    notifier = SystemdNotifier(environ, Clock())
    notifier.startService()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with capturedLogs() as events:
            notifier.stopService()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [event["state"] for event in events] == ["STOPPING=1"]


@given(integers(1, 10**12), integers(1, 2**22))
def test_the_period_is_half_of_what_systemd_waits(microseconds: int, pid: int) -> None:
    environ = {"WATCHDOG_USEC": str(microseconds)}
    assert watchdog_period(environ, pid) == microseconds / 2_000_000
    assert watchdog_period(environ | {"WATCHDOG_PID": str(pid)}, pid) == microseconds / 2_000_000
    assert watchdog_period(environ | {"WATCHDOG_PID": str(pid + 1)}, pid) is None
    assert watchdog_period({"WATCHDOG_PID": str(pid)}, pid) is None
