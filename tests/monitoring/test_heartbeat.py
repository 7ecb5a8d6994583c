"""The heartbeat tells a dead-man's switch of good scans, and nobody waits for it."""

import pytest
from msgspec import Struct, field
from twisted.internet.defer import Deferred

from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Reply, Request, Secret
from pipetest.monitoring.heartbeat import Heartbeat
from tests.support.in_memory import INTERVAL_S, SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import RunningPipeline

URL = "https://hc.example/ping/secret-part"
TAKEN = Reply(200, {}, b"")


class Switch(Struct):
    """The other end of the heartbeat; it answers when ``reply`` fires."""

    requests: list[Request] = field(default_factory=list)
    reply: "Deferred[Reply]" = field(default_factory=Deferred)

    async def __call__(self, request: Request) -> Reply:
        self.requests.append(request)
        return await self.reply


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def heartbeat(switch: Switch) -> Heartbeat:
    return Heartbeat(switch, Secret(URL))


def test_a_beat_asks_for_the_url_and_waits_for_nothing(heartbeat: Heartbeat, switch: Switch) -> None:
    heartbeat.beat()
    assert switch.requests == [Request("GET", URL, {})]
    switch.reply.callback(TAKEN)


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        (Reply(500, {}, b""), "answered 500"),
        (Reply(301, {}, b""), "answered 301"),
        (Unanswered("the heartbeat", "connection refused"), "connection refused"),
    ],
)
def test_a_beat_that_fails_is_a_problem_until_the_next_that_is_taken(
    heartbeat: Heartbeat, switch: Switch, failed: Reply | Exception, reason: str
) -> None:
    problems = []
    for reply in (failed, failed, TAKEN):
        switch.reply = Deferred()
        heartbeat.beat()
        switch.reply.errback(reply) if isinstance(reply, Exception) else switch.reply.callback(reply)
        problems.append(heartbeat.problem)
    assert problems == [reason, reason, None]


# --- when it beats


def beats(memory: InMemoryPipeline, users: str = "ada") -> int:
    """How often it beats while two scans are made."""
    running = RunningPipeline(memory, {"PIPETEST_HEARTBEAT_URL": URL, "PIPETEST_QUERIED_USERS": users})
    memory.pass_time(INTERVAL_S + SETTLE_S, step=5.0)
    assert running.pipeline.scanner.status().started_at is not None
    return sum(request.url == URL for request in memory.github.requests)


def test_it_beats_after_each_scan_unknown_users_and_quarantined_gists_notwithstanding() -> None:
    memory = InMemoryPipeline()
    memory.write("x" * 256)
    assert beats(memory, "ada,nobody") == 2


def test_it_does_not_beat_after_a_scan_that_failed() -> None:
    memory = InMemoryPipeline()
    memory.fail("500", "GitHub", path="/users", times=10_000)
    assert beats(memory) == 0


def test_it_does_not_beat_while_pipedrive_refuses() -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    memory.world.pipedrive_api.key = "another"
    assert beats(memory) == 0


@pytest.mark.parametrize("outage", ["502", "silent", "refused"])
def test_it_does_not_beat_while_pipedrive_does_not_answer(outage: str) -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    memory.fail(outage, "Pipedrive", times=10_000)
    assert beats(memory) == 1  # after the first scan it was not known yet


def test_it_beats_again_once_pipedrive_answers() -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    memory.fail("502", "Pipedrive", times=5)
    assert beats(memory) == 2


def test_it_beats_while_people_pause_creation_in_an_outage() -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    memory.fail("502", "Pipedrive", times=10_000)
    running = RunningPipeline(memory, {"PIPETEST_HEARTBEAT_URL": URL})
    memory.pass_time(INTERVAL_S - 60.0, step=5.0)
    result_of(running.pipeline.set_paused(True))
    memory.pass_time(2 * SETTLE_S)
    assert sum(request.url == URL for request in memory.github.requests) == 2


def test_it_beats_while_pipedrive_has_us_wait_for_a_quota() -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    memory.world.pipedrive_limits.daily_tokens = 0
    assert beats(memory) == 2
