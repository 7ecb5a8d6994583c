"""Attacks on the real process: it reads, creates and answers all the while."""

import json
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.daemon_process import daemon, settings_for, url_of
from tests.support.processes import Process, ask, until
from tests.support.sandbox_process import sandbox
from tests.support.web.certificate import key_and_certificate
from tests.support.web.door_run import strangers_at_the_door

AT_ONCE = 200  # the kernel queues so many; one more would only try again a second later
MOST_HELD = 700  # more connections than it takes, but fewer than this process may open
HALF_A_REQUEST = b"GET /getGists HTTP/1.1\r\nX: "
REQUEST_FOR_ALL = b"GET /getGists HTTP/1.1\r\n\r\n"
HALF_A_HANDSHAKE = b"\x16\x03\x01\x02\x00\x01"
GROWTH_KB = 50_000  # half a handshake takes 55 to 59, which depends on the Python
FILES_FOR_TWENTY = 184  # so few open files allow twenty visitors
MORE_THAN_BUFFERS = [f"{number:0250}" for number in range(20_000)]  # the ids of gists, some 5 MB


@contextmanager
def attacking(port: int, opening: bytes, attackers: int, served: Callable[[], bool]) -> Iterator[None]:
    """So many clients connect and send only ``opening``; the last of them stay. Others are served meanwhile."""
    held: deque[socket.socket] = deque()
    try:
        for _ in range(attackers // AT_ONCE):
            held.extend(socket.create_connection(("127.0.0.1", port)) for _ in range(AT_ONCE))
            for connection in list(held)[-AT_ONCE:]:
                with suppress(ConnectionError):  # it was closed in favour of a newer one
                    connection.sendall(opening)
            while len(held) > MOST_HELD:
                held.popleft().close()
            assert served()
        yield
    finally:
        for connection in held:
            connection.close()


def memory_kb(process: Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0])


def tls(folder: Path) -> str:
    for name, text in zip(("key", "cert"), key_and_certificate(), strict=True):
        (folder / name).write_bytes(text)
    return f"ssl:0:interface=127.0.0.1:privateKey={folder / 'key'}:certKey={folder / 'cert'}"


@pytest.mark.parametrize(
    ("attackers", "opening", "over_tls", "files"),
    [
        (10_000, b"", False, 1_024),
        (1_000, HALF_A_REQUEST, False, 1_024),
        (1_000, HALF_A_HANDSHAKE, True, 1_024),
        (1_000, b"", False, 256),
    ],
    ids=["idle", "half a request", "half a handshake", "few files"],
)
def test_thousands_of_idle_connections_delay_nothing(
    tmp_path: Path, attackers: int, opening: bytes, over_tls: bool, files: int
) -> None:
    limited = ("prlimit", f"--nofile={files}:{files}")
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world:
        settings = {**settings_for(world), "LISTEN": f"tcp:0:interface=127.0.0.1 {tls(tmp_path)}"}
        with daemon(tmp_path, before=limited, **settings) as process:
            url = url_of(process)
            port = int(process.line(r"TLS\) starting on ([0-9]+)")[1]) if over_tls else int(url.rpartition(":")[2])
            until(world.settled)
            before = memory_kb(process)
            with attacking(port, opening, attackers, lambda: ask(f"{url}/health").status == 200):
                world.post("/gists", user=world.users[0])
                until(world.settled)
                assert ask(f"{url}/ready").status == 200
                assert memory_kb(process) - before < GROWTH_KB
            assert ("92 visitors" in process.output) == (files == 256)
            assert "EMFILE" not in process.output
            assert "Traceback" not in process.output


def test_readers_who_read_nothing_keep_nobody_else_out_however_many_they_are(tmp_path: Path) -> None:
    older = {"users": {"1": {"username": "ada", "gists": MORE_THAN_BUFFERS}}}
    (tmp_path / "db.json").write_text(json.dumps(older), encoding="utf-8")
    limited = ("prlimit", f"--nofile={FILES_FOR_TWENTY}:{FILES_FOR_TWENTY}")
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world, ExitStack() as readers:
        settings = {**settings_for(world), "DATABASE_URL": "tinydb:db.json"}
        with daemon(tmp_path, before=limited, **settings) as process:
            assert process.line("enough for 20 visitors")
            url = url_of(process)
            for _ in range(30):
                reader = readers.enter_context(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))))
                reader.sendall(REQUEST_FOR_ALL)
                assert reader.recv(1)
                assert ask(f"{url}/health").status == 200
            assert "Traceback" not in process.output


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_whatever_strangers_send_over_tcp_or_tls_and_however_they_leave_nothing_breaks(
    tmp_path: Path, down: bool
) -> None:
    strangers_at_the_door(tmp_path, seed=1, requests=400, down=down)
