"""Whatever keeps deals from being made, or gists from being read, is told within two minutes, and its end as well."""

from collections.abc import Mapping

import pytest

from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Done, Reply, Request
from pipetest.pipedrive.client import ME
from pipetest.sandbox.world import KEY
from pipetest.web.metrics import Exposition
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import RunningPipeline

TOLD_S = 120.0
JSON: Mapping[str, str] = {"content-type": "application/json"}
HTML: Mapping[str, str] = {"content-type": "text/html"}

NO_USABLE_ANSWERS = {
    "refused": Unanswered("Pipedrive", "connection refused"),
    "301": Reply(301, {"location": "https://elsewhere.example/"}, b""),
    "302": Reply(302, {"location": "/login"}, b""),
    "404 HTML": Reply(404, HTML, b"<html>no such company</html>"),
    "200 HTML": Reply(200, HTML, b"<html>welcome</html>"),
    "400": Reply(400, JSON, b'{"success": false, "error": "what?"}'),
    "405 HTML": Reply(405, HTML, b"<html>"),
    "410 HTML": Reply(410, HTML, b"<html>"),
    "500": Reply(500, HTML, b"<html>"),
    "503": Reply(503, JSON, b'{"success": false}'),
    "no success": Reply(200, JSON, b'{"success": false, "data": []}'),
    "no data": Reply(200, JSON, b'{"success": true}'),
    "cut short": Reply(200, JSON, b'{"success": true, "data": [{"id": 1'),
    "empty": Reply(200, JSON, b""),
    "null": Reply(200, JSON, b"null"),
    "204": Reply(204, {}, b""),
}


class Answering:
    """An exchange that always ends so."""

    def __init__(self, end: Reply | Exception) -> None:
        self._end = end

    async def __call__(self, request: Request) -> Reply:
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


class Broken(InMemoryPipeline):
    """Pipedrive, or GitHub, always answers so from the start."""

    def __init__(self, service: str, end: Reply | Exception) -> None:
        super().__init__()
        self._service, self._end = service, end

    def wire(self, *, dry_run: bool = False, open_store: bool = True) -> None:
        super().wire(dry_run=dry_run, open_store=open_store)
        getattr(self, self._service).exchange = Answering(self._end)


def running(memory: InMemoryPipeline, users: str = "ada", **environ: str) -> RunningPipeline:
    return RunningPipeline(memory, {"PIPETEST_QUERIED_USERS": users, **environ})


def problems(daemon: RunningPipeline) -> list[tuple[str, str]]:
    return [(problem.severity, problem.id) for problem in daemon.status().problems]


# --- Pipedrive


@pytest.mark.parametrize("end", NO_USABLE_ANSWERS.values(), ids=NO_USABLE_ANSWERS)
def test_a_pipedrive_without_a_usable_answer_is_told_while_gists_wait_and_its_end_too(end: Reply | Exception) -> None:
    memory = InMemoryPipeline(("ada", "ben"))
    memory.write("a")
    daemon = running(memory, "ada,ben")
    memory.pass_time(SETTLE_S + 10.0)
    assert len(memory.deals()) == 1
    works, memory.pipedrive.exchange = memory.pipedrive.exchange, Answering(end)
    memory.pass_time(TOLD_S)
    assert problems(daemon) == []  # nothing waits for it
    memory.write("b", user="ben")
    result_of(daemon.pipeline.scan())
    memory.pass_time(TOLD_S)
    assert problems(daemon) == [("error", "pipedrive-no-answer")]
    status = daemon.status()
    assert status.unready is not None
    assert "Pipedrive gives no usable answer" in status.unready
    assert status.outlook is not None
    assert status.outlook.done_at is None
    told = 'pipetest_problem{id="pipedrive-no-answer",severity="error"} 1.0'
    assert told in Exposition(daemon.status).text().decode()
    memory.pipedrive.exchange = works
    memory.pass_time(600.0)
    assert problems(daemon) == []
    assert len(memory.deals()) == 2


@pytest.mark.parametrize("end", NO_USABLE_ANSWERS.values(), ids=NO_USABLE_ANSWERS)
def test_a_pipedrive_that_cannot_be_used_is_told_within_seconds_though_nothing_waits(end: Reply | Exception) -> None:
    memory = Broken("pipedrive", end)
    daemon = running(memory, PIPETEST_DRY_RUN="true")
    memory.pass_time(10.0)
    assert problems(daemon) == [("error", "pipedrive-no-answer")]


@pytest.mark.parametrize("environ", [{}, {"PIPETEST_DRY_RUN": "true"}])
def test_a_wrong_key_is_told_within_seconds_though_nothing_waits_and_its_end_too(environ: dict[str, str]) -> None:
    memory = InMemoryPipeline()
    memory.world.pipedrive_api.key = "another"
    daemon = running(memory, **environ)
    memory.pass_time(2.0)
    assert problems(daemon) == [("error", "creation-refused")]
    assert "PIPETEST_PIEPEDRIVE_API_KEY" in daemon.status().troubles[0]
    memory.world.pipedrive_api.key = KEY
    memory.pass_time(TOLD_S)
    assert problems(daemon) == []


@pytest.mark.parametrize(
    ("end", "problem"),
    [(NO_USABLE_ANSWERS["500"], "pipedrive-no-answer"), (Reply(401, JSON, b"{}"), "creation-refused")],
)
def test_what_keeps_an_organization_from_being_made_is_told_though_no_gist_waits(end: Reply, problem: str) -> None:
    memory = InMemoryPipeline(("ada",))
    daemon = running(memory, "ada,ben")
    memory.pass_time(SETTLE_S + 10.0)
    memory.pipedrive.exchange = Answering(end)
    memory.world.accounts.open("ben")
    result_of(daemon.pipeline.scan())
    memory.pass_time(TOLD_S)
    assert ("error", problem) in problems(daemon)


def test_a_good_key_is_asked_for_once_and_costs_two_tokens() -> None:
    memory = InMemoryPipeline()
    daemon = running(memory)
    memory.pass_time(SETTLE_S - 10.0)
    assert [request.url for request in memory.pipedrive.requests] == ["https://antonsawesomecompany.pipedrive.com" + ME]
    assert memory.world.pipedrive_limits.tokens_used == 2
    assert [usage.used for usage in daemon.pipeline.pipedrive_limiter.usage() if usage.name == "tokens today"] == [2]


@pytest.mark.parametrize("status", [404, 405, 410])
def test_an_api_without_that_question_has_shown_that_it_takes_the_key(status: int) -> None:
    memory = Broken("pipedrive", Reply(status, JSON, b'{"success": false, "error": "Not found"}'))
    daemon = running(memory)
    memory.pass_time(SETTLE_S - 10.0)
    assert problems(daemon) == []
    assert len(memory.pipedrive.requests) == 1


def test_while_the_quota_is_used_up_the_question_is_not_asked() -> None:
    memory = InMemoryPipeline()
    daemon = running(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="1")
    memory.pass_time(TOLD_S)
    assert memory.pipedrive.requests == []
    assert [kind for severity, kind in problems(daemon) if severity == "error"] == []


def test_when_nothing_waits_any_more_nothing_is_refused() -> None:
    memory = InMemoryPipeline()
    memory.world.crm.open_deals = 0
    memory.write("a")
    daemon = running(memory)
    memory.pass_time(SETTLE_S + 10.0)
    assert problems(daemon) == [("error", "deals-refused")]
    task = daemon.pipeline.outbox.tasks.deal("a")
    assert task is not None
    daemon.pipeline.outbox.tasks.set_state(task, Done(1))  # as if people had brought it in
    assert problems(daemon) == []
    assert daemon.status().creation.refusal is None


def test_a_pause_is_a_warning_whatever_is_wrong_beside_it() -> None:
    memory = InMemoryPipeline()
    memory.world.pipedrive_api.key = "another"
    memory.write("a")
    daemon = running(memory)
    memory.pass_time(SETTLE_S + 10.0)
    result_of(daemon.pipeline.set_paused(True))
    assert problems(daemon) == [("warning", "creation-paused")]


# --- GitHub


@pytest.mark.parametrize("end", [end for name, end in NO_USABLE_ANSWERS.items() if name not in ("404 HTML",)])
@pytest.mark.parametrize("users", ["ada", "ada,ben,cid,dot,eve"])
def test_a_github_without_a_usable_answer_is_told_whatever_the_interval(end: Reply | Exception, users: str) -> None:
    memory = Broken("github", end)
    daemon = running(memory, users, PIPETEST_QUERYING_INTERVAL="1440")
    memory.pass_time(TOLD_S)
    assert problems(daemon)[0] == ("error", "github-no-answer")
    assert daemon.status().unready is not None


@pytest.mark.parametrize("fault", ["500", "502", "503"])
def test_one_user_among_several_that_cannot_be_read_is_a_warning(fault: str) -> None:
    memory = InMemoryPipeline(("ada", "ben", "cid"))
    memory.fail(fault, "GitHub", path="/users/ben", times=10_000)
    daemon = running(memory, "ada,ben,cid")
    memory.pass_time(TOLD_S)
    assert problems(daemon) == [("warning", "users-not-read")]
    assert daemon.status().troubles == (f"1 of 3 users cannot be read: ben (GitHub: answered {fault})",)


def test_a_wrong_github_token_is_an_error_at_once() -> None:
    memory = InMemoryPipeline()
    daemon = running(memory, PIPETEST_GITHUB_TOKEN="wrong")
    memory.pass_time(1.0)
    assert problems(daemon)[0] == ("error", "github-refuses")


@pytest.mark.parametrize("service", ["pipedrive", "github"])
def test_a_limit_that_refuses_each_request_is_a_warning_however_short_the_waits_that_it_asks_for(service: str) -> None:
    memory = InMemoryPipeline()
    daemon = running(memory)
    memory.pass_time(SETTLE_S + 10.0)
    exchange = getattr(memory, service)
    works, exchange.exchange = exchange.exchange, Answering(Reply(429, {**JSON, "retry-after": "2"}, b"{}"))
    memory.write("a")
    result_of(daemon.pipeline.scan())
    memory.pass_time(TOLD_S + 60.0)
    assert problems(daemon) == [("warning", f"{service}-limit")]
    outlook = daemon.status().outlook
    assert outlook is None or outlook.done_at is None
    exchange.exchange = works
    memory.pass_time(600.0)
    assert (problems(daemon), len(memory.deals())) == ([], 1)


@pytest.mark.parametrize("users", [["ada"], ["ada", "ben", "cy"]], ids=len)
def test_a_used_up_limit_of_github_is_a_warning_however_many_requests_wait_for_its_end(users: list[str]) -> None:
    memory = InMemoryPipeline(users)
    memory.world.github.latency = 0.5  # so that the others wait behind the first request
    memory.world.github_limits.without_token = 0
    daemon = running(memory, ",".join(users))
    memory.pass_time(TOLD_S)
    assert problems(daemon) == [("warning", "github-limit")]


def test_ten_unknown_users_among_many_are_one_warning_with_the_right_number() -> None:
    memory = InMemoryPipeline()
    memory.world.github_limits.without_token = 10_000
    well, unknown = [f"user-{number}" for number in range(490)], [f"nobody-{number}" for number in range(10)]
    for name in well:
        memory.world.accounts.open(name)
    daemon = running(memory, ",".join([*well, *unknown]))
    memory.pass_time(TOLD_S)
    assert daemon.status().troubles == (
        "10 of 500 users cannot be read: nobody-0, nobody-1, nobody-2 and 7 more (GitHub knows no such user)",
    )
    assert daemon.status().unready is None


def test_that_github_knows_nobody_is_an_error() -> None:
    daemon = running(InMemoryPipeline(), "nobody,nobody-else")
    daemon.memory.pass_time(1.0)
    assert ("error", "users-unknown") in problems(daemon)


# --- the database, and the forecast


def test_a_full_disk_makes_it_unready_as_well() -> None:
    memory = InMemoryPipeline()
    daemon = running(memory)
    memory.disk.capacity = 0
    memory.write("a")
    result_of(daemon.pipeline.scan())
    memory.pass_time(2.0)
    assert memory.store.problem is not None
    assert memory.store.problem in (daemon.status().unready or "")
    memory.disk.capacity = None
    memory.pass_time(60.0)
    assert daemon.status().unready is None


def test_the_forecast_has_the_settle_time_of_a_new_database_in_it() -> None:
    memory = InMemoryPipeline()
    memory.write("a")
    daemon = running(memory)
    outlook = daemon.status().outlook
    assert outlook is not None
    assert outlook.done_at is not None
    assert SETTLE_S <= outlook.done_at - memory.clock.seconds() < SETTLE_S + 5.0


def test_nothing_is_promised_while_pipedrive_has_not_answered() -> None:
    memory = Broken("pipedrive", Unanswered("Pipedrive", "connection refused"))
    memory.write("a")
    daemon = running(memory)
    outlook = daemon.status().outlook
    assert outlook is not None
    assert outlook.done_at is None
    assert outlook.text.endswith("Pipedrive gives no usable answer yet")
