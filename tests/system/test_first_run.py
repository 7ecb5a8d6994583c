"""The proof that it works: the installed daemon, as people start it, against the sandbox in a process of its own."""

from pathlib import Path

import pytest

from tests.support.daemon_process import daemon, settings_for, url_of
from tests.support.processes import SIGTERMED, ask, until
from tests.support.sandbox_process import sandbox
from tests.support.sandbox_state import assert_once, gists, titles

pytestmark = pytest.mark.xdist_group("packaging")


def test_gists_become_deals_once_and_a_restart_makes_no_second(python: Path, tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", python=python) as world:
        users = sorted(world.users)
        settings = settings_for(world)
        with daemon(tmp_path, python=python, **settings) as first:
            url = url_of(first)
            until(world.settled)
            assert_once(world.state())
            earlier = gists(world.state())
            assert_answers(url, users, earlier)
            assert first.stop() == SIGTERMED
        assert (tmp_path / "db" / "db.json").exists()

        newest = world.post("/gists", user=users[0])["id"]
        with daemon(tmp_path, python=python, **settings) as second:
            url = url_of(second)
            until(world.settled)
            assert newest in titles(world.state())
            assert_answers(url, users, earlier | {newest})
            assert second.stop() == SIGTERMED
        assert_once(world.state())


def assert_answers(url: str, users: list[str], gists: set[str]) -> None:
    """What the four endpoints answer to a visitor who comes twice."""
    assert ask(f"{url}/health").json() == {"status": "UP"}
    assert sorted(ask(f"{url}/getAllScannedUsers").json()) == users
    assert sorted(ask(f"{url}/getCurrentlyScannedUsers").json()) == users
    shown = ask(f"{url}/getGists")
    assert set(shown.json()) == gists
    assert len(shown.json()) == len(gists)
    cookie = shown.headers["set-cookie"].partition(";")[0]
    assert ask(f"{url}/getGists", cookie=cookie).json() == []
