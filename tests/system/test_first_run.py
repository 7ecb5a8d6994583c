"""The proof that it works: the installed daemon, as people start it, against the sandbox in a process of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, Sandbox, ask, daemon, sandbox, until

pytestmark = pytest.mark.xdist_group("packaging")

SIGTERMED = -15  # twistd ends itself with the signal that stopped it


def configured(world: Sandbox) -> Mapping[str, str]:
    return {
        "GITHUB_URL": world.github,
        "PIPEDRIVE_URL": world.pipedrive,
        "PIEPEDRIVE_API_KEY": world.key,
        "QUERIED_USERS": ",".join(world.users),
        "QUERYING_INTERVAL": "0.02",
        "SETTLE_TIME": "1",
        "DATABASE_URL": "tinydb:db/db.json",
        "LISTEN": "tcp:0:interface=127.0.0.1",
    }


def root_of(process: Process) -> str:
    """Where the daemon answers, once it does."""
    return f"http://127.0.0.1:{process.line(r'starting on ([0-9]+)')[1]}"


def settled(world: Sandbox) -> dict[str, Any] | None:
    """The sandbox's state, once every gist is a deal."""
    state = world.state()
    gists = {gist for of_user in state["gists"].values() for gist in of_user}
    return state if gists == {deal["title"] for deal in state["deals"]} else None


def assert_once(state: dict[str, Any]) -> None:
    """One organization per user, and one deal per gist, in it."""
    organizations = {organization["id"]: organization["name"] for organization in state["organizations"]}
    assert sorted(organizations.values()) == sorted(state["gists"])
    expected = sorted((gist, user) for user, gists in state["gists"].items() for gist in gists)
    assert sorted((deal["title"], organizations[deal["org_id"]]) for deal in state["deals"]) == expected


def test_gists_become_deals_once_and_a_restart_makes_no_second(python: Path, tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", python=python) as world:
        users = sorted(world.users)
        settings = configured(world)
        with daemon(tmp_path, python=python, **settings) as first:
            root = root_of(first)
            state = until(lambda: settled(world))
            assert_once(state)
            gists = {gist for of_user in state["gists"].values() for gist in of_user}
            assert_answers(root, users, gists)
            assert first.stop() == SIGTERMED
        assert (tmp_path / "db" / "db.json").exists()

        newest = world.order("/gists", user=users[0])["id"]
        with daemon(tmp_path, python=python, **settings) as second:
            root = root_of(second)
            state = until(lambda: settled(world))
            assert newest in {deal["title"] for deal in state["deals"]}
            assert_answers(root, users, gists | {newest})
            assert second.stop() == SIGTERMED
        assert_once(world.state())


def assert_answers(root: str, users: list[str], gists: set[str]) -> None:
    """What the four endpoints say, to a visitor who comes twice."""
    assert ask(f"{root}/health").json() == {"status": "UP"}
    assert sorted(ask(f"{root}/getAllScannedUsers").json()) == users
    assert sorted(ask(f"{root}/getCurrentlyScannedUsers").json()) == users
    shown = ask(f"{root}/getGists")
    assert set(shown.json()) == gists
    assert len(shown.json()) == len(gists)
    cookie = shown.headers["set-cookie"].partition(";")[0]
    assert ask(f"{root}/getGists", cookie=cookie).json() == []
