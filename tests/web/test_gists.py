"""What the feed and the lists of users answer, over a real socket."""

from urllib.parse import quote

import pytest
import pytest_twisted

from pipetest.web.gists import SLICE
from tests.support.web.client import Client
from tests.support.web.store import BlockableStore


@pytest_twisted.ensureDeferred
async def test_all_users_ever_scanned_are_named_as_configured(client: Client, store: BlockableStore) -> None:
    store.record("octocat")
    assert (await client.ask("GET /getAllScannedUsers HTTP/1.1")).json() == ["antomer", "Torvalds", "octocat"]


@pytest_twisted.ensureDeferred
async def test_the_queried_users_are_named(client: Client) -> None:
    assert (await client.ask("GET /getCurrentlyScannedUsers HTTP/1.1")).json() == ["antomer", "Torvalds"]


@pytest_twisted.ensureDeferred
async def test_a_visitor_is_shown_the_feed_once_and_then_what_is_new(client: Client, store: BlockableStore) -> None:
    first = await client.ask("GET /getGists HTTP/1.1")
    assert first.json() == ["a1", "b2", "c3"]
    again = f"GET /getGists HTTP/1.1\nCookie: {first.cookie}"
    assert (await client.ask(again)).json() == []
    store.record("antomer", ["d4"])
    assert (await client.ask(again)).json() == ["d4"]


@pytest_twisted.ensureDeferred
async def test_with_a_limit_a_session_moves_on_by_what_was_shown(client: Client) -> None:
    first = await client.ask("GET /getGists?limit=2 HTTP/1.1")
    assert first.json() == ["a1", "b2"]
    assert (await client.ask(f"GET /getGists?limit=1000000 HTTP/1.1\nCookie: {first.cookie}")).json() == ["c3"]


@pytest.mark.parametrize("query", ["0", "-1", "1000001", "10000000", "", "x", "1.0", "%31%00", "1&limit=2", "\u0661"])
@pytest_twisted.ensureDeferred
async def test_a_limit_that_is_not_a_number_from_one_to_a_million_is_refused(
    client: Client, store: BlockableStore, query: str
) -> None:
    refused = await client.ask(f"GET /getGists?limit={quote(query, '&=%')} HTTP/1.1")
    assert (refused.status, refused.headers["content-type"]) == (400, "application/problem+json")
    assert store.advances == []


@pytest_twisted.ensureDeferred
async def test_a_feed_of_many_slices_is_whole_and_in_order(client: Client, store: BlockableStore) -> None:
    store.record("antomer", [f"{number:x}" for number in range(3 * SLICE)])
    assert (await client.ask("GET /getGists HTTP/1.1")).json() == store.ids()
    assert all(stop - start <= SLICE for start, stop in store.slices)


@pytest_twisted.ensureDeferred
async def test_no_cache_may_keep_or_mix_up_what_a_session_was_shown(client: Client) -> None:
    shown = await client.ask("GET /getGists HTTP/1.1")
    assert (shown.headers["cache-control"], shown.headers["vary"]) == ("no-store", "Cookie")
