"""The sandbox's GitHub behaves as GitHub's documentation says, and as people saw who called it."""

import re
from collections.abc import Mapping

import pytest
from twisted.internet.task import Clock

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.world import World
from tests.support.sandbox_client import Client, json

TOKEN = {"authorization": "Bearer good-token"}


@pytest.fixture(autouse=True)
def ada(world: World, clock: Clock) -> None:
    """An account with five gists, ``a`` to ``e``, a minute apart."""
    world.accounts.open("Ada")
    for gist in "abcde":
        world.accounts.write("Ada", gist_id=gist)
        clock.advance(60)


def ids(client: Client, path: str, headers: Mapping[str, str] | None = None) -> str:
    return "".join(gist["id"] for gist in json(client.get(path, headers)))


def links(header: str) -> dict[str, str]:
    return {rel: url for url, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', header)}


# --- the list ---------------------------------------------------------------------------------------------------------


def test_a_list_is_newest_first_by_creation_whatever_was_edited_last(github: Client, world: World) -> None:
    world.accounts.edit("b", "better now")
    assert ids(github, "/users/Ada/gists") == "edcba"
    b = json(github.get("/users/Ada/gists"))[3]
    assert (b["created_at"], b["updated_at"]) == ("2026-11-23T12:01:00Z", "2026-11-23T12:05:00Z")


def test_gists_of_the_same_second_are_listed_last_written_first(github: Client, world: World) -> None:
    world.accounts.write("Ada", gist_id="f", created_at=1_000.9)
    world.accounts.write("Ada", gist_id="g", created_at=1_000.1)
    assert ids(github, "/users/Ada/gists") == "edcbagf"


def test_names_compare_without_case(github: Client) -> None:
    assert ids(github, "/users/aDA/gists") == "edcba"


def test_language_and_description_may_be_null(github: Client) -> None:
    gist = json(github.get("/users/Ada/gists?per_page=1"))[0]
    assert gist["description"] is None
    assert gist["files"]["notes.txt"]["language"] is None


def test_files_are_named_and_an_edit_shows_in_their_addresses(github: Client, world: World) -> None:
    world.accounts.write("Ada", gist_id="f", files=("fib.py", "README.md"))
    files = json(github.get("/users/Ada/gists?per_page=1"))[0]["files"]
    assert [file["filename"] for file in files.values()] == list(files) == ["fib.py", "README.md"]
    world.accounts.edit("f", "better now")
    edited = json(github.get("/users/Ada/gists?per_page=1"))[0]["files"]
    assert edited["fib.py"]["raw_url"] != files["fib.py"]["raw_url"]


def test_pages_are_linked_by_the_accounts_id_with_per_page(github: Client, world: World) -> None:
    account = world.accounts.by_login("ada")
    assert account is not None
    first = links(github.get("/users/Ada/gists?per_page=2").headers["link"])
    root = f"https://api.github.com/user/{account.id}/gists"
    assert first == {"next": f"{root}?per_page=2&page=2", "last": f"{root}?per_page=2&page=3"}
    second = links(github.get(first["next"]).headers["link"])
    assert set(second) == {"prev", "next", "last", "first"}
    assert ids(github, second["next"]) == "a"
    assert set(links(github.get(second["next"]).headers["link"])) == {"prev", "first"}


def test_a_list_of_one_page_has_no_link(github: Client) -> None:
    assert "link" not in github.get("/users/Ada/gists?per_page=5").headers


def test_a_page_past_the_end_is_empty(github: Client) -> None:
    assert ids(github, "/users/Ada/gists?per_page=2&page=9") == ""


def test_a_page_holds_thirty_unless_asked_and_a_hundred_at_most(github: Client, world: World) -> None:
    for _ in range(120):
        world.accounts.write("Ada")
    assert len(json(github.get("/users/Ada/gists"))) == 30
    assert len(json(github.get("/users/Ada/gists?per_page=1000"))) == 100


def test_pages_may_be_smaller_than_asked_for(github: Client, world: World) -> None:
    world.github_api.per_page_most = 2
    reply = github.get("/users/Ada/gists?per_page=100")
    assert [gist["id"] for gist in json(reply)] == ["e", "d"]
    assert ids(github, links(reply.headers["link"])["next"]) == "cb"


def test_pages_are_offsets_so_a_gist_deleted_meanwhile_hides_another(github: Client, world: World) -> None:
    assert ids(github, "/users/Ada/gists?per_page=2") == "ed"
    world.accounts.delete("e")
    assert ids(github, "/users/Ada/gists?per_page=2&page=2") == "ba"  # c was seen on neither page


def test_pages_are_offsets_so_a_gist_written_meanwhile_repeats_another(github: Client, world: World) -> None:
    assert ids(github, "/users/Ada/gists?per_page=2") == "ed"
    world.accounts.write("Ada", gist_id="f")
    assert ids(github, "/users/Ada/gists?per_page=2&page=2") == "dc"


def test_since_compares_the_last_update(github: Client, world: World, clock: Clock) -> None:
    world.accounts.edit("b", None)
    assert ids(github, "/users/Ada/gists?since=2026-11-23T12:04:30Z") == "b"


def test_a_since_that_is_no_time_is_422(github: Client) -> None:
    assert github.get("/users/Ada/gists?since=yesterday", wrong=True).status == 422


def test_a_list_may_end_at_a_depth_with_422(github: Client, world: World) -> None:
    world.github_api.deepest = 4
    assert ids(github, "/users/Ada/gists?per_page=2&page=2") == "cb"
    assert github.get("/users/Ada/gists?per_page=2&page=3").status == 422


# --- secret gists -----------------------------------------------------------------------------------------------------


def test_a_secret_gist_appears_at_its_old_place_once_it_is_public(github: Client, world: World, clock: Clock) -> None:
    world.accounts.write("Ada", gist_id="s", public=False)
    clock.advance(60)
    world.accounts.write("Ada", gist_id="f")
    assert ids(github, "/users/Ada/gists") == "fedcba"
    world.accounts.publish("s")
    assert ids(github, "/users/Ada/gists") == "fsedcba"


def test_an_accounts_own_token_also_sees_its_secret_gists(github: Client, world: World) -> None:
    world.github_api.tokens["adas-token"] = "ada"
    world.accounts.write("Ada", gist_id="s", public=False)
    own = json(github.get("/users/Ada/gists", {"authorization": "Bearer adas-token"}))
    assert [gist["id"] for gist in own if not gist["public"]] == ["s"]
    assert ids(github, "/users/Ada/gists", TOKEN) == "edcba"


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_unknown_and_closed_accounts_are_404(github: Client, world: World) -> None:
    account = world.accounts.by_login("ada")
    assert account is not None
    world.accounts.close("Ada")
    for path in ("/users/ada/gists", f"/user/{account.id}/gists", "/users/nobody/gists"):
        reply = github.get(path)
        assert (reply.status, json(reply)["message"]) == (404, "Not Found")


def test_a_trailing_slash_is_404(world: World) -> None:
    ending = world.github.handle(Request("GET", "https://x/users/Ada/gists/", {"user-agent": "test"})).ending
    assert isinstance(ending, Reply)
    assert ending.status == 404


def test_a_renamed_account_keeps_its_id_and_its_old_name_is_free(github: Client, world: World) -> None:
    account_id = json(github.get("/users/Ada/gists"))[0]["owner"]["id"]
    world.accounts.rename("Ada", "Countess")
    assert github.get("/users/Ada/gists").status == 404
    assert json(github.get(f"/user/{account_id}/gists"))[0]["owner"]["login"] == "Countess"
    world.accounts.open("ada")
    world.accounts.write("ada", gist_id="z")
    taken = json(github.get("/users/Ada/gists"))
    assert [gist["id"] for gist in taken] == ["z"]
    assert taken[0]["owner"]["id"] != account_id


def test_a_name_in_use_cannot_be_taken(world: World) -> None:
    with pytest.raises(ValueError, match="taken"):
        world.accounts.open("ADA")


# --- which clients are refused ----------------------------------------------------------------------------------------


def test_without_a_user_agent_everything_is_403_and_no_json(github: Client) -> None:
    reply = github.get("/users/Ada/gists", {"user-agent": ""})
    assert reply.status == 403
    assert reply.headers["content-type"].startswith("text/html")


def test_an_unknown_api_version_is_400(github: Client) -> None:
    assert github.get("/users/Ada/gists", {"x-github-api-version": "2020-01-01"}, wrong=True).status == 400
    assert github.get("/users/Ada/gists", {"x-github-api-version": "2026-03-10"}).status == 200


def test_a_bad_token_is_401(github: Client) -> None:
    reply = github.get("/users/Ada/gists", {"authorization": "Bearer bad-token"})
    assert (reply.status, json(reply)["message"]) == (401, "Bad credentials")


# --- conditional requests ---------------------------------------------------------------------------------------------


def test_an_unchanged_page_is_304_without_a_body(github: Client) -> None:
    etag = github.get("/users/Ada/gists").headers["etag"]
    reply = github.get("/users/Ada/gists", {"if-none-match": etag})
    assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)


def test_an_etag_covers_one_page_only(github: Client, world: World) -> None:
    first, second = (github.get(f"/users/Ada/gists?per_page=2&page={n}").headers["etag"] for n in (1, 2))
    world.accounts.publish(world.accounts.write("Ada", public=False, created_at=1.0).id)
    world.accounts.edit("c", "changed")
    assert github.get("/users/Ada/gists?per_page=2&page=1", {"if-none-match": first}).status == 304
    assert github.get("/users/Ada/gists?per_page=2&page=2", {"if-none-match": second}).status == 200


def test_a_gist_written_or_deleted_changes_the_first_page(github: Client, world: World) -> None:
    for change in (lambda: world.accounts.write("Ada", gist_id="f"), lambda: world.accounts.delete("f")):
        etag = github.get("/users/Ada/gists").headers["etag"]
        change()
        assert github.get("/users/Ada/gists", {"if-none-match": etag}).status == 200


def test_etags_differ_by_token_and_by_url(github: Client) -> None:
    etags = {
        github.get("/users/Ada/gists").headers["etag"],
        github.get("/users/Ada/gists", TOKEN).headers["etag"],
        github.get("/users/Ada/gists?per_page=100").headers["etag"],
    }
    assert len(etags) == 3


def test_a_name_taken_over_does_not_inherit_an_etag(github: Client, world: World) -> None:
    world.accounts.open("bo")
    etag = github.get("/users/bo/gists").headers["etag"]
    world.accounts.rename("bo", "bob")
    world.accounts.open("bo")
    assert github.get("/users/bo/gists", {"if-none-match": etag}).status == 200


# --- quirks -----------------------------------------------------------------------------------------------------------


def odd(world: World, path: str) -> Reply:
    """An answer that contradicts the description."""
    reply = world.github.handle(Request("GET", f"https://api.github.com{path}", {"user-agent": "test"})).ending
    assert isinstance(reply, Reply)
    return reply


def test_links_may_be_relative_lines_or_missing(github: Client, world: World) -> None:
    path = "/users/Ada/gists?per_page=2"
    plain = github.get(path).headers["link"]
    world.github_api.quirks.links = "lines"
    assert odd(world, path).headers["link"].replace("\n", " ") == plain
    world.github_api.quirks.links = "relative"
    assert links(github.get(path).headers["link"])["next"].startswith("/user/")
    world.github_api.quirks.links = "none"
    assert "link" not in github.get(path).headers


def test_a_list_may_be_redirected_several_times(world: World) -> None:
    world.github_api.quirks.redirects = 2
    first = odd(world, "/users/Ada/gists?per_page=2")
    second = odd(world, first.headers["location"])
    assert (first.status, second.status) == (307, 307)
    assert [gist["id"] for gist in json(odd(world, second.headers["location"]))] == ["e", "d"]


def test_a_list_may_have_no_end(github: Client, world: World) -> None:
    world.github_api.quirks.endless = True
    assert links(github.get("/users/Ada/gists?per_page=9&page=7").headers["link"]) == {
        "next": "https://api.github.com/users/Ada/gists?per_page=9&page=8"
    }


def test_a_304_may_come_without_a_condition(github: Client, world: World) -> None:
    etag = github.get("/users/Ada/gists").headers["etag"]
    world.github_api.quirks.unasked_304 = True
    assert github.get("/users/Ada/gists").status == 304
    world.accounts.write("ada")
    assert github.get("/users/Ada/gists", {"if-none-match": etag}).status == 200


def test_a_page_may_be_too_much(github: Client, world: World) -> None:
    world.github_api.quirks.heaviest = 2
    assert github.get("/users/Ada/gists?per_page=3").status == 502
    assert github.get("/users/Ada/gists?per_page=2").status == 200


def test_an_account_may_be_hidden(github: Client, world: World) -> None:
    world.accounts.open("bob")
    world.github_api.quirks.hidden["ada"] = 451
    assert odd(world, "/users/Ada/gists").status == 451
    assert github.get("/users/bob/gists").status == 200


def test_a_gist_may_be_listed_as_none(world: World) -> None:
    world.github_api.quirks.broken |= {"b": "null", "c": "public"}
    listed = json(odd(world, "/users/Ada/gists"))
    assert [gist and gist["public"] for gist in listed] == [True, True, None, None, True]


# --- lists of accounts ------------------------------------------------------------------------------------------------


@pytest.fixture
def club(world: World) -> None:
    """Ada follows bob and cyd, the latest first, and both are public members of acme."""
    for user in ("acme", "bob", "cyd"):
        world.accounts.open(user)
    for user in ("bob", "cyd"):
        world.accounts.follow("ada", user)
        world.accounts.join("acme", user)


LISTS = pytest.mark.parametrize(
    ("path", "numbered"), [("/users/ada/following", "user"), ("/orgs/ACME/public_members", "organizations")]
)


@LISTS
@pytest.mark.usefixtures("club")
def test_accounts_are_listed_page_by_page_with_their_numbers(
    github: Client, world: World, path: str, numbered: str
) -> None:
    first = github.get(f"{path}?per_page=1")
    second = github.get(links(first.headers["link"])["next"])
    bob, cyd = world.accounts.by_login("bob"), world.accounts.by_login("cyd")
    assert bob is not None
    assert cyd is not None
    assert [(one["login"], one["id"]) for one in json(first) + json(second)] == [("cyd", cyd.id), ("bob", bob.id)]
    assert f"/{numbered}/" in links(first.headers["link"])["next"]
    assert "next" not in links(second.headers["link"])


@LISTS
@pytest.mark.usefixtures("club")
def test_a_list_of_accounts_is_304_until_it_or_a_name_on_it_changes(
    github: Client, world: World, path: str, numbered: str
) -> None:
    etag = github.get(path).headers["etag"]
    assert github.get(path, {"if-none-match": etag}).status == 304
    world.accounts.rename("bob", "bob2")
    renamed = github.get(path, {"if-none-match": etag})
    assert [one["login"] for one in json(renamed)] == ["cyd", "bob2"]
    world.accounts.unfollow("ada", "bob2")
    world.accounts.leave("acme", "bob2")
    assert [one["login"] for one in json(github.get(path))] == ["cyd"]
    world.accounts.close("cyd")
    assert json(github.get(path)) == []


@LISTS
def test_a_list_of_an_unknown_account_is_404(github: Client, path: str, numbered: str) -> None:
    unknown = path.replace("ada", "nobody").replace("ACME", "nobody")
    assert github.get(unknown).status == 404
    assert github.get(f"/{numbered}/1/{path.rpartition('/')[2]}").status == 404
