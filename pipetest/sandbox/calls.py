"""One request to a service of the sandbox: taken apart for the service, and what its client gets for it."""

import re
from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct
from twisted.internet.defer import Deferred

from pipetest.domain.model import Reply, Request

NUMBER = r"\d{1,18}"
"""What counts as a number in a path or a query: no id is longer."""


class Call(Struct, frozen=True):
    """A request taken apart. ``root`` is scheme and host as the client wrote them, for links in the reply."""

    method: str
    root: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None

    @classmethod
    def of(cls, request: Request) -> "Call":
        url = urlsplit(request.url)
        path = tuple(unquote(segment) for segment in url.path.split("/")[1:])
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return cls(request.method, f"{url.scheme}://{url.netloc}", path, query, request.headers, request.body)


def number_in(text: str) -> int | None:
    """The number that a part of a path or a query is; None where it is none."""
    return int(text) if re.fullmatch(NUMBER, text) else None


class Api(Protocol):
    """The rules of one service. ``now`` is in seconds since the epoch."""

    @property
    def name(self) -> str: ...

    def route(self, call: Call) -> str:
        """The method and the pattern of the path, as the API's reference writes them."""

    def identify(self, call: Call) -> str | Reply:
        """The client's name, by which limits are counted; or the reply that refuses it."""

    def answer(self, call: Call, client: str, now: float) -> Reply:
        """Carry out the call."""


class LostReply(Struct, frozen=True):
    """The client gets no whole reply. Its connection is refused, reset, or reset in the middle of the reply (torn);
    or nothing comes at all (silent), or nothing more after half of the reply (stalled)."""

    how: Literal["refused", "reset", "torn", "silent", "stalled"]

    @property
    def hangs(self) -> bool:
        """Whether the client waits until its own time limit ends the wait."""
        return self.how in {"silent", "stalled"}


class PlannedReply(Struct, frozen=True):
    """What a client gets, and when: after ``delay`` seconds and, where ``held``, once somebody releases it."""

    ending: Reply | LostReply
    delay: float = 0.0
    held: bool = False


class HeldReplies:
    """Replies that wait until somebody releases them, so that a test can kill the client while it waits for one."""

    def __init__(self) -> None:
        self._waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self) -> Deferred[None]:
        """Fires on release. Whoever no longer waits cancels it."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def release(self) -> int:
        """Release all of them; how many there were."""
        released, self._waiting = self._waiting, []
        for waiting in released:
            waiting.callback(None)
        return len(released)
