"""GitHub's lists of gists and of accounts: one page, asked for and read.

Source of what is said about GitHub here: its REST API documentation (gists, followers, organization members, best
practices).
"""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import AccountPage, GistPage, Reply, Request, Secret, UserList
from pipetest.github.links import on_same_origin
from pipetest.github.pages import parsed_accounts, parsed_gists
from pipetest.github.responses import refusal
from pipetest.http.exchange import USER_AGENT

MAX_REDIRECTS = 3

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PAGES = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION})
"""The second is a 200 in which a proxy has changed something."""


class GitHubClient:
    """Implements :class:`~pipetest.domain.interfaces.GitHub`. ``exchange`` is the rate limiter in front of HTTP;
    ``root`` ends without a slash; ``wall`` tells the seconds since the epoch, as GitHub does when it says until when a
    limit is used up.

    No API version is asked for: what is read here is in all of them, and an older GitHub Enterprise refuses newer ones.
    """

    def __init__(self, exchange: Exchange, root: str, token: Secret | None, wall: Callable[[], float]) -> None:
        self._exchange = exchange
        self._root = root
        self._token = token
        self._wall = wall

    def first_page(self, user: str, per_page: int) -> str:
        return f"{self._root}/users/{quote(user, safe='')}/gists?per_page={per_page}"

    def first_page_of_list(self, wanted: UserList, per_page: int) -> str:
        path = "orgs/{}/public_members" if wanted.kind == "org" else "users/{}/following"
        return f"{self._root}/{path.format(quote(wanted.name, safe=''))}?per_page={per_page}"

    async def page(self, url: str, etag: str | None = None) -> GistPage | None:
        reply, url = await self._asked(url, etag)
        return None if reply.status == HTTPStatus.NOT_MODIFIED else parsed_gists(reply, url)

    async def account_page(self, url: str, etag: str | None = None) -> AccountPage | None:
        reply, url = await self._asked(url, etag)
        return None if reply.status == HTTPStatus.NOT_MODIFIED else parsed_accounts(reply, url)

    async def _asked(self, url: str, etag: str | None) -> tuple[Reply, str]:
        """A page, or the 304 that says that it is as it was; and where it came from."""
        headers = {"user-agent": USER_AGENT, "accept": "application/vnd.github+json"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.reveal()}"
        if etag is not None:
            headers["if-none-match"] = etag
        reply, url = await self._followed(url, headers)
        unchanged = reply.status == HTTPStatus.NOT_MODIFIED and etag is not None
        if not unchanged and reply.status not in _PAGES:
            raise refusal(reply, self._token, self._wall())
        return reply, url

    async def _followed(self, url: str, headers: dict[str, str]) -> tuple[Reply, str]:
        """The reply, and where it came from. Redirects are followed on the same origin only: the token goes along."""
        redirects = 0
        while True:
            reply = await self._exchange(Request("GET", url, headers))
            target = on_same_origin(reply.headers.get("location", ""), url)
            if reply.status not in _REDIRECTS or target is None or redirects == MAX_REDIRECTS:
                return reply, url
            redirects, url = redirects + 1, target
