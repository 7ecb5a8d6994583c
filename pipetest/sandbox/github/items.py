"""The JSON of gists and accounts, as GitHub's lists show them."""

from typing import Any

from msgspec import Raw

from pipetest.sandbox.github.accounts import HostedAccount, HostedGist
from pipetest.sandbox.github.graphql import node_id_of
from pipetest.sandbox.replies import rfc3339

_API = "https://api.github.com"


def item_of(gist: HostedGist, login: str, owner: Raw, root: str) -> dict[str, Any]:
    """A list item of API version 2026-03-10. The older version's ``user``, ``forks`` and ``history`` are left out."""
    gists = "https://gist.github.com" if root == _API else f"{root}/gist"  # as GitHub Enterprise has it
    page = f"{gists}/{login}/{gist.id}"
    return {
        **_links(gist.id, root, gists),
        "id": gist.id,
        "node_id": f"G_{gist.id}",
        "html_url": page,
        "files": {name: _file(name, f"{page}/raw/{gist.revision:040x}/{name}", gist.language) for name in gist.files},
        "public": gist.public,
        "created_at": rfc3339(gist.created_at),
        "updated_at": rfc3339(gist.updated_at),
        "description": gist.description,
        "comments": 0,
        "comments_enabled": True,
        "owner": owner,
        "truncated": False,
    }


def _links(gist_id: str, root: str, gists: str) -> dict[str, str]:
    url = f"{root}/gists/{gist_id}"
    git = f"{gists}/{gist_id}.git"
    pages = {f"{page}_url": f"{url}/{page}" for page in ("forks", "commits", "comments")}
    return {"url": url, "git_pull_url": git, "git_push_url": git, **pages}


def _file(name: str, raw_url: str, language: str | None) -> dict[str, Any]:
    return {"filename": name, "type": "text/plain", "language": language, "raw_url": raw_url, "size": 42}


def owner_of(account: HostedAccount, root: str) -> dict[str, Any]:
    url = f"{root}/users/{account.login}"
    profiles = "https://github.com" if root == _API else root
    templates = {"following": "{/other_user}", "gists": "{/gist_id}", "starred": "{/owner}{/repo}"}
    templates |= {"events": "{/privacy}"}
    plain = ("followers", "subscriptions", "repos", "received_events")
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node_id_of(account),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{profiles}/{account.login}",
        **{f"{name}_url": f"{url}/{name}" for name in plain},
        **{f"{name}_url": f"{url}/{name}{template}" for name, template in templates.items()},
        "organizations_url": f"{url}/orgs",
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }
