"""The TLS parameters of the URL are kept to. A real PgBouncer has the certificate: PyPI's PostgreSQL has no TLS."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Secret
from pipetest.store.postgres.connection import READING, Database
from tests.support.postgres.pooler import needs_pgbouncer, pooler
from tests.support.postgres.server import Server
from tests.support.postgres.world import PostgresWorld
from tests.support.web.certificate import key_and_certificate

pytestmark = needs_pgbouncer


@pytest.fixture
def root(server_of_all: Server) -> Path:
    """The certificate of what is called localhost, its key beside it; whoever runs the server may read both."""
    for name, pem in zip(("key", "crt"), key_and_certificate("localhost"), strict=True):
        file = server_of_all.home / name
        file.write_bytes(pem)
        file.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(file, "nobody")
    return server_of_all.home / "crt"


@pytest.fixture
def encrypted(server_of_all: Server, database: Secret, root: Path) -> Iterator[str]:
    """The URL of a database that is spoken to over TLS only."""
    tls = ("client_tls_sslmode = require", f"client_tls_key_file = {root.with_name('key')}")
    with pooler(server_of_all, database, "session", *tls, f"client_tls_cert_file = {root}") as url:
        yield url.reveal().replace("127.0.0.1", "localhost")


@pytest.fixture
def other_root(tmp_path: Path) -> Path:
    (tmp_path / "other").write_bytes(key_and_certificate("localhost")[1])
    return tmp_path / "other"


def refusal(url: str, **options: object) -> str:
    """Why this cannot be opened."""
    from twisted.internet import reactor

    given = "&".join(f"{name}={value}" for name, value in options.items())
    with pytest.raises(DatabaseRefused) as refused:
        PostgresWorld(Secret(f"{url}?{given}"), reactor).start()  # type: ignore[arg-type]
    assert "unprintable" not in str(refused.value)
    return str(refused.value)


def test_a_server_whose_name_and_root_are_right_is_connected_to_over_tls(encrypted: str, root: Path) -> None:
    url = Secret(f"{encrypted}?sslmode=verify-full&sslrootcert={root}")
    with Database(url).connect(READING) as connection:
        assert connection.pgconn.ssl_in_use


def test_a_server_of_another_name_is_refused(encrypted: str, root: Path) -> None:
    url = encrypted.replace("localhost", "127.0.0.1")
    assert "does not match host name" in refusal(url, sslmode="verify-full", sslrootcert=root)


def test_a_server_that_nobody_vouches_for_is_refused(encrypted: str, other_root: Path) -> None:
    assert "certificate verify failed" in refusal(encrypted, sslmode="verify-full", sslrootcert=other_root)


def test_a_server_without_tls_is_refused(server_of_all: Server, other_root: Path) -> None:
    url = server_of_all.database().reveal()
    assert "server does not support SSL" in refusal(url, sslmode="verify-full", sslrootcert=other_root)
