"""Notices reach receivers as these speak: ntfy, a hook of Slack's shape, and mail over SMTP, all on loopback."""

import logging
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret
from pipetest.monitoring.notices import Notice
from pipetest.monitoring.receivers import Receivers
from tests.support.receiver import Receiver, serving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # Apprise's own

NOTICE = Notice("pipetest: refused", "creation is refused.\nCorrect the key.")
SECRET = "nobody-may-see-this"


class MailHandler(StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a message takes."""

    server: "MailServer"

    def handle(self) -> None:
        self.wfile.write(b"220 mail\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")


class MailServer(ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.messages: list[str] = []


def test_each_kind_of_receiver_gets_the_notice_in_its_shape() -> None:
    web, mail = Receiver(), MailServer()
    with serving(web) as at, serving(mail) as mail_at:
        urls = f"ntfy://{at}/alarms mmost://{at}/{'a' * 26} mailto://{mail_at}?from=a@example.com&to=b@example.com"
        assert Receivers(Secret(urls)).send(NOTICE)
    (ntfy, hook) = web.posts
    assert (ntfy["topic"], ntfy["title"], ntfy["message"]) == ("alarms", NOTICE.title, NOTICE.body)
    assert "Correct the key." in hook["text"]
    (message,) = mail.messages
    assert "Subject: pipetest: refused" in message
    assert "b@example.com" in message


def test_only_who_has_not_got_it_is_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = Receiver(), Receiver()
    bad.status = 500
    with serving(good) as good_at, serving(bad) as bad_at:
        receivers = Receivers(Secret(f"json://{good_at}/ json://user:{SECRET}@{bad_at}/"))
        assert not receivers.send(NOTICE)
        bad.status = 200
        assert receivers.send(NOTICE)
        assert receivers.send(Notice("pipetest: over", "Over.", over=True))
    assert (len(good.posts), len(bad.posts)) == (2, 3)
    assert SECRET not in "".join(capfd.readouterr())
    assert not logging.getLogger("apprise").propagate


def test_an_address_that_apprise_does_not_know_is_told_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="number 2 is none") as refused:
        Receivers(Secret(f"json://127.0.0.1/ nonsense://{SECRET}"))
    assert SECRET not in str(refused.value)
