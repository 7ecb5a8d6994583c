"""The demonstration, as people start it: it needs no settings, ignores those that could harm, leaves nothing behind."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipetest.sandbox.demo import PORTS
from tests.support.daemon_process import daemon
from tests.support.processes import SIGTERMED, ask, until


def test_gists_become_deals_whatever_the_environment_says_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    hostile = {"DATABASE_URL": f"tinydb:{tmp_path}/mine.json", "QUERIED_USERS": "not a user", "PIEPEDRIVE_API_KEY": ""}
    ports = "tcp:0:interface=127.0.0.1", r"tcp6:0:interface=\:\:1"
    listen = [word for port in ports for word in ("--listen", port)]
    with daemon(tmp_path, "--sandbox", *listen, **hostile) as process:
        here, there = (process.line(r"WebSite starting on ([0-9]+)")[1] for _ in ports)
        process.line("is deal")
        for root in (f"http://127.0.0.1:{here}", f"http://[::1]:{there}"):
            assert "ada-of-sandbox" in ask(f"{root}/getCurrentlyScannedUsers").json()
        until(lambda: list(tmp_path.glob("pipetest-*/db.json")))  # a commit renames it away for a moment
        assert process.stop() == SIGTERMED
    assert list(tmp_path.iterdir()) == []


@contextmanager
def taken(port: int) -> Iterator[None]:
    """By us, or by somebody else."""
    try:
        server = socket.create_server(("127.0.0.1", port))
    except OSError:
        yield
    else:
        with server:
            yield


def test_beside_a_busy_port_it_takes_the_next_and_says_where_to_look(tmp_path: Path) -> None:
    with taken(PORTS[0]), daemon(tmp_path, "--sandbox") as process:
        busy, free = process.line("port ([0-9]+) is taken, ([0-9]+) is not").groups()
        look = process.line(r"look first at (http://localhost:([0-9]+)/); at (http://localhost:[0-9]+/) you can break")
        assert (int(busy), free) == (PORTS[0], look[2])
        assert b"Sandbox" in ask(look[1]).body
        assert b"Stop Pipedrive" in ask(look[3]).body
        assert process.stop() == SIGTERMED


def test_a_demonstration_that_cannot_listen_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"
        with daemon(tmp_path, "--sandbox", "--listen", port) as process:
            assert process.ended() == 1
    assert list(tmp_path.iterdir()) == []
