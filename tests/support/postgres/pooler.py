"""A real PgBouncer between instances and server."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipetest.domain.model import Secret
from tests.support.postgres.server import Server, free_port, unprivileged
from tests.support.processes import Process

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="apt-get install --no-install-recommends pgbouncer")

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 5
"""


@contextmanager
def pooler(server: Server, url: Secret, mode: str, *more: str) -> Iterator[Secret]:
    """The URL of the same database by way of a PgBouncer; ``more`` are lines of its configuration."""
    port = free_port()
    configuration = server.home / f"pgbouncer-{port}.ini"  # its own user may read this
    configured = CONFIGURATION.format(server_port=server.port, port=port, mode=mode)
    configuration.write_text("\n".join((configured, *more)), encoding="utf-8")
    through = Secret(url.reveal().replace(f":{server.port}/", f":{port}/"))
    with Process(*unprivileged(), str(PGBOUNCER), str(configuration), env=os.environ, cwd=Path("/")) as process:
        process.line("process up")
        yield through
