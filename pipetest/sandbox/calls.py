"""What the sandbox's services see and say: one request taken apart, and the answer to act out."""

from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from pipetest.domain.model import Reply, Request


class Call(Struct, frozen=True):
    """A request taken apart. ``root`` is scheme and host as the client wrote them, for links in the answer."""

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


class Lost(Struct, frozen=True):
    """No whole answer reaches the client: its connection is refused or reset, reset in the middle of the answer's body
    (torn), silent from the start, or silent in the middle of the body (stalled)."""

    how: Literal["refused", "reset", "torn", "silent", "stalled"]

    @property
    def endless(self) -> bool:
        """Whether only the client's own patience ends the wait."""
        return self.how in {"silent", "stalled"}


class Answer(Struct, frozen=True):
    """What a frontend acts out: ``delay`` seconds, then, where ``held``, until somebody releases it, then the end."""

    ending: Reply | Lost
    delay: float = 0.0
    held: bool = False


class Api(Protocol):
    """The rules of one service. ``now`` is in seconds since the epoch."""

    @property
    def name(self) -> str: ...

    def route(self, call: Call) -> str:
        """The method and the pattern of the path, as the API's reference writes them."""

    def identify(self, call: Call) -> str | Reply:
        """Who asks, a name for limits to count by; or the refusal at the door."""

    def answer(self, call: Call, who: str, now: float) -> Reply:
        """Carry out the call."""


class Limits(Protocol):
    """What a service allows a client. ``now`` is in seconds since the epoch."""

    def refuse(self, who: str, route: str, now: float) -> Reply | None:
        """The refusal, where a limit is reached."""

    def count(self, who: str, route: str, reply: Reply, now: float) -> Reply:
        """Count a call that was let through; its reply with the headers that tell of the limits."""
