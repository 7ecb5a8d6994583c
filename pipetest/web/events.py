"""The page's changes as server-sent events (html.spec.whatwg.org, "Server-sent events")."""

from collections.abc import Callable, Mapping
from math import inf

from msgspec.json import encode
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from werkzeug.exceptions import ServiceUnavailable

from pipetest.domain.status import Status
from pipetest.web.page.layout import regions
from pipetest.web.request import ApiRequest

EVERY_S = 1.0  # a change shows within so long
KEEP_ALIVE_S = 15.0  # something is sent at least so often: proxies close connections that are silent for 30 or 60 s
MAX_VIEWERS = 50  # at once; others poll, and leave connections to those who came for gists


class EventStream:
    """Sends each viewer the regions that have changed since it was last sent any. A viewer who reads slowly misses what
    was in between, and nothing is kept for it."""

    def __init__(self, status: Callable[[], Status], clock: IReactorTime) -> None:
        self._status = status
        self._clock = clock
        self._viewers = 0
        self._rendered: Mapping[str, str] = {}
        self._last_rendered = -inf

    async def follow(self, request: ApiRequest) -> None:
        """Answer until the viewer hangs up.

        :raises ServiceUnavailable: there are too many viewers already.
        """
        if self._viewers >= MAX_VIEWERS:
            raise ServiceUnavailable("too many follow the page already", retry_after=60)
        request.setHeader("Content-Type", "text/event-stream")
        request.setHeader("X-Accel-Buffering", "no")  # else nginx keeps events until they fill a buffer
        if request.method == b"HEAD":
            return
        self._viewers += 1
        try:
            await self._send_changes(request)
        except ConnectionClosed:
            return
        finally:
            self._viewers -= 1

    async def _send_changes(self, request: ApiRequest) -> None:
        sent: Mapping[str, str] = {}
        last_sent = -inf
        while request.channel is not None:  # a viewer who has hung up makes room at once
            current = self._regions()
            changed = {name: text for name, text in current.items() if sent.get(name) != text}
            if changed or self._clock.seconds() - last_sent >= KEEP_ALIVE_S:
                await request.send(b"data: " + encode(changed) + b"\n\n")
                last_sent = self._clock.seconds()
            sent = current
            await deferLater(self._clock, EVERY_S)

    def _regions(self) -> Mapping[str, str]:
        """The regions as of this second: rendered once, however many viewers there are."""
        if self._clock.seconds() - self._last_rendered >= EVERY_S:
            self._last_rendered = self._clock.seconds()
            self._rendered = regions(self._status())
        return self._rendered
