"""Descriptions of endpoints: those that people write, and one line for those that cannot be had."""

from pathlib import Path
from typing import cast

import pytest
import pytest_twisted
from twisted.internet.address import IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from pipetest.domain.errors import ConfigError
from pipetest.web.listen import endpoint


@pytest.mark.parametrize(
    ("description", "host"),
    [
        ("tcp:0:interface=::", "::"),
        ("tcp:0:interface=::1", "::1"),
        ("tcp:0:interface=::1:backlog=5", "::1"),
        ("tcp:0:backlog=5:interface=[::1]", "::1"),
        (r"tcp:0:interface=\:\:1", "::1"),
        ("tcp6:0:interface=::1", "::1"),
        ("tcp:0:interface=127.0.0.1", "127.0.0.1"),
        ("haproxy:tcp:0:interface=::1", "::1"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_address_may_be_written_as_it_is_written_elsewhere(description: str, host: str) -> None:
    from twisted.internet import reactor

    port = await endpoint(description, reactor).listen(Factory())
    assert cast(IPv6Address, port.getHost()).host == host
    await maybeDeferred(port.stopListening)


@pytest_twisted.ensureDeferred
async def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor

    home = tmp_path / "a:b"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    port = await endpoint("unix:~/socket:mode=600", reactor).listen(Factory())
    assert (home / "socket").is_socket()
    await maybeDeferred(port.stopListening)
    (tmp_path / "a:b" / "key.pem").write_text("no key")
    with pytest.raises(ConfigError, match=f"{home}/key.pem"):
        endpoint("ssl:0:privateKey=~/key.pem", reactor)


@pytest.mark.parametrize(
    "description",
    ["tcp:eighty", "nowhere", "nowhere:1", "tcp", "tcp:80:interface=1::2::3", "ssl", "ssl:x", "tls:", "tls:/x:1:2:3:4",
     "tcp:1:colour=red", "haproxy", "haproxy:haproxy:x", "unix", "unix:~nobody-at-all/x",
     "systemd:domain=X:index=0", "ssl:1:privateKey=/a\0b"],
)  # fmt: skip
def test_what_cannot_be_had_is_said_in_one_line_of_our_own(description: str) -> None:
    from twisted.internet import reactor

    with pytest.raises(ConfigError) as refused:
        endpoint(description, reactor)
    text = str(refused.value)
    assert text.startswith(f"cannot listen on {description!r}: ")
    assert "expected" in text or "cannot read" in text
    assert "\n" not in text
