"""GitHub's GraphQL API as far as it tells how the gists of accounts stand: by node id, or by name under an alias each.

Sources of its behaviour: docs.github.com/graphql, "Rate limits and query limits", "Using global node IDs", the objects
User and Gist; and answers recorded by others.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pipetest.domain.errors import UNREADABLE
from pipetest.domain.model import Reply
from pipetest.sandbox.calls import number_in
from pipetest.sandbox.github.accounts import Accounts, HostedAccount
from pipetest.sandbox.replies import as_json, github_error

MOST_NODE_IDS = 100

_NODES = re.compile(r"\bnodes\(ids: \$(\w+)\)")
_USERS = re.compile(r"\b(\w+): user\(login: \$(\w+)\)")
_GISTS = "gists(first: 1, privacy: PUBLIC, orderBy: {field: CREATED_AT, direction: DESC})"


class _Query(Struct):
    query: str
    variables: dict[str, str | list[str]] = {}


class GraphQL:
    """The rules. A query of more accounts than ``heaviest`` is too much for it; None: none is. While it is ``stale``,
    it tells of each account again what it has told last. What it tells is ``altered`` on its way."""

    def __init__(self, accounts: Accounts) -> None:
        self.heaviest: int | None = None
        self.stale = False
        self.altered: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda line: line
        self._accounts = accounts
        self._told: dict[int, dict[str, Any]] = {}

    def answer(self, body: bytes | None) -> Reply:
        try:
            query = msgspec.json.decode(body or b"", type=_Query)
        except UNREADABLE:
            return github_error(400, "Problems parsing JSON")
        if _GISTS not in query.query:
            return _answer(None, [_error("undefinedField", (), "the sandbox knows one query only")])
        nodes = _NODES.search(query.query)
        if nodes is None:
            return self._users(query)
        return self._nodes(query.variables.get(nodes[1], []))

    def _nodes(self, node_ids: Sequence[str]) -> Reply:
        if len(node_ids) > MOST_NODE_IDS:
            text = f"You may not provide more than 100 node ids; you provided {len(node_ids)}."
            return _answer(None, [_error("ARGUMENT_LIMIT", ("nodes",), text)])
        found = [self._accounts.by_id(number_in(node_id.removeprefix("U_")) or 0) for node_id in node_ids]
        errors = [
            _error("NOT_FOUND", ("nodes", place), f"Could not resolve to a node with the global id of '{node_id}'.")
            for place, node_id in enumerate(node_ids)
            if found[place] is None
        ]
        listed = [None if account is None else {} if account.members else self._told_of(account) for account in found]
        if self._is_too_much(len(node_ids)):
            return _too_much({"nodes": [*listed[: len(listed) // 2], *[None] * -(-len(listed) // 2)]})
        return _answer({"nodes": listed}, errors)

    def _users(self, query: _Query) -> Reply:
        asked = {alias: str(query.variables.get(name)) for alias, name in _USERS.findall(query.query)}
        found = {alias: self._accounts.by_login(login) for alias, login in asked.items()}
        users = {alias: account for alias, account in found.items() if account is not None and not account.members}
        errors = [
            _error("NOT_FOUND", (alias,), f"Could not resolve to a User with the login of '{login}'.")
            for alias, login in asked.items()
            if alias not in users
        ]
        data = {alias: self._told_of(users[alias]) if alias in users else None for alias in asked}
        return _too_much(dict.fromkeys(asked)) if self._is_too_much(len(asked)) else _answer(data, errors)

    def _told_of(self, account: HostedAccount) -> dict[str, Any] | None:
        if not self.stale or account.id not in self._told:
            self._told[account.id] = _account(account)
        return self.altered(self._told[account.id])

    def _is_too_much(self, accounts: int) -> bool:
        return self.heaviest is not None and accounts > self.heaviest


def node_id_of(account: HostedAccount) -> str:
    return f"U_{account.id}"


def _account(account: HostedAccount) -> dict[str, Any]:
    gists = account.listing()
    return {
        "id": node_id_of(account),
        "databaseId": account.id,
        "login": account.login,
        "gists": {"totalCount": len(gists), "nodes": [{"name": gist.id} for gist in gists[:1]]},
    }


def _error(kind: str, path: Sequence[str | int], message: str) -> Mapping[str, Any]:
    return {"type": kind, "path": path, "message": message}


def _too_much(data: Mapping[str, Any]) -> Reply:
    return _answer(data, [_error("RESOURCE_LIMITS_EXCEEDED", (), "Resource limits for this query exceeded.")])


def _answer(data: Mapping[str, Any] | None, errors: Sequence[Mapping[str, Any]]) -> Reply:
    """Errors come with status 200."""
    return as_json(200, {"data": data, **({"errors": errors} if errors else {})})
