"""Apprise, which knows a hundred kinds of receivers; imported only where ``PIPETEST_NOTIFY`` is set."""

import logging

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret
from pipetest.monitoring.notices import Notice

_apprise_log = logging.getLogger("apprise")
_apprise_log.addHandler(logging.NullHandler())  # what it says may hold a receiver's password
_apprise_log.propagate = False


class Receivers:
    """All whose URLs are in ``urls``, which may be renewed. Who has got a notice is not sent it again when it is tried
    once more for the others."""

    def __init__(self, urls: Secret) -> None:
        """
        :raises ConfigError: one of them is none that Apprise knows.
        """
        self._urls = urls
        self._got: tuple[Notice, set[str]] | None = None
        for place, url in enumerate(self._listed(), 1):
            if not _opened().add(url):
                raise ConfigError(f"PIPETEST_NOTIFY: expected URLs that Apprise knows, and number {place} is none")

    def send(self, notice: Notice) -> bool:
        """Blocks; whether all have got it."""
        if self._got is None or self._got[0] is not notice:
            self._got = notice, set()
        got = self._got[1]
        for url in self._listed():
            if url not in got and _sent(url, notice):
                got.add(url)
        return got >= set(self._listed())

    def _listed(self) -> list[str]:
        return self._urls.reveal().split()


def _sent(url: str, notice: Notice) -> bool:
    receiver = _opened()
    kind = NotifyType.SUCCESS if notice.over else NotifyType.FAILURE
    told = receiver.add(url) and receiver.notify(
        notice.body, title=notice.title, notify_type=kind, body_format=NotifyFormat.TEXT
    )
    return bool(told)


def _opened() -> Apprise:
    return Apprise(asset=AppriseAsset(async_mode=False, app_id="pipetest", app_desc="pipetest"))
