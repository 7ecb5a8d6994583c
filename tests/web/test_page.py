"""The page for people, and the files that it loads, asked for over a real socket."""

from html.parser import HTMLParser
from re import findall
from urllib.parse import quote

import pytest
import pytest_twisted
from msgspec.structs import replace

from pipetest.domain.status import (
    AuditState,
    Day,
    Leader,
    Ledger,
    NextDeal,
    Outlook,
    Quarantined,
    QueriedUser,
    Quota,
    Status,
    UserCounts,
)
from pipetest.monitoring.health import with_problems
from pipetest.web.page.layout import REGIONS
from tests.support.web.client import Client
from tests.support.web.sample import LAST_AUDIT, NOW, QUIET, SCRIPT, WITH_PROBLEMS
from tests.support.web.stub_daemon import StubDaemon


class Reading(HTMLParser):
    """The elements of a page with their attributes, and all its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def page(client: Client) -> Reading:
    answer = await client.ask("GET / HTTP/1.1")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return Reading(answer.body.decode())


@pytest.mark.parametrize(
    "status", [QUIET, WITH_PROBLEMS, Status(at=0.0, instance=QUIET.instance)], ids=["quiet", "with problems", "new"]
)
@pytest_twisted.ensureDeferred
async def test_the_page_shows_every_region(client: Client, stub_daemon: StubDaemon, status: Status) -> None:
    stub_daemon.status = status
    ids = [attributes.get("id") for _, attributes in (await page(client)).elements]
    assert [name for name in ids if name in REGIONS] == list(REGIONS)
    assert len([name for name in ids if name]) == len({name for name in ids if name})


@pytest_twisted.ensureDeferred
async def test_the_page_says_in_a_word_whether_all_is_well_and_else_why_not(
    client: Client, stub_daemon: StubDaemon
) -> None:
    assert "Healthy" in (await page(client)).text
    stub_daemon.status = WITH_PROBLEMS
    text = (await page(client)).text
    assert "Problem" in text
    assert all(problem.text[1:] in text and problem.remedy in text for problem in WITH_PROBLEMS.problems)
    stub_daemon.status = with_problems(WITH_PROBLEMS, WITH_PROBLEMS.problems[1:])
    text = (await page(client)).text
    assert "Warning" in text
    assert "Problem" not in text


PAUSE = replace(WITH_PROBLEMS.problems[1], id="creation-paused", text="creation is paused by an operator")


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (with_problems(QUIET, [PAUSE]), "Paused"),
        (with_problems(QUIET, [PAUSE, WITH_PROBLEMS.problems[1]]), "Warning"),
        (replace(QUIET, instance=replace(QUIET.instance, dry_run=True)), "Dry run"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_people_have_asked_for_is_no_alarm(
    client: Client, stub_daemon: StubDaemon, status: Status, word: str
) -> None:
    stub_daemon.status = status
    body = (await client.ask("GET / HTTP/1.1")).body.decode()
    assert f"<h1>{word}</h1>" in body
    assert not status.problems or '<li class="is-paused">' in body


@pytest_twisted.ensureDeferred
async def test_how_much_time_is_left_is_told_only_while_that_can_be_kept(
    client: Client, stub_daemon: StubDaemon
) -> None:
    async def figures() -> str:
        return " ".join((await page(client)).text.partition("Time left")[2].split())

    assert (await figures()).startswith("None nothing to create")
    waiting = replace(QUIET, ledger=Ledger(done=5, wanted=7), outlook=Outlook(done_at=NOW + 9_000, text=""))
    stub_daemon.status = waiting
    assert (await figures()).startswith("2 hours done 24 Nov 2026, 08:30 UTC")
    listed = Outlook(done_at=None, text="", obstacle="all deals in Pipedrive are listed first")
    stub_daemon.status = replace(waiting, outlook=listed)
    assert (await figures()).startswith("Unknown all deals in Pipedrive are listed first")
    stub_daemon.status = with_problems(replace(waiting, outlook=listed), [PAUSE])
    assert (await figures()).startswith("Unknown see above")


@pytest_twisted.ensureDeferred
async def test_two_weeks_are_shown_to_this_day_by_what_was_written_and_what_became_a_deal(
    client: Client, stub_daemon: StubDaemon
) -> None:
    stub_daemon.status = replace(QUIET, days=[Day(day="2026-11-20", gists=9, deals=3, written=5)])
    body = (await client.ask("GET / HTTP/1.1")).body.decode()
    rows = findall(r'<th scope="row">([-0-9]+)</th><td>(.+)</td><td>(.+)</td>', body)
    assert [row for row in rows if row[1:] != ("0", "0")] == [("2026-11-20", "5", "3")]
    assert (rows[0][0], rows[-1][0], len(rows)) == ("2026-11-24", "2026-11-11", 14)


@pytest_twisted.ensureDeferred
async def test_the_next_deal_is_shown_as_the_template_has_it(client: Client, stub_daemon: StubDaemon) -> None:
    assert "Shown once there is a gist." in (await page(client)).text
    stub_daemon.status = replace(
        QUIET,
        next_deal=NextDeal(
            gist="a1", user="ada", title="Maps <b>", stage="New", fields={"Gist": "https://gist.github.com/a1"}
        ),
    )
    text = " ".join((await page(client)).text.partition("The next deal")[2].split())
    assert text.startswith("As it would look of a1 by ada Maps <b> Stage New Gist https://gist.github.com/a1")


@pytest_twisted.ensureDeferred
async def test_an_instance_that_does_not_scan_says_who_does(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = replace(QUIET, leader=Leader(here=False, name="host-a:17"))
    page = (await client.ask("GET / HTTP/1.1")).body.decode()
    assert "This instance answers visitors; host-a:17 scans and creates." in page
    assert "\npipetest_leader 0.0\n" in (await client.ask("GET /metrics HTTP/1.1")).body.decode()
    stub_daemon.status = replace(QUIET, leader=Leader(here=True, name="host-b:17"))
    assert "host-" not in (await client.ask("GET / HTTP/1.1")).body.decode()
    assert "\npipetest_leader 1.0\n" in (await client.ask("GET /metrics HTTP/1.1")).body.decode()


@pytest.mark.parametrize(
    ("quota", "shown"),
    [
        (Quota(service="Pipedrive", name="writes today", left=0, reset_at=NOW + 3_600), "0 left"),
        (Quota(service="Pipedrive", name="tokens today", used=811), "811 used"),
        (Quota(service="Pipedrive", name="tokens today", limit=24_000, left=21_000), "3,000 of 24,000 used"),
        (Quota(service="Pipedrive", name="tokens today"), "Nothing was asked yet."),
        (Quota(service="Pipedrive", name="requests in 2 s", limit=20, left=13), "Nothing was asked yet."),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_quota_shows_what_is_known_of_it(
    client: Client, stub_daemon: StubDaemon, quota: Quota, shown: str
) -> None:
    stub_daemon.status = replace(QUIET, quotas=[quota])
    text = " ".join((await page(client)).text.split())
    assert shown in text
    assert "?" not in text
    assert ("resets" in text) == (quota.reset_at is not None)


@pytest_twisted.ensureDeferred
async def test_gists_lead_to_their_page_and_to_their_deal(client: Client) -> None:
    hrefs = {attributes.get("href") for tag, attributes in (await page(client)).elements if tag == "a"}
    assert f"https://gist.github.com/{QUIET.latest[0].id}" in hrefs
    assert "https://antonsawesomecompany.pipedrive.com/deal/8120" in hrefs


@pytest_twisted.ensureDeferred
async def test_the_last_audit_is_shown_with_links_to_what_it_names(client: Client, stub_daemon: StubDaemon) -> None:
    assert "No audit yet." in (await page(client)).text
    stub_daemon.status = WITH_PROBLEMS
    shown = await page(client)
    for words in ("11,110 gists compared", "for 330 tokens", "120 gists with the deal no", "and 20 more gists", "502"):
        assert words in shown.text
    hrefs = {attributes.get("href") for tag, attributes in shown.elements if tag == "a"}
    named = [finding for kind in LAST_AUDIT.counts for finding in getattr(LAST_AUDIT, kind)]
    deals = {deal for finding in named for deal in (finding.deal, *finding.others)}
    assert {f"{QUIET.instance.gists_url}{finding.gist}" for finding in named} <= hrefs
    assert {f"{QUIET.instance.deals_url}{deal}" for deal in deals} <= hrefs
    found_nothing = replace(LAST_AUDIT, counts=dict.fromkeys(LAST_AUDIT.counts, 0))
    stub_daemon.status = replace(QUIET, audit=AuditState(last=found_nothing))
    assert "All as it should be" in (await page(client)).text


@pytest_twisted.ensureDeferred
async def test_a_gist_is_shown_by_what_it_says_of_itself(client: Client, stub_daemon: StubDaemon) -> None:
    said = replace(QUIET.latest[0], description="Maps <b>& more")
    stub_daemon.status = replace(QUIET, latest=[said, *QUIET.latest[1:]])
    read = await page(client)
    assert "Maps <b>& more" in read.text
    assert f"{said.id[:7]}…" not in read.text
    assert f"{QUIET.latest[1].id[:7]}…" in read.text


@pytest_twisted.ensureDeferred
async def test_what_others_wrote_is_text_and_nothing_more(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    read = await page(client)
    assert SCRIPT in read.text
    assert [attributes for tag, attributes in read.elements if tag == "script"] == [
        {"src": "static/page.js", "type": "module"}
    ]


@pytest_twisted.ensureDeferred
async def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(
    client: Client, stub_daemon: StubDaemon
) -> None:
    stub_daemon.status = WITH_PROBLEMS
    policy = (await client.ask("GET / HTTP/1.1")).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    for tag, attributes in (await page(client)).elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        loaded = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        assert loaded is None or loaded.startswith("static/")


@pytest_twisted.ensureDeferred
async def test_the_page_stays_short_however_much_there_is_and_links_to_the_rest(
    client: Client, stub_daemon: StubDaemon
) -> None:
    gists = [replace(WITH_PROBLEMS.quarantine[0], id=f"gist{number}") for number in range(60)]
    users = [QueriedUser(name=f"user{number}") for number in range(51)]
    counts = UserCounts(total=51, unread=51)
    latest = [replace(QUIET.latest[0], id=f"new{number}") for number in range(20)]
    stub_daemon.status = replace(WITH_PROBLEMS, quarantine=gists, user_counts=counts, users=users, latest=latest)
    text = (await page(client)).text
    assert "10 more records in /status." in text
    assert "1 more user in /status." in text
    assert "gist49" in text
    assert "gist50" not in text
    assert "new9" in text
    assert "new10" not in text


@pytest.mark.parametrize(
    "gist_id", ["../pause?", "../../pause#", "a/b", "//host/", "\\pause", 'a" data-post="pause', "a\nb"]
)
@pytest_twisted.ensureDeferred
async def test_a_gist_is_retried_by_its_id_and_linked_to_whatever_is_in_that(
    client: Client, stub_daemon: StubDaemon, gist_id: str
) -> None:
    """None is recorded any more with such an id, but a database of 1.0.0 may hold one."""
    quarantined = replace(WITH_PROBLEMS.quarantine[0], id=gist_id)
    latest = replace(QUIET.latest[0], id=gist_id)
    stub_daemon.status = replace(WITH_PROBLEMS, quarantine=[quarantined], latest=[latest])
    elements = (await page(client)).elements
    retries = [path for _, attributes in elements if "retry" in (path := attributes.get("data-post") or "")]
    everything, post = retries
    assert everything == "quarantine/retry"
    assert post.split("/") == ["quarantine", quote(gist_id, safe=""), "retry"]
    links = [attributes["href"] or "" for tag, attributes in elements if tag == "a" and "rel" in attributes]
    assert sum(link.endswith(quote(gist_id, safe="")) for link in links) == 2


@pytest.mark.parametrize("moment", [-62135640000.0, -1e300, 253402300800.0, 1e300])
@pytest_twisted.ensureDeferred
async def test_the_page_shows_gists_of_any_date(client: Client, stub_daemon: StubDaemon, moment: float) -> None:
    stub_daemon.status = replace(QUIET, latest=[replace(QUIET.latest[0], created_at=moment)])
    assert "UTC" in (await page(client)).text


@pytest_twisted.ensureDeferred
async def test_a_static_file_is_sent_again_only_when_it_has_changed(client: Client) -> None:
    first = await client.ask("GET /static/page.css HTTP/1.1")
    assert (first.status, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    client.send(f"GET /static/page.css HTTP/1.1\nIf-None-Match: {first.headers['etag']}")
    assert (await client.answer(bodyless=True)).status == 304


@pytest.mark.parametrize("name", ["nothing", "..%2f__init__.py", "%2e%2e/%2e%2e/tap.py", "page.css%00"])
@pytest_twisted.ensureDeferred
async def test_no_other_file_can_be_had(client: Client, name: str) -> None:
    assert (await client.ask(f"GET /static/{name} HTTP/1.1")).status == 404


@pytest_twisted.ensureDeferred
async def test_a_refused_organization_is_shown_with_its_reason_and_can_be_retried(
    client: Client, stub_daemon: StubDaemon
) -> None:
    refused = Quarantined(id="dora", user="dora", reason="refused (400): no name", since_at=NOW, kind="organization")
    stub_daemon.status = replace(QUIET, quarantine=[replace(refused, next_at=NOW + 86_400)])
    read = await page(client)
    assert "refused 24 Nov 2026, 06:00 UTC, next try 25 Nov 2026, 06:00 UTC" in read.text
    assert "The organization of dora" in read.text
    assert "refused (400): no name" in read.text
    assert "quarantine/dora/retry" in {attributes.get("data-post") for _, attributes in read.elements}


# --- ten thousand users -----------------------------------------------------------------------------------------------

MANY = [
    QueriedUser(name=f"User{number}", gists=number, error="gone" if number == 9_999 else None)
    for number in range(10_000)
]


async def users_of(client: Client, query: str) -> tuple[list[str], Reading]:
    answer = await client.ask(f"GET /?{query} HTTP/1.1")
    shown = answer.body.decode().partition('id="users"')[2].partition("</section>")[0]
    return findall(r'<th scope="row"><a [^>]*>(\w+)', shown), Reading(shown)


@pytest_twisted.ensureDeferred
async def test_all_of_many_users_are_found_sorted_and_paged_by_plain_links(
    client: Client, stub_daemon: StubDaemon
) -> None:
    stub_daemon.all_users = MANY
    stub_daemon.status = replace(QUIET, users=MANY[:500], user_counts=UserCounts(total=10_000))
    found, shown = await users_of(client, "user=uSER77&sort=most+gists")
    assert found[:3] == ["User7799", "User7798", "User7797"]
    assert "111 users, page 1 of 3" in shown.text
    links = [attributes["href"] or "" for name, attributes in shown.elements if name == "a"]
    following = next(link for link in links if "page=2" in link)
    found, shown = await users_of(client, following.partition("?")[2])
    assert found[0] == "User7749"
    assert "page 2 of 3" in shown.text
    assert (await users_of(client, "page=200"))[0][-1] == "User9998"
    assert (await users_of(client, "sort=problems+first&page=2"))[0][0] == "User49"


@pytest_twisted.ensureDeferred
async def test_what_was_chosen_is_marked_so_that_no_update_undoes_it(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = replace(QUIET, user_counts=UserCounts(total=10_000))
    plain = (await client.ask("GET / HTTP/1.1")).body.decode()
    chosen = (await client.ask("GET /?sort=name HTTP/1.1")).body.decode()
    assert ("data-chosen" in plain, "data-chosen" in chosen) == (False, True)


@pytest.mark.parametrize(
    "query", ["user=%3Cscript%3E", "user=%FF", "sort=strange", "page=-1", "page=99999999", "page=%C2%B2"]
)
@pytest_twisted.ensureDeferred
async def test_a_choice_that_makes_no_sense_is_answered(client: Client, query: str) -> None:
    answer = await client.ask(f"GET /?{query} HTTP/1.1")
    assert answer.status == 200
    assert b"<script>" not in answer.body
