"""GitHub's REST API as far as lists of gists and of accounts need it.

Sources of its behaviour: docs.github.com/rest, "List gists for a user", "List the people a user follows", "List public
organization members", "Using pagination", "Best practices", "Troubleshooting"; and answers recorded by others.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from pipetest.domain.model import Reply
from pipetest.sandbox.calls import Call, number_in
from pipetest.sandbox.github.accounts import Accounts, HostedAccount, HostedGist
from pipetest.sandbox.github.graphql import GraphQL
from pipetest.sandbox.github.items import item_of, owner_of
from pipetest.sandbox.github.limits import GRAPHQL
from pipetest.sandbox.github.quirks import VERSIONS, Quirks, unmoved
from pipetest.sandbox.replies import as_html, as_json, from_rfc3339, github_error

DEFAULT_PER_PAGE = 30
MAX_PER_PAGE = 100


class GitHubApi:
    """The rules. ``tokens`` maps each valid token to its owner's login; an owner also sees its secret gists.

    ``deepest`` is the number of gists after which a list answers 422; None: no such depth. ``per_page_most`` is the
    largest number of gists on a page, whatever was asked for.
    """

    name = "GitHub"

    def __init__(
        self,
        accounts: Accounts,
        tokens: Mapping[str, str] | None = None,
        *,
        deepest: int | None = None,
        per_page_most: int = MAX_PER_PAGE,
    ) -> None:
        self.accounts = accounts
        self.tokens = dict(tokens or {})
        self.deepest = deepest
        self.per_page_most = per_page_most
        self.quirks = Quirks()
        self.graphql = GraphQL(accounts)
        self._etags: dict[tuple[object, ...], tuple[int, str]] = {}

    def route(self, call: Call) -> str:
        match unmoved(call).path:
            case ("graphql",) | ("api", "graphql"):
                return f"{call.method} {GRAPHQL}"
            case ("users", _, "gists" | "following" as what):
                return f"{call.method} /users/{{username}}/{what}"
            case ("user", _, "gists" | "following" as what):
                return f"{call.method} /user/{{id}}/{what}"
            case ("orgs", _, "public_members"):
                return f"{call.method} /orgs/{{org}}/public_members"
            case ("organizations", _, "public_members"):
                return f"{call.method} /organizations/{{id}}/public_members"
            case _:
                return f"{call.method} elsewhere"

    def identify(self, call: Call) -> str | Reply:
        """The token, or an empty name for a client without one."""
        if not call.headers.get("user-agent", "").strip():
            return as_html(403, "Request forbidden by administrative rules. Please send a User-Agent header.")
        if call.headers.get("x-github-api-version", VERSIONS[0]) not in self.quirks.versions:
            return github_error(400, "That API version is not supported.")
        authorization = call.headers.get("authorization")
        if authorization is None:
            return ""
        token = authorization.partition(" ")[2].strip()
        return token if token in self.tokens else github_error(401, "Bad credentials")

    def answer(self, call: Call, client: str, now: float) -> Reply:
        if self.route(call) == f"POST {GRAPHQL}":
            return self.graphql.answer(call.body) if client else github_error(401, "Requires authentication")
        moved = self.quirks.moved(call)
        return self._answer(unmoved(call), client) if moved is None else moved

    def _answer(self, call: Call, client: str) -> Reply:
        account = self._account(call)
        if call.method != "GET" or account is None:
            return github_error(404, "Not Found")
        page, per_page = _paging(call.query, self.per_page_most)
        if call.path[-1] != "gists":
            return self._accounts_page(call, account, client, page, per_page)
        if self.deepest is not None and page * per_page > self.deepest:
            return _invalid("Pagination is limited for this resource.", "page")
        since = call.query.get("since")
        if since is not None and from_rfc3339(since) is None:
            return _invalid("Validation Failed", "since")
        return self._gists_page(call, account, client, page, per_page, since)

    def _account(self, call: Call) -> HostedAccount | None:
        match call.path:
            case ("users", login, "gists" | "following") | ("orgs", login, "public_members"):
                return self.accounts.by_login(login)
            case ("user", number, "gists" | "following") | ("organizations", number, "public_members"):
                return self.accounts.by_id(number_in(number) or 0)
            case _:
                return None

    def _gists_page(
        self, call: Call, account: HostedAccount, client: str, page: int, per_page: int, since: str | None
    ) -> Reply:
        owned = client != "" and self.tokens[client].lower() == account.login.lower()
        listing = account.listing(include_secret=owned)
        if since is not None:
            listing = [gist for gist in listing if gist.updated_at >= (from_rfc3339(since) or 0.0)]
        shown = listing[(page - 1) * per_page : page * per_page]
        refusal = self.quirks.refusal(account.login, len(shown))
        if refusal is not None:
            return refusal
        headers = {
            **_page_headers(call, client, self._etag(call, account, client, shown)),
            **_link(f"{call.root}/user/{account.id}/gists", call.query, page, per_page, len(listing)),
        }
        if call.headers.get("if-none-match") == headers["etag"]:
            return self.quirks.of_page(Reply(304, headers, b""), call)
        owner = Raw(msgspec.json.encode(owner_of(account, call.root)))
        items = [self.quirks.listed(item_of(gist, account.login, owner, call.root)) for gist in shown]
        return self.quirks.of_page(as_json(200, items, headers), call)

    def _accounts_page(self, call: Call, account: HostedAccount, client: str, page: int, per_page: int) -> Reply:
        """Of those whom the account follows, or of the organization's public members."""
        members = call.path[-1] == "public_members"
        listing = self.accounts.living(account.members if members else account.following)
        shown = listing[(page - 1) * per_page : page * per_page]
        refusal = self.quirks.refusal(account.login, len(shown))
        if refusal is not None:
            return refusal
        numbered = f"organizations/{account.id}/public_members" if members else f"user/{account.id}/following"
        etag = _etag_of((client, call.path, tuple(call.query.items()), [(one.id, one.login) for one in shown]))
        headers = {
            **_page_headers(call, client, etag),
            **_link(f"{call.root}/{numbered}", call.query, page, per_page, len(listing)),
        }
        if call.headers.get("if-none-match") == etag:
            return self.quirks.of_page(Reply(304, headers, b""), call)
        return self.quirks.of_page(as_json(200, [owner_of(one, call.root) for one in shown], headers), call)

    def _etag(self, call: Call, account: HostedAccount, client: str, shown: Sequence[HostedGist]) -> str:
        """One for each token, URL and content of the page; computed anew only when the account has changed."""
        page = (client, account.id, call.path, tuple(call.query.items()))
        version, etag = self._etags.get(page, (-1, ""))
        if version != account.version:
            etag = _etag_of((page, account.login, [(gist.id, gist.revision) for gist in shown]))
            self._etags[page] = account.version, etag
        return etag


def _paging(query: Mapping[str, str], most: int) -> tuple[int, int]:
    """Page and items per page. What makes no sense counts as not given; ``most`` is the bound of items per page."""
    page, per_page = number_in(query.get("page", "")), number_in(query.get("per_page", ""))
    return page or 1, min(most, per_page or DEFAULT_PER_PAGE)


def _page_headers(call: Call, client: str, etag: str) -> dict[str, str]:
    return {
        "cache-control": f"{'private' if client else 'public'}, max-age=60, s-maxage=60",
        "etag": etag,
        "vary": "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
        "x-github-api-version-selected": call.headers.get("x-github-api-version", VERSIONS[0]),
    }


def _etag_of(content: object) -> str:
    return f'W/"{blake2b(repr(content).encode(), digest_size=32).hexdigest()}"'


def _link(url: str, query: Mapping[str, str], page: int, per_page: int, items: int) -> dict[str, str]:
    """The header that names the other pages, where there are any."""
    last = max(1, -(-items // per_page))
    if last == 1:
        return {}
    pages: dict[str, int] = {}
    if page > 1:
        pages["prev"] = min(page - 1, last)
    if page < last:
        pages |= {"next": page + 1, "last": last}
    if page > 1:
        pages["first"] = 1
    kept = {key: value for key, value in query.items() if key == "since"} | {"per_page": per_page}
    return {"link": ", ".join(f'<{url}?{urlencode({**kept, "page": n})}>; rel="{rel}"' for rel, n in pages.items())}


def _invalid(message: str, field: str) -> Reply:
    return github_error(422, message, errors=[{"resource": "Gist", "field": field, "code": "invalid"}])
