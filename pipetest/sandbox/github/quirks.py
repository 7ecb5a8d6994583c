"""What may be odd about a GitHub: its proxies, its age, and lists that are not as described. It was reported of a real
one, or is what a client has to expect of one that is broken or hostile."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

from msgspec import Struct, field
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.sandbox.calls import Call
from pipetest.sandbox.replies import as_html, github_error

VERSIONS = ("2022-11-28", "2026-03-10")

MOVED = "moved"

BROKEN_FIELDS: Mapping[str, object] = {
    "id": None,
    "created_at": None,
    "public": None,
    "owner": {"login": "ghost"},
}


class Quirks(Struct):
    """May be changed at any time; as it is made, there are none.

    ``versions``: of the API, which it knows. ``links``: several header lines, relative ones, or no Link header at all.
    ``endless``: each page names a next one. ``redirects``: so many before each answer. ``page_status``: what a page
    comes with. ``unasked_304``: a request without a condition is answered 304. ``heaviest``: a page of more gists is
    too much for it. ``hidden``: with which status the lists of these accounts are refused. ``broken``: how a gist is
    listed, by its id: as a null, or with this field broken.
    """

    versions: Sequence[str] = VERSIONS
    links: Literal["plain", "lines", "relative", "none"] = "plain"
    endless: bool = False
    redirects: int = 0
    page_status: int = 200
    unasked_304: bool = False
    heaviest: int | None = None
    hidden: dict[str, int] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def moved(self, call: Call) -> Reply | None:
        """The redirect of a call that was not redirected often enough yet."""
        done = int(call.path[1]) if call.path[0] == MOVED else 0
        if done >= self.redirects:
            return None
        path = "/".join(("", MOVED, str(done + 1), *unmoved(call).path))
        return github_error(307, "Temporary Redirect", {"location": f"{path}?{urlencode(call.query)}"})

    def refusal(self, login: str, gists: int) -> Reply | None:
        """Why a page of so many gists is not shown."""
        status = self.hidden.get(login.lower())
        if status is not None:
            return github_error(status, "Resource protected by organization SAML enforcement.")
        return as_html(502, "502 Bad Gateway") if self.heaviest is not None and gists > self.heaviest else None

    def listed(self, item: dict[str, Any]) -> dict[str, Any] | None:
        """The item as it is listed, None for a null."""
        broken = self.broken.get(item["id"])
        if broken is None:
            return item
        return None if broken == "null" else {**item, broken: BROKEN_FIELDS[broken]}

    def of_page(self, reply: Reply, call: Call) -> Reply:
        """A page as it goes out."""
        headers = dict(reply.headers)
        link = headers.pop("link", None)
        if self.endless:
            query = {**call.query, "page": int(call.query.get("page", "1")) + 1}
            link = f'<{call.root}/{"/".join(call.path)}?{urlencode(query)}>; rel="next"'
        if link is not None and self.links != "none":
            written = {"lines": link.replace(", ", ",\n"), "relative": link.replace(f"<{call.root}", "<")}
            headers["link"] = written.get(self.links, link)
        if reply.status == 304 or (self.unasked_304 and "if-none-match" not in call.headers):
            return Reply(304, headers, b"")
        return replace(reply, status=self.page_status, headers=headers)


def unmoved(call: Call) -> Call:
    """The call that was meant, without what redirects have added to its path."""
    return replace(call, path=call.path[2:]) if call.path[0] == MOVED else call
