"""GitHub's lists of gists: one page, asked for and read.

Source of what is said about GitHub here: its REST API documentation (gists, pagination).
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct
from twisted.web.client import URI

from pipetest.domain.errors import Malformed
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Gist, Page, Reply, Request, Secret
from pipetest.github.responses import API_VERSION, SERVICE, refusal
from pipetest.http.bodies import decoded
from pipetest.http.exchange import USER_AGENT

PER_PAGE = 100
"""The most that GitHub puts on a page."""


class GitHubClient:
    """Implements :class:`~pipetest.domain.interfaces.GitHub`. ``root`` ends without a slash; ``wall`` tells the
    seconds since the epoch, as GitHub does when it says until when a limit is used up."""

    def __init__(self, exchange: Exchange, root: str, token: Secret | None, wall: Callable[[], float]) -> None:
        self._exchange = exchange
        self._root = root
        self._token = token
        self._wall = wall

    def first_page(self, user: str) -> str:
        return f"{self._root}/users/{quote(user, safe='')}/gists?per_page={PER_PAGE}"

    async def page(self, url: str, etag: str | None = None) -> Page | None:
        headers = {
            "user-agent": USER_AGENT,
            "accept": "application/vnd.github+json",
            "x-github-api-version": API_VERSION,
        }
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.reveal()}"
        if etag is not None:
            headers["if-none-match"] = etag
        reply = await self._exchange(Request("GET", url, headers))
        if reply.status == 304:
            return None
        if reply.status != 200:
            raise refusal(reply, self._token, self._wall())
        return parsed(reply, url)


class _Owner(Struct):
    id: int


class _Item(Struct):
    id: Annotated[str, Meta(min_length=1)]
    created_at: Annotated[datetime, Meta(tz=True)]
    public: bool
    owner: _Owner | None = None


def parsed(reply: Reply, url: str) -> Page:
    """The page that was asked for at ``url``. An account's own token also lists its secret gists: they are left out.

    :raises Malformed: it is no such page, or its next one is elsewhere.
    """
    items = decoded(SERVICE, reply, list[_Item])
    return Page(
        gists=tuple(Gist(item.id, item.created_at.timestamp()) for item in items if item.public),
        owner_id=next((item.owner.id for item in items if item.owner is not None), None),
        etag=reply.headers.get("etag"),
        next_url=next_url(reply.headers.get("link", ""), url),
    )


_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*"?(?:[^";,]*\s)?next(?:\s[^";,]*)?"?\s*(?:[;,]|$)', re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def next_url(link: str, asked: str) -> str | None:
    """The URL with ``rel="next"`` in a Link header, as it is given.

    :raises Malformed: it leads to another scheme, host or port than ``asked``; the token would go there too.
    """
    target = next((url for url, parameters in _LINK.findall(link) if _NEXT.search(parameters)), None)
    if target is not None and (not _VISIBLE.fullmatch(target) or _origin(target) != _origin(asked)):
        raise Malformed(SERVICE, "the next page is said to be on another server than the first")
    return target


def _origin(url: str) -> tuple[bytes, bytes, int]:
    """Parsed as the HTTP client parses it: the token could get out where two parsers see different hosts."""
    uri = URI.fromBytes(url.encode("ascii"))
    return uri.scheme, uri.host.lower(), uri.port
