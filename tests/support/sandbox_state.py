"""What ``/state`` of the sandbox's control port says, read by a test."""

from collections.abc import Mapping
from typing import Any

State = Mapping[str, Any]


def gists(state: State) -> set[str]:
    """The ids of all public gists."""
    return {gist for of_user in state["gists"].values() for gist in of_user}


def titles(state: State) -> list[str]:
    """The title of every deal; one of two deals of the same gist comes twice."""
    return [deal["title"] for deal in state["deals"]]


def all_are_deals(state: State) -> bool:
    """Whether every gist is a deal, and nothing else is one."""
    return gists(state) == set(titles(state))


def assert_once(state: State) -> None:
    """There is one organization per user, and in it one deal per gist."""
    organizations = {organization["id"]: organization["name"] for organization in state["organizations"]}
    assert sorted(organizations.values()) == sorted(state["gists"])
    expected = sorted((gist, user) for user, gists in state["gists"].items() for gist in gists)
    assert sorted((deal["title"], organizations[deal["org_id"]]) for deal in state["deals"]) == expected
