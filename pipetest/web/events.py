"""The page as it changes: server-sent events (html.spec.whatwg.org, "Server-sent events")."""

from collections.abc import Callable, Mapping

from attrs import define, field
from msgspec.json import encode
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from werkzeug.exceptions import ServiceUnavailable

from pipetest.domain.status import Status
from pipetest.web.page.html import html
from pipetest.web.page.sections import REGIONS
from pipetest.web.request import ApiRequest

EVERY_S = 1.0  # a change shows so soon
QUIET_S = 15.0  # a sign of life so often at least: proxies end connections that they take for dead after 30 or 60 s
MOST_VIEWERS = 50  # who follow at once; others poll, and leave connections to those who came for gists


@define(eq=False)
class EventStream:
    """Tells each viewer which regions have changed since they were last told. One who reads slowly misses what was in
    between, and nothing is kept for them."""

    _status: Callable[[], Status]
    _clock: IReactorTime
    _viewers: int = field(init=False, default=0)
    _rendered: Mapping[str, str] = field(init=False, factory=dict)
    _rendered_at: float = field(init=False, default=float("-inf"))

    async def follow(self, visit: ApiRequest) -> None:
        """Answer until the viewer hangs up.

        :raises ServiceUnavailable: there are too many already.
        """
        if self._viewers >= MOST_VIEWERS:
            raise ServiceUnavailable("too many follow the page already", retry_after=60)
        visit.setHeader("Content-Type", "text/event-stream")
        visit.setHeader("X-Accel-Buffering", "no")  # nginx would keep events until it has a buffer full of them
        if visit.method == b"HEAD":
            return
        self._viewers += 1
        try:
            await self._tell(visit)
        except ConnectionClosed:
            return
        finally:
            self._viewers -= 1

    async def _tell(self, visit: ApiRequest) -> None:
        told: Mapping[str, str] = {}
        told_at = float("-inf")
        while visit.channel is not None:  # who has hung up makes room at once
            regions = await self._regions()
            news = {name: text for name, text in regions.items() if told.get(name) != text}
            if news or self._clock.seconds() - told_at >= QUIET_S:
                await visit.send(b"data: " + encode(news) + b"\n\n")
                told_at = self._clock.seconds()
            told = regions
            await deferLater(self._clock, EVERY_S)

    async def _regions(self) -> Mapping[str, str]:
        """The regions as of this second: however many look on, they are made once."""
        if self._clock.seconds() - self._rendered_at >= EVERY_S:
            self._rendered_at = self._clock.seconds()
            status = self._status()
            self._rendered = {name: (await html(region(status))).decode() for name, region in REGIONS.items()}
        return self._rendered
