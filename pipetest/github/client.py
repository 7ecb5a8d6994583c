"""GitHub's lists of gists: one page, read into a value or an error that says what to do next.

Source of what is said about GitHub here: its REST API documentation (gists, pagination, rate limits, troubleshooting).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from attrs import frozen
from msgspec import Meta, Struct
from twisted.web.client import URI

from pipetest.domain.errors import Denied, Malformed, Missing, RateLimited, Refused, ServiceError, Transient
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Gist, Page, Reply, Request, Secret
from pipetest.github.rate_limit import UNTOLD_FIRST_S, throttle
from pipetest.http.bodies import decoded, problem, quoted
from pipetest.http.exchange import USER_AGENT
from pipetest.ratelimit.policy import retry_after

SERVICE = "GitHub"
API_VERSION = "2026-03-10"
PER_PAGE = 100
"""The most that GitHub puts on a page."""


@frozen
class GitHubClient:
    """Implements :class:`~pipetest.domain.interfaces.GitHub`. ``root`` ends without a slash; ``wall`` tells the
    seconds since the epoch, in which GitHub says when an hour's requests are there again."""

    _exchange: Exchange
    _root: str
    _token: Secret | None
    _wall: Callable[[], float]

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
        return read(reply, url)


class _Owner(Struct):
    id: int


class _Item(Struct):
    id: Annotated[str, Meta(min_length=1)]
    created_at: Annotated[datetime, Meta(tz=True)]
    public: bool
    owner: _Owner | None = None


def read(reply: Reply, url: str) -> Page:
    """The page that was asked for at ``url``.

    An account's own token also lists its secret gists: they are left out.

    :raises Malformed: it is no such page, or its next one is elsewhere.
    """
    items = decoded(SERVICE, reply, list[_Item])
    return Page(
        gists=tuple(Gist(item.id, item.created_at.timestamp()) for item in items if item.public),
        owner_id=next((item.owner.id for item in items if item.owner is not None), None),
        etag=reply.headers.get("etag"),
        next_url=following(reply.headers.get("link", ""), url),
    )


_LINK = re.compile(r"<([^>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel\s*=\s*"?(?:[^";,]*\s)?next(?:\s[^";,]*)?"?\s*(?:[;,]|$)', re.IGNORECASE)


def following(link: str, asked: str) -> str | None:
    """The URL with ``rel="next"`` in a Link header, as it is given.

    :raises Malformed: it leads to another scheme, host or port than ``asked``; the token would go there too.
    """
    target = next((url for url, parameters in _LINK.findall(link) if _NEXT.search(parameters)), None)
    if target is not None and (not _VISIBLE.fullmatch(target) or _origin(target) != _origin(asked)):
        raise Malformed(SERVICE, "the next page is said to be on another server than the first")
    return target


_VISIBLE = re.compile(r"[\x21-\x7e]+")


def _origin(url: str) -> tuple[bytes, bytes, int]:
    """Read as the HTTP client reads it: two opinions on what a URL's host is would be a way out for the token."""
    uri = URI.fromBytes(url.encode("ascii"))
    return uri.scheme, uri.host.lower(), uri.port


def refusal(reply: Reply, token: Secret | None, now_at: float) -> ServiceError:
    """What a reply that is no page means; ``now_at`` is in seconds since the epoch."""
    limited = throttle(reply, now_at)
    if limited is not None:
        wait = UNTOLD_FIRST_S if limited.wait is None else limited.wait
        return RateLimited(SERVICE, f"its rate limit is reached ({reply.status})", wait)
    if reply.status == 408 or reply.status >= 500:
        return Transient(SERVICE, f"in trouble ({reply.status})", retry_after(reply))
    if reply.status < 300:
        return Malformed(SERVICE, f"an answer ({reply.status}) that is not as described")
    said = problem(reply)
    return _refused(reply.status, said, quoted((said or {}).get("message"), token))


def _refused(status: int, said: Mapping[str, object] | None, words: str) -> ServiceError:
    match status:
        case 404:
            return Missing(SERVICE, "knows no such account (404)")
        case 403 if said is None or "block" not in said:
            # What is no JSON comes from a guard in front of the API. A "block" is about one account alone.
            return Denied(SERVICE, f"refuses access (403){words}", lasting=said is None)
        case 401:
            # After several wrong tokens their owner is locked out for a while, right token or not.
            return Denied(SERVICE, f"refuses the token (401){words}; check PIPETEST_GITHUB_TOKEN", lasting=True)
        case 410:
            return Denied(SERVICE, f"no longer has API version {API_VERSION} (410); update pipetest", lasting=True)
        case _ if status < 400:
            return Refused(SERVICE, f"redirects ({status}), which is not followed; check PIPETEST_GITHUB_URL", status)
        case _:
            return Refused(SERVICE, f"refuses the request ({status}){words}", status)
