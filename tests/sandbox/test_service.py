"""What may go wrong with a call: whether it is carried out, what the client gets, and when."""

from random import Random

import pytest
from msgspec import json
from twisted.internet.task import Clock

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import LostReply, PlannedReply
from pipetest.sandbox.faults import FAULTS, Fault, FaultRules, Rule
from pipetest.sandbox.world import KEY, World
from tests.openapi import check

CREATE = Request(
    "POST",
    "https://test.pipedrive.com/api/v2/deals",
    {"x-api-token": KEY, "content-type": "application/json"},
    b'{"title":"a"}',
)


def reply_with(world: World, fault: str) -> PlannedReply:
    world.faults.add(Rule(FAULTS[fault], times=1))
    return world.pipedrive.handle(CREATE)


@pytest.mark.parametrize("service", ["graphql", "api/v2/deals"])
@pytest.mark.parametrize("body", [b'"\xed\xa0\x80"', b'"\\ud800"', b"\xff", b"[" * 100_000, b""])
def test_a_body_that_is_no_json_is_refused(world: World, service: str, body: bytes) -> None:
    world.github_api.tokens["t"] = "ada"
    headers = {**CREATE.headers, "user-agent": "x", "authorization": "bearer t"}
    request = Request("POST", f"https://test/{service}", headers, b'{"title": %b, "query": %b}' % (body, body))
    ending = (world.github if service == "graphql" else world.pipedrive).handle(request).ending
    assert isinstance(ending, Reply)
    assert ending.status == 400


@pytest.mark.parametrize("number", ["9" * 5_000, "\u00b2"])
def test_numbers_that_are_none_are_answered(world: World, number: str) -> None:
    world.accounts.open("ada")
    headers = {**CREATE.headers, "user-agent": "x"}
    endings = []
    for path in ("users/ada/gists?page={}", "user/{}/gists", "users/ada/gists?per_page={}"):
        endings.append(world.github.handle(Request("GET", f"https://test/{path.format(number)}", headers, None)).ending)
    for path in ("deals/{}", "deals?ids={}", "deals?org_id={}", "deals?cursor={}"):
        request = Request("GET", f"https://test/api/v2/{path.format(number)}", headers, None)
        endings.append(world.pipedrive.handle(request).ending)
    assert [ending.status for ending in endings if isinstance(ending, Reply)] == [200, 404, 200, 404, 400, 400, 400]


@pytest.mark.parametrize("number", ["9" * 5_000, "\u00b2"])
def test_a_node_id_that_is_none_is_not_found(world: World, number: str) -> None:
    world.github_api.tokens["t"] = "ada"
    headers = {**CREATE.headers, "user-agent": "x", "authorization": "bearer t"}
    gists = "gists(first: 1, privacy: PUBLIC, orderBy: {field: CREATED_AT, direction: DESC})"
    body = json.encode({"query": f"{{ nodes(ids: $ids) {{ {gists} }} }}", "variables": {"ids": [f"U_{number}"]}})
    ending = world.github.handle(Request("POST", "https://test/graphql", headers, body)).ending
    assert isinstance(ending, Reply)
    assert json.decode(ending.body)["data"] == {"nodes": [None]}


def deals(world: World) -> int:
    return len(world.state()["deals"])


@pytest.mark.parametrize("fault", ["refused", "reset", "silent"])
def test_a_call_may_be_lost_before_it_is_carried_out(world: World, fault: str) -> None:
    assert reply_with(world, fault).ending == LostReply(fault)  # type: ignore[arg-type] # named alike
    assert deals(world) == 0


@pytest.mark.parametrize("fault", ["400", "402", "403", "403-html", "500", "502", "503"])
def test_a_call_may_be_refused_or_fail_before_it_is_carried_out(world: World, fault: str) -> None:
    ending = reply_with(world, fault).ending
    assert isinstance(ending, Reply)
    assert str(ending.status) == fault[:3]
    check(CREATE, ending)
    assert deals(world) == 0


@pytest.mark.parametrize("how", ["reset", "torn", "silent", "stalled"])
def test_the_reply_may_be_lost_after_the_call_was_carried_out(world: World, how: str) -> None:
    assert reply_with(world, f"applied-{how}").ending == LostReply(how)  # type: ignore[arg-type]
    assert deals(world) == 1


@pytest.mark.parametrize(("status", "kind"), [(500, "application/json"), (502, "text/html")])
def test_an_error_may_be_replied_after_the_call_was_carried_out(world: World, status: int, kind: str) -> None:
    ending = reply_with(world, f"applied-{status}").ending
    assert isinstance(ending, Reply)
    assert (ending.status, ending.headers["content-type"].partition(";")[0]) == (status, kind)
    check(CREATE, ending)
    assert deals(world) == 1


def test_a_reply_of_success_may_be_unreadable(world: World) -> None:
    ending = reply_with(world, "applied-cut").ending
    assert isinstance(ending, Reply)
    assert ending.status == 200
    with pytest.raises(AssertionError, match="deserialize"):
        check(CREATE, ending)
    assert deals(world) == 1


@pytest.mark.parametrize("fault", ["late-reset", "late-silent", "late-504"])
def test_a_call_may_be_carried_out_after_its_reply_was_lost(world: World, clock: Clock, fault: str) -> None:
    ending = reply_with(world, fault).ending
    assert isinstance(ending, LostReply) or ending.status == 504
    clock.advance(19)
    assert deals(world) == 0
    clock.advance(11)
    assert deals(world) == 1


def test_the_next_call_finds_what_was_carried_out_late(world: World, clock: Clock) -> None:
    reply_with(world, "late-reset")
    clock.advance(20)
    ending = world.pipedrive.handle(Request("GET", CREATE.url, CREATE.headers)).ending
    assert isinstance(ending, Reply)
    assert b'"title":"a"' in ending.body


def test_what_is_carried_out_late_counts_from_its_own_time(world: World, clock: Clock) -> None:
    world.crm.list_lag = 10
    reply_with(world, "late-reset")
    clock.advance(30)
    world.apply_late_calls()
    assert world.crm.deals[1].readable_at == clock.seconds()


def test_a_create_may_answer_201(world: World) -> None:
    ending = reply_with(world, "201").ending
    assert isinstance(ending, Reply)
    assert ending.status == 201
    check(CREATE, ending)


def test_an_answer_may_be_slow_or_held_on_top_of_the_latency(world: World) -> None:
    world.pipedrive.latency = 0.5
    assert reply_with(world, "slow").delay == 5.5
    assert reply_with(world, "held").held
    assert world.pipedrive.handle(CREATE).delay == 0.5
    assert deals(world) == 3


# --- which call meets which fault -------------------------------------------------------------------------------------

RESET = FAULTS["reset"]


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (Rule(RESET), True),
        (Rule(RESET, service="Pipedrive", method="POST", path="/api/v2/deals"), True),
        (Rule(RESET, service="GitHub"), False),
        (Rule(RESET, method="GET"), False),
        (Rule(RESET, path="/api/v2/organizations"), False),
        (Rule(RESET, chance=0.0), False),
    ],
)
def test_a_rule_matches_service_method_and_path(rule: Rule, matches: bool) -> None:
    faults = FaultRules(Random(1), [rule])
    assert faults("Pipedrive", CREATE) == (RESET if matches else None)


def test_a_rule_is_used_up_after_so_many_times() -> None:
    faults = FaultRules(Random(1), [Rule(RESET, times=2), Rule(FAULTS["slow"])])
    assert [fault and fault.name for fault in (faults("GitHub", CREATE) for _ in range(3))] == [
        "reset",
        "reset",
        "slow",
    ]


def test_the_same_seed_brings_the_same_faults() -> None:
    def course(seed: int) -> list[Fault | None]:
        faults = FaultRules(Random(seed), [Rule(RESET, chance=0.5)])
        return [faults("GitHub", CREATE) for _ in range(50)]

    assert course(1) == course(1)
    assert course(1) != course(2)
    assert 10 < course(1).count(RESET) < 40


def test_calls_statuses_and_faults_are_counted(world: World) -> None:
    for fault in ("reset", "applied-502"):
        reply_with(world, fault)
    world.pipedrive.handle(CREATE)
    state = world.state()
    assert state["calls"]["Pipedrive"] == {"POST /api/v2/deals": 3}
    assert state["statuses"]["Pipedrive"] == {"reset": 1, "502": 1, "200": 1}
    assert state["faults"]["Pipedrive"] == {"reset": 1, "applied-502": 1}
    assert [deal["title"] for deal in state["deals"]] == ["a", "a"]
