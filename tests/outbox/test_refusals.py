"""What Pipedrive refuses: for good, or because of the account."""

from itertools import cycle

import pytest
from twisted.internet.task import deferLater

from pipetest.domain.model import Gist, PassResult, Reply, Request, User
from pipetest.outbox.retries import MAX_RETRYING
from pipetest.outbox.status import OutboxStatus
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of

DEALS = "/api/v2/deals"
ORGANIZATIONS = "/api/v2/organizations"

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def of(memory: InMemoryPipeline) -> OutboxStatus:
    return memory.outbox.status


def record(memory: InMemoryPipeline, user: str, *gists: str, created: float = 0.0) -> None:
    """As when a pass has just found them all, the first one written ``created`` seconds from now."""
    now = memory.clock.seconds()
    found = [Gist(gist, now + created + number) for number, gist in enumerate(gists)]
    memory.outbox.enqueue(User(user), result_of(memory.store.add_gists(PassResult(user, None, None, found))))


def deals_of(memory: InMemoryPipeline, user: str) -> str:
    """What is in the body of each create of a deal of this user's."""
    return f'"org_id":{memory.organizations().index(user) + 1}'


def titles(memory: InMemoryPipeline) -> list[str]:
    return sorted(title for title, _ in memory.deals())


@pytest.fixture
def three(memory: InMemoryPipeline) -> InMemoryPipeline:
    """Three users, whose organizations are there."""
    memory.users = ("ada", "bob", "chiyo")
    for user in memory.users[1:]:
        memory.world.accounts.open(user)
    memory.start()
    memory.settle()
    return memory


def test_a_refused_key_pauses_creation_does_not_hammer_and_heals(memory: InMemoryPipeline) -> None:
    memory.write("a", "b", "c")
    memory.start()
    memory.world.pipedrive_api.key = "another"
    memory.pass_time(SETTLE_S + 3600.0)
    assert len(memory.pipedrive.requests) < 25
    assert memory.outbox.breaker.refusal is not None
    memory.world.pipedrive_api.key = "sandbox-key"
    memory.pass_time(600.0)
    assert len(memory.deals()) == 3
    assert memory.outbox.breaker.refusal is None


def test_at_the_ceiling_of_deals_one_gist_probes_and_all_become_deals_once_it_is_lifted(
    memory: InMemoryPipeline,
) -> None:
    memory.world.crm.open_deals = 1
    memory.write("a", "b", "c")
    memory.start()
    memory.pass_time(DAY_S, step=60.0)
    assert len(memory.deals()) == 1
    memory.world.crm.open_deals = None
    memory.pass_time(2 * 3600.0, step=10.0)
    assert sorted(title for title, _ in memory.deals()) == ["a", "b", "c"]


def test_a_capped_gist_that_people_imported_from_the_waiting_list_is_not_posted_again(memory: InMemoryPipeline) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.settle()
    memory.world.crm.open_deals = None
    waiting = {new.title: new for new in memory.world.crm.waiting_list}
    memory.world.crm.waiting_list = list(waiting.values())
    memory.world.crm.import_waiting_list()
    memory.pass_time(2 * 3600.0, step=10.0)
    assert memory.deals() == [("a", 1)]


def test_a_capped_gist_imported_while_the_disk_was_full_is_not_posted_again(memory: InMemoryPipeline) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.disk.capacity = 0
    memory.pass_time(600.0)  # it was searched for, and "sent" cannot be stored
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.pass_time(600.0)
    memory.disk.capacity = None
    memory.pass_time(600.0)
    assert memory.deals() == [("a", 1)]


@pytest.mark.parametrize("refusal", ["402", "400"])
def test_a_capped_gist_is_searched_for_again_whatever_refused_it_since(memory: InMemoryPipeline, refusal: str) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.fail(refusal, "Pipedrive", method="POST", path="/api/v2/deals")
    before = memory.posts()
    memory.pass_time_until(lambda: memory.posts() > before)
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.pass_time(DAY_S + 3600.0, step=10.0)
    assert memory.deals() == [("a", 1)]


def test_a_capped_gist_in_quarantine_is_searched_for_in_its_organization_though_that_is_deleted(
    memory: InMemoryPipeline,
) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.fail("400", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.pass_time_until(lambda: bool(memory.outbox.tasks.quarantined))
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.world.crm.delete_organization(1)
    memory.write("b")
    memory.pass_time(2 * DAY_S, step=10.0)
    assert memory.deals() == [("a", 1), ("b", 2)]


def test_a_probe_that_cannot_be_searched_for_holds_nobody_up(memory: InMemoryPipeline) -> None:
    memory.world.accounts.open("bob")
    memory.users = ("ada", "bob")
    memory.start()
    memory.settle()
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.pass_time_until(lambda: memory.outbox.breaker.kinds["deal"].probe == "gist a", longest=4000.0)
    memory.world.crm.open_deals = None
    memory.fail("500", "Pipedrive", method="GET", path="/api/v2/deals", times=1_000_000)
    memory.write("b", user="bob")
    memory.pass_time(DAY_S, step=10.0)
    assert memory.deals() == [("b", memory.organizations().index("bob") + 1)]


def test_a_quarantined_gist_holds_nobody_up_and_is_tried_again_once_a_day(memory: InMemoryPipeline) -> None:
    memory.write("x" * 256, "good")
    memory.start()
    memory.settle()
    assert memory.deals() == [("good", 1)]
    tried = memory.posts()
    memory.pass_time(DAY_S - 700.0, step=60.0)
    assert memory.posts() == tried
    memory.pass_time(800.0)
    assert memory.posts() == tried + 1


def test_a_quarantined_gist_can_be_tried_again_at_once(memory: InMemoryPipeline) -> None:
    memory.write("x" * 256)
    memory.start()
    memory.settle()
    tried = memory.posts()
    assert memory.outbox.retry("x" * 256)
    memory.pass_time(1.0)
    assert memory.posts() == tried + 1
    assert not memory.outbox.retry("unheard of")


@pytest.mark.parametrize(("times", "told"), [(2, {}), (6, {"ada": "answered 502"})])
def test_a_search_that_fails_again_and_again_for_one_user_is_told_while_it_does(
    three: InMemoryPipeline, times: int, told: dict[str, str]
) -> None:
    three.fail("applied-reset", "Pipedrive", method="POST", path=DEALS)
    record(three, "ada", "a")
    three.pass_time(SETTLE_S / 2)
    three.fail("502", "Pipedrive", method="GET", path=DEALS, times=times)
    three.pass_time(SETTLE_S / 2 + 25.0)
    assert of(three).unsearched() == told
    record(three, "bob", "b")
    three.pass_time(1800.0)
    assert of(three).unsearched() == {}
    assert titles(three) == ["a", "b"]


@pytest.mark.parametrize("status", [200, 403, 500])
def test_a_user_of_whose_organizations_none_can_be_chosen_holds_nobody_up_and_is_told(
    memory: InMemoryPipeline, status: int
) -> None:
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    for name in ("ada", "Ada", "bob", "Bob"):
        memory.add_organization(name)
    memory.write("a")
    memory.write("b", user="bob")
    memory.wire()
    sandbox = memory.pipedrive.exchange

    async def exchange(request: Request) -> Reply:
        """Of the deals in the first organization, nothing can be read."""
        return Reply(status, {}, b"{}") if "org_id=1&" in request.url else await sandbox(request)

    memory.pipedrive.exchange = exchange
    result_of(memory.outbox.start())
    memory.scanner.start()
    memory.pass_time(HOUR_S, step=10.0)
    assert memory.deals() == [("b", 3)]
    assert list(of(memory).unsearched()) == ["ada"]
    memory.pipedrive.requests.clear()
    memory.pass_time(HOUR_S, step=10.0)
    assert memory.searches() <= 12 * 5
    memory.pipedrive.exchange = sandbox
    memory.pass_time(HOUR_S, step=10.0)
    assert (memory.deals(), of(memory).unsearched()) == ([("b", 3), ("a", 1)], {})


# --- 403: one kind of record, in one organization or at all -----------------------------------------------------------


def test_a_403_in_one_organization_only_holds_nobody_else_up(three: InMemoryPipeline) -> None:
    three.refuse("403", DEALS, deals_of(three, "ada"))
    record(three, "ada", "a", "b", created=100.0)
    record(three, "bob", "c")
    record(three, "chiyo", "d")
    three.pass_time(30.0)
    assert titles(three) == ["c", "d"]
    three.world.pipedrive.latency = 2.0
    record(three, "bob", "e")
    three.pass_time(1.0)
    assert (of(three).refusals(), of(three).put_off()) == ({}, {"ada": "not allowed (403): Permission denied"})
    three.pass_time(4.0)
    assert titles(three) == ["c", "d", "e"]
    three.world.faults.clear()
    three.pass_time(310.0)
    assert titles(three) == ["a", "b", "c", "d", "e"]
    assert of(three).put_off() == {}


def test_a_403_that_only_one_organization_waits_with_is_a_refusal_until_another_waits(three: InMemoryPipeline) -> None:
    three.refuse("403", DEALS, deals_of(three, "ada"))
    record(three, "ada", "a")
    three.pass_time(HOUR_S)
    assert of(three).refusals() == {"deal": "not allowed (403): Permission denied"}
    record(three, "bob", "b")
    three.pass_time(2.0)
    assert titles(three) == ["b"]
    assert of(three).refusals() == {}


def test_a_403_for_all_deals_is_probed_in_one_organization_after_the_other(three: InMemoryPipeline) -> None:
    three.refuse("403", DEALS)
    for user in three.users:
        record(three, user, f"{user}-1", f"{user}-2", created=100.0 if user == "ada" else 0.0)
    three.pass_time(SETTLE_S)
    assert list(of(three).refusals()) == ["deal"]
    three.pipedrive.requests.clear()
    three.pass_time(HOUR_S)
    bodies = [(request.body or b"").decode() for request in three.pipedrive.requests]
    assert 10 <= len(bodies) <= 16
    probed = [next(number for number in "123" if f'"org_id":{number}' in body) for body in bodies]
    assert all({*probed[start : start + 3]} == {"1", "2", "3"} for start in range(0, 9, 3))
    three.world.faults.clear()
    three.pass_time(310.0)
    assert len(titles(three)) == 6
    assert of(three).refusals() == {}


def test_while_deals_are_refused_organizations_are_created(three: InMemoryPipeline) -> None:
    three.refuse("403", DEALS)
    record(three, "ada", "a")
    record(three, "bob", "b")
    three.pass_time(5.0)
    record(three, "dora", "d")
    three.pass_time(5.0)
    assert three.organizations()[-1] == "dora"


def test_while_organizations_are_refused_deals_are_created_in_those_that_are_known(three: InMemoryPipeline) -> None:
    three.refuse("403", ORGANIZATIONS)
    record(three, "dora", "d")
    record(three, "emeka", "e")
    three.pass_time(5.0)
    assert list(of(three).refusals()) == ["organization"]
    record(three, "ada", "a")
    three.pass_time(5.0)
    assert titles(three) == ["a"]
    three.world.faults.clear()
    three.pass_time(60.0)
    assert titles(three) == ["a", "d", "e"]
    assert of(three).refusals() == {}


def test_an_organization_that_people_make_by_hand_is_found_while_we_may_make_none(three: InMemoryPipeline) -> None:
    three.refuse("403", ORGANIZATIONS)
    record(three, "dora", "d")
    record(three, "emeka", "e")
    three.pass_time(5.0)
    three.add_organization("dora")
    three.pass_time(HOUR_S)
    assert titles(three) == ["d"]


def test_where_nothing_waits_any_more_nothing_is_refused(memory: InMemoryPipeline) -> None:
    """People brought the capped gist in by themselves."""
    memory.start()
    memory.settle()
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    assert list(of(memory).refusals()) == ["deal"]
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.pass_time(2 * HOUR_S)
    assert memory.deals() == [("a", 1)]
    assert of(memory).refusals() == {}
    memory.write("b")
    memory.pass_time(1900.0)
    assert titles(memory) == ["a", "b"]


def test_a_cap_is_over_once_its_probe_is_found_in_pipedrive(three: InMemoryPipeline) -> None:
    three.world.crm.open_deals = 0
    record(three, "ada", "a")
    three.pass_time(2.0)
    record(three, "bob", "b")
    three.pass_time(2.0)
    assert [new.title for new in three.world.crm.waiting_list] == ["a"]
    three.world.crm.open_deals = 2
    three.world.crm.import_waiting_list()
    three.pass_time(15.0)
    assert titles(three) == ["a", "b"]


# --- refused for good -------------------------------------------------------------------------------------------------


def test_many_refused_gists_of_one_user_do_not_hold_up_the_older_ones_of_another(three: InMemoryPipeline) -> None:
    three.refuse("400", DEALS, deals_of(three, "ada"))
    record(three, "bob", "old", "older", created=-HOUR_S)
    record(three, "ada", *map(str, range(150)))
    three.pass_time(60.0)
    assert titles(three) == ["old", "older"]
    assert three.outbox.breaker.closed
    three.pass_time(HOUR_S)
    record(three, "bob", "new")
    three.pass_time(5.0)
    assert titles(three) == ["new", "old", "older"]


@pytest.mark.parametrize("gists", [3, 40])
def test_what_was_refused_for_everybody_for_an_hour_goes_on_by_itself_soon_after(
    three: InMemoryPipeline, gists: int
) -> None:
    three.refuse("400", DEALS)
    for user in three.users:
        record(three, user, *(f"{user}-{number}" for number in range(gists)))
    three.pass_time(HOUR_S)
    assert titles(three) == []
    three.world.faults.clear()
    three.pass_time(330.0)
    assert len(titles(three)) == 3 * gists


def test_of_what_was_refused_alike_the_others_are_tried_one_by_one_until_one_is_refused(
    memory: InMemoryPipeline,
) -> None:
    memory.start()
    memory.settle()
    memory.refuse("400", DEALS, '"title":"b')
    record(memory, "ada", "b1", "b2")
    memory.pass_time(5.0)
    memory.world.faults.clear()
    memory.refuse("400", DEALS, '"title":"b1')
    record(memory, "ada", "x" * 256)  # refused, too, with the same code
    memory.pass_time(5.0)
    memory.pipedrive.requests.clear()
    assert memory.outbox.retry("b2")
    memory.pass_time(5.0)
    assert titles(memory) == ["b2"]
    assert memory.posts() == 2


def test_a_refused_organization_is_in_quarantine_and_is_tried_again_once_a_day_or_by_hand(
    three: InMemoryPipeline,
) -> None:
    three.refuse("400", ORGANIZATIONS, '"name":"dora"')
    record(three, "dora", "d", "e")
    three.pass_time(5.0)
    (refused,) = of(three).quarantine()
    assert (refused.kind, refused.id, refused.user, refused.status) == ("organization", "dora", "dora", 400)
    assert refused.next_at == refused.since_at + DAY_S
    assert of(three).to_create() == (0, 0)
    posts = three.posts()
    three.pass_time(DAY_S - HOUR_S, step=60.0)
    assert three.posts() == posts
    three.pass_time(HOUR_S + 60.0, step=10.0)
    assert three.posts() == posts + 1
    three.kill()
    three.start()
    three.pass_time(SETTLE_S)
    three.world.faults.clear()
    assert not three.outbox.retry("nobody")
    assert three.outbox.retry("Dora")
    three.pass_time(10.0)
    assert titles(three) == ["d", "e"]


def test_everything_in_quarantine_is_tried_again_a_few_at_a_time(three: InMemoryPipeline) -> None:
    three.refuse("400", ORGANIZATIONS, '"name":"dora"')
    three.refuse("400", DEALS, deals_of(three, "ada"))
    record(three, "ada", *(f"a{number}" for number in range(12)))
    record(three, "dora", "d")
    three.pass_time(HOUR_S)
    assert len(of(three).quarantine()) == 13
    three.world.faults.clear()
    three.world.pipedrive.latency = 5.0
    three.pipedrive.requests.clear()
    three.outbox.retry_all()
    three.pass_time(4.0)
    assert three.posts() + three.searches() <= MAX_RETRYING
    assert any(ORGANIZATIONS in request.url for request in three.pipedrive.requests)  # gists wait for it
    three.pass_time(120.0)
    assert len(titles(three)) == 13
    assert of(three).quarantine() == []


def test_what_is_refused_again_holds_nobody_up_while_everything_in_quarantine_is_tried(three: InMemoryPipeline) -> None:
    three.refuse("400", DEALS, '"title":"x')
    for user in three.users:
        record(three, user, *(f"x-{user}-{number}" for number in range(10)))
    three.pass_time(12 * HOUR_S, step=5.0)
    three.pipedrive.requests.clear()
    three.pass_time(HOUR_S, step=5.0)
    assert three.posts() == 0
    record(three, "ada", "good")
    three.pass_time(5.0)
    assert titles(three) == ["good"]
    three.pipedrive.requests.clear()
    three.outbox.retry_all()
    record(three, "bob", "also good")
    three.pass_time(30.0)
    assert titles(three) == ["also good", "good"]
    assert three.posts() == 31
    assert three.outbox.breaker.closed


def test_of_what_is_tried_again_and_refused_again_no_more_than_a_few_are_under_way(three: InMemoryPipeline) -> None:
    three.refuse("400", DEALS, '"title":"x')
    for user in three.users:
        record(three, user, *(f"x-{user}-{number}" for number in range(10)))
    three.pass_time(12 * HOUR_S, step=5.0)
    record(three, "ada", "good")
    three.pass_time(5.0)
    sandbox, seconds, under_way, most = three.pipedrive.exchange, cycle((2.0, 7.0, 3.0, 8.0)), 0, 0

    async def slow(request: Request) -> Reply:
        nonlocal under_way, most
        if request.method == "POST":
            under_way += 1
            most = max(most, under_way)
            await deferLater(three.clock, next(seconds))
            under_way -= 1
        return await sandbox(request)

    three.pipedrive.exchange = slow
    three.outbox.retry_all()
    three.pass_time(60.0)
    assert most == MAX_RETRYING


# --- whose turn it is -------------------------------------------------------------------------------------------------


def test_of_four_creates_three_are_of_the_newest_gist_and_one_of_the_organization_served_longest_ago(
    three: InMemoryPipeline,
) -> None:
    three.create_ready = float("inf")
    record(three, "bob", "bob-1", created=-200.0)
    record(three, "chiyo", "chiyo-1", "chiyo-2", created=-100.0)
    record(three, "ada", *(f"ada-{number}" for number in range(9)))
    three.create_ready = 0.0
    three.outbox.enqueue(User("ada"), [])
    three.pass_time(5.0)
    order = [title for title, _ in three.deals()]
    assert [title.partition("-")[0] for title in order[:8]].count("ada") == 6
    assert {"bob-1", "chiyo-2"} <= {*order[:8]}
