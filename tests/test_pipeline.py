"""The parts of a pipeline together: limits, history and what people see of them."""

from pathlib import Path

import pytest

from pipetest.config.deals import template
from pipetest.domain.model import Gist, PassResult, Secret, Wanted
from pipetest.domain.status import UserCounts
from pipetest.monitoring.history import LATEST
from pipetest.pipedrive.daily_budget import DAY_S
from pipetest.ratelimit.persistence import SAVE_EVERY_S
from pipetest.sandbox.world import KEY
from pipetest.scanner.queried_users import MOST_USERS
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import RunningPipeline

MANY = ",".join(f"nobody-{number}" for number in range(55))


@pytest.fixture
def memory() -> InMemoryPipeline:
    return InMemoryPipeline()


def begin(memory: InMemoryPipeline, **environ: str) -> RunningPipeline:
    return RunningPipeline(memory, environ)


def requests_under_way(running: RunningPipeline) -> int:
    return running.pipeline.pipedrive_limiter.rate_limit.cooldown.under_way


def creates_waiting(running: RunningPipeline) -> int:
    """Those that are sent as far as the store knows, and still wait for the rate limit."""
    return running.status().ledger.sent - requests_under_way(running)


def test_the_state_is_told_as_it_is(memory: InMemoryPipeline) -> None:
    memory.write("a", "b", "x" * 256)
    running = begin(memory)
    memory.pass_time(SETTLE_S + 5.0)
    status = running.status()
    assert (status.ledger.done, status.ledger.quarantined, status.ledger.waiting) == (2, 1, 0)
    assert [gist.id for gist in status.latest] == ["x" * 256, "b", "a"]
    assert [gist.state for gist in status.latest] == ["quarantined", "done", "done"]
    assert sorted(gist.deal for gist in status.latest if gist.deal is not None) == [1, 2]
    assert [(user.name, user.gists, user.deals) for user in status.users] == [("nobody", 0, 0), ("ada", 3, 2)]
    assert status.users[0].error == "GitHub knows no such user"
    assert [row.id for row in status.quarantine] == ["x" * 256]
    assert [(day.gists, day.deals, day.written) for day in status.days] == [(3, 2, 3)]
    assert status.deals_last_hour == 2
    assert status.next_deal is not None
    assert status.next_deal.title == "x" * 256  # of the newest, as none waits
    assert status.troubles == (
        "1 of 2 users cannot be read: nobody (GitHub knows no such user)",
        "Pipedrive refused 1 gist, now in quarantine",
    )
    assert status.unready is None


def test_of_many_users_those_who_cannot_be_read_are_shown_and_all_are_counted(memory: InMemoryPipeline) -> None:
    memory.world.github_limits.without_token = 10_000
    well = [f"user-{number}" for number in range(545)]
    unknown = [f"nobody-{number}" for number in range(50)]
    unread = [f"unread-{number}" for number in range(5)]
    for name in well:
        memory.world.accounts.open(name)
    memory.fail("held", "GitHub", path="/users/unread", times=len(unread))
    status = begin(memory, PIPETEST_QUERIED_USERS=",".join([*well, *unread, *unknown])).status()
    assert status.user_counts == UserCounts(total=600, failing=50, unread=5, unknown=50)
    assert [user.name for user in status.users] == [*unknown, *well[: MOST_USERS - 50]]


def test_a_file_of_users_is_read_again_and_a_wrong_one_is_a_warning(memory: InMemoryPipeline, tmp_path: Path) -> None:
    memory.world.accounts.open("bob")
    memory.world.accounts.follow("bob", "ada")
    path = tmp_path / "users"
    path.write_text("following:bob\n", encoding="utf-8")
    running = begin(memory, PIPETEST_QUERIED_USERS="", PIPETEST_QUERIED_USERS_FILE=str(path), PIPETEST_BACKFILL="all")
    assert [user.name for user in running.status().users] == ["ada"]
    path.write_text("ada, bob/", encoding="utf-8")
    memory.pass_time(1800.0, step=60.0)
    status = running.status()
    assert [user.name for user in status.users] == ["ada"]
    assert [(problem.id, problem.severity) for problem in status.problems] == [("users-file", "warning")]
    assert "'bob/'" in status.problems[0].text
    path.write_text("bob", encoding="utf-8")
    memory.pass_time(1800.0, step=60.0)
    assert [user.name for user in running.status().users] == ["bob"]
    assert not running.status().problems


def test_a_list_that_github_does_not_know_is_a_warning(memory: InMemoryPipeline) -> None:
    running = begin(memory, PIPETEST_QUERIED_USERS="ada org:acme", PIPETEST_BACKFILL="all")
    assert [(problem.id, problem.severity) for problem in running.status().problems] == [("user-lists", "warning")]


def test_a_list_comes_into_the_file_only_where_somebody_has_chosen_the_backfill(
    memory: InMemoryPipeline, tmp_path: Path
) -> None:
    path = tmp_path / "users"
    path.write_text("ada", encoding="utf-8")
    running = begin(memory, PIPETEST_QUERIED_USERS="", PIPETEST_QUERIED_USERS_FILE=str(path))
    path.write_text("org:acme", encoding="utf-8")
    memory.pass_time(1800.0, step=60.0)
    assert [user.name for user in running.status().users] == ["ada"]
    assert "PIPETEST_BACKFILL is not set" in running.status().problems[0].text


def test_a_list_that_names_too_many_is_a_warning_once_it_is_read(memory: InMemoryPipeline) -> None:
    memory.world.accounts.open("acme")
    for number in range(31):
        memory.world.accounts.open(f"member-{number}")
        memory.world.accounts.join("acme", f"member-{number}")
    running = begin(memory, PIPETEST_QUERIED_USERS="org:acme", PIPETEST_BACKFILL="all")
    (problem,) = [problem for problem in running.status().problems if problem.id == "too-many-users"]
    assert problem.text == "to read 31 GitHub users every 30 min takes 62 requests an hour, GitHub allows 60"
    assert problem.remedy.startswith("Set PIPETEST_GITHUB_TOKEN, raise PIPETEST_QUERYING_INTERVAL to 31")


def test_what_is_skipped_is_shown_until_somebody_asks_for_it(memory: InMemoryPipeline) -> None:
    memory.write("old")
    running = begin(memory, PIPETEST_BACKFILL="none")
    memory.write("new")
    memory.pass_time(1900.0, step=5.0)
    status = running.status()
    assert memory.feed() == ["old", "new"]
    assert (status.ledger.skipped, status.ledger.done, status.ledger.waiting) == (1, 1, 0)
    assert [(gist.id, gist.state) for gist in status.latest] == [("new", "done"), ("old", "skipped")]
    assert [gist.description for gist in status.latest] == ["notes.txt", "notes.txt"]
    ada = status.users[-1]
    assert (ada.gists, ada.deals, ada.skipped) == (2, 1, 1)
    assert result_of(running.pipeline.backfill("nobody-at-all")) is False
    assert result_of(running.pipeline.backfill("ADA")) is True
    memory.pass_time(60.0)
    status = running.status()
    assert (status.ledger.skipped, status.ledger.done) == (0, 2)
    assert sorted(title for title, _ in memory.deals()) == ["new", "old"]
    assert [gist.state for gist in status.latest] == ["done", "done"]
    assert (status.users[-1].deals, status.users[-1].skipped) == (2, 0)


def test_a_create_that_waits_for_what_the_first_question_tells_of_the_limits_leaves_after_its_answer(
    memory: InMemoryPipeline,
) -> None:
    memory.write("a")
    memory.scan()  # it is recorded, and no later pass finds anything new
    result_of(memory.store.mark_reconciled())
    memory.kill()
    memory.fail("held", "Pipedrive", path="/api/v1/users/me")
    begin(memory, PIPETEST_QUERIED_USERS="ada")
    memory.pass_time(10.0)
    memory.world.held_replies.release()
    memory.pass_time(120.0)
    assert [title for title, _ in memory.deals()] == ["a"]


def test_old_gists_that_people_want_after_all_do_not_wait_for_the_next_scan(memory: InMemoryPipeline) -> None:
    memory.world.accounts.write("ada", gist_id="a", description="Bird songs")
    memory.clock.advance(10.0)
    running = begin(memory, PIPETEST_BACKFILL="none", PIPETEST_DEALS='title = "{description} {id}"')
    memory.pass_time(SETTLE_S)
    assert memory.deals() == []
    assert result_of(running.pipeline.backfill("ada"))
    memory.pass_time(5.0)
    assert memory.deals() == [("Bird songs a", 1)]


def test_what_waits_is_forecast(memory: InMemoryPipeline) -> None:
    memory.write("a", "b")
    running = begin(memory)
    status = running.status()
    assert status.outlook is not None
    assert status.outlook.text.startswith("2 deals wait, 15 tokens")
    assert status.oldest is not None
    assert status.oldest.id == "a"


def test_while_people_pause_creation_no_end_is_forecast(memory: InMemoryPipeline) -> None:
    memory.write("a")
    running = begin(memory)
    result_of(running.pipeline.set_paused(True))
    forecast = running.pipeline.collector.forecaster.forecast()
    assert (forecast.done_at, forecast.obstacle) == (None, "creation is paused by an operator")
    result_of(running.pipeline.set_paused(False))
    assert running.pipeline.collector.forecaster.forecast().done_at is not None


def test_a_dry_run_forecasts_no_end(memory: InMemoryPipeline) -> None:
    memory.write("a")
    running = begin(memory, PIPETEST_DRY_RUN="true")
    memory.pass_time(SETTLE_S + 5.0)
    assert str(running.pipeline.collector.forecaster.forecast()).endswith("a dry run creates none")


def test_while_the_account_refuses_no_end_is_forecast(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.world.pipedrive_api.key = "another"
    running = begin(memory)
    memory.pass_time(SETTLE_S + 1.0)
    forecast = running.pipeline.collector.forecaster.forecast()
    assert (forecast.done_at, forecast.obstacle) == (None, "Pipedrive refuses them")


def test_while_records_wait_for_a_look_up_of_names_no_end_is_forecast(memory: InMemoryPipeline) -> None:
    fields = memory.world.crm.company.deal_fields
    field = fields.add("Gist id")
    running = begin(memory, PIPETEST_DEALS='fields = {"Gist id" = "{id}"}')
    memory.write("a")
    running.pipeline.scanner.scan_now()
    memory.pass_time(SETTLE_S + 5.0)
    fields.delete(field.code)
    memory.write("b")
    running.pipeline.scanner.scan_now()
    memory.pass_time(2.0)
    forecast = running.pipeline.collector.forecaster.forecast()
    assert (forecast.done_at, forecast.obstacle) == (None, "what the template names is looked up again first")


def test_writes_used_up_today_move_the_forecast_to_tomorrow(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive_limits.daily_writes = 2
    memory.write("a", "b", "c")
    running = begin(memory)
    memory.pass_time(SETTLE_S + 5.0)
    done_at = running.pipeline.collector.forecaster.forecast().done_at
    assert len(memory.deals()) == 1
    assert done_at is not None
    assert done_at // DAY_S == memory.clock.seconds() // DAY_S + 1


def test_writes_used_up_today_are_known_after_a_restart(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive_limits.daily_writes = 2
    memory.write("a", "b", "c")
    begin(memory)
    memory.pass_time(SETTLE_S + SAVE_EVERY_S + 5.0)
    memory.kill()
    begin(memory)
    memory.pass_time(3600.0)
    assert memory.posts() == 0


def test_what_is_quarantined_does_not_wait(memory: InMemoryPipeline) -> None:
    memory.write("x" * 256)
    running = begin(memory)
    memory.pass_time(SETTLE_S + 5.0)
    status = running.status()
    assert status.ledger.quarantined == 1
    assert (status.ledger.waiting, status.outlook, status.oldest) == (0, None, None)
    result_of(running.pipeline.set_paused(True))
    memory.write("b")
    result_of(running.pipeline.scan())
    waiting = running.status()
    assert waiting.oldest is not None
    assert waiting.oldest.id == "b"
    assert waiting.outlook is not None
    assert waiting.outlook.text.startswith("1 deal waits")


def test_a_refused_key_makes_it_unready_until_the_key_works_again(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.world.pipedrive_api.key = "another"
    running = begin(memory)
    memory.pass_time(SETTLE_S + 1.0)
    assert "Pipedrive refuses" in (running.status().unready or "")
    memory.world.pipedrive_api.key = KEY
    memory.pass_time(600.0)
    assert running.status().unready is None


def test_the_burst_limit_is_learnt_and_never_met(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive_limits.burst = 10
    memory.write(*[f"gist-{number}" for number in range(100)])
    begin(memory)
    memory.pass_time(SETTLE_S + 60.0, step=0.05)
    assert len(memory.deals()) == 100
    assert "429" not in memory.world.pipedrive.statuses


def test_our_own_ceiling_of_tokens_ends_the_day_and_the_count_outlives_a_crash(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(20)])
    begin(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="45")
    memory.pass_time(SETTLE_S + SAVE_EVERY_S + 60.0)
    made = len(memory.deals())
    assert 0 < made < 8
    memory.kill()
    begin(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="45")
    memory.pass_time(3600.0)
    assert len(memory.deals()) == made


def test_creates_that_a_quota_has_come_to_refuse_are_taken_back_and_not_made_in_a_pause(
    memory: InMemoryPipeline,
) -> None:
    limits, memory.world.pipedrive.latency = memory.world.pipedrive_limits, 0.3
    limits.burst, limits.daily_tokens = 20, None
    memory.write(*[f"gist-{number}" for number in range(100)])
    running = begin(memory)
    memory.pass_time_until(lambda: creates_waiting(running) > 9 and requests_under_way(running) > 0, step=0.05)
    limits.daily_tokens = 0  # others have used them all
    memory.pass_time(60.0, step=0.05)
    made = len(memory.deals())
    assert {type(entry.deal) for entry in result_of(memory.store.open_entries())} == {Wanted}
    result_of(running.pipeline.set_paused(True))
    memory.pass_time(2 * 24 * 3600.0, step=30.0)
    assert len(memory.deals()) == made < 100
    limits.daily_tokens = None
    result_of(running.pipeline.set_paused(False))
    memory.pass_time(3600.0, step=0.1)
    assert len(memory.deals()) == 100


def with_creates_waiting(memory: InMemoryPipeline) -> RunningPipeline:
    memory.world.pipedrive_limits.burst = 20
    memory.write(*[f"gist-{number}" for number in range(100)])
    running = begin(memory)
    memory.pass_time(SETTLE_S)
    memory.pass_time_until(lambda: creates_waiting(running) > 0, step=0.05)
    return running


def test_creates_that_wait_to_leave_do_not_go_in_a_pause(memory: InMemoryPipeline) -> None:
    running = with_creates_waiting(memory)
    made = memory.posts()
    result_of(running.pipeline.set_paused(True))
    memory.pass_time(60.0, step=0.05)
    assert memory.posts() == made
    result_of(running.pipeline.set_paused(False))
    memory.pass_time(3600.0, step=0.1)
    assert len(memory.deals()) == 100


def test_creates_that_wait_to_leave_go_as_a_new_template_says(memory: InMemoryPipeline) -> None:
    running = with_creates_waiting(memory)
    made = len(memory.deals())
    running.settings.deals.renew(template('title = "{user} {id}"'))
    running.pipeline.settings_renewed()
    memory.pass_time(3600.0, step=0.1)
    assert [title.startswith("ada ") for title, _ in memory.deals()] == [False] * made + [True] * (100 - made)


def test_a_stop_leaves_nothing_to_be_looked_for_that_never_left(memory: InMemoryPipeline) -> None:
    running = with_creates_waiting(memory)
    running.pipeline.pipedrive_limiter.close()
    memory.pass_time(1.0)
    assert {type(entry.deal) for entry in result_of(memory.store.open_entries())} == {Wanted}


def test_our_own_ceiling_holds_however_often_it_crashes(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive_limits.daily_tokens = None
    begin(memory)
    memory.pass_time(SETTLE_S + 1.0)
    memory.kill()
    memory.write(*[f"gist-{number}" for number in range(300)])
    before = memory.world.pipedrive_limits.tokens_used
    for _ in range(5):
        begin(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="200")
        memory.pass_time(SAVE_EVERY_S - 10.0)
        memory.kill()
    assert 150 < memory.world.pipedrive_limits.tokens_used - before <= 200


def test_under_a_ceiling_of_our_own_tokens_are_counted_ahead_by_a_twentieth_of_it(memory: InMemoryPipeline) -> None:
    memory.write("a")
    begin(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="2000")
    memory.pass_time(SETTLE_S + 1.0)
    assert (result_of(memory.store.get_value("quota of Pipedrive", dict[str, object])) or {})["used"] == 100


def test_the_newest_gist_goes_first_once_there_are_tokens_again(memory: InMemoryPipeline) -> None:
    memory.write("old", "older-than-new")
    begin(memory, PIPETEST_PIPEDRIVE_DAILY_TOKENS="25")
    memory.pass_time(3600.0)
    assert memory.deals() == []
    memory.write("new")
    memory.pass_time(24 * 3600.0, step=30.0)
    assert next(title for title, _ in memory.deals()) == "new"


def test_what_waits_at_a_start_is_created_though_nobody_can_be_read(memory: InMemoryPipeline) -> None:
    begin(memory)
    memory.pass_time(SETTLE_S + 60.0)
    result_of(memory.store.add_gists(PassResult("ada", None, None, [Gist("a", memory.clock.seconds())])))
    memory.kill()
    memory.fail("500", "GitHub", times=1_000)
    memory.world.pipedrive.latency = 1.0
    begin(memory)
    memory.pass_time(60.0)
    assert memory.deals() == [("a", 1)]


def test_a_reserve_of_the_company_s_tokens_is_left_to_others(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive_limits.daily_tokens = 200
    memory.write(*[f"gist-{number}" for number in range(50)])
    begin(memory, PIPETEST_PIPEDRIVE_RESERVE="30")
    memory.pass_time(SETTLE_S + 60.0)
    assert 135 < memory.world.pipedrive_limits.tokens_used <= 140


def test_without_a_token_the_hour_is_spread_over_the_users(memory: InMemoryPipeline) -> None:
    memory.world.github_limits.without_token = 60
    begin(memory, PIPETEST_QUERIED_USERS=MANY)
    memory.pass_time(60.0)
    assert 30 <= len(memory.github.requests) <= 31
    memory.pass_time(3600.0)
    assert len(memory.github.requests) > 55


def test_a_token_helps_from_the_next_start_even_in_an_hour_used_up_without_one(memory: InMemoryPipeline) -> None:
    memory.world.github_limits.without_token = 20
    memory.world.github_api.tokens["token"] = "somebody"
    running = begin(memory, PIPETEST_QUERIED_USERS=MANY)
    memory.pass_time(3585.0)
    result_of(running.pipeline.limits.stop())
    assert len(memory.github.requests) == 20
    memory.kill()
    begin(memory, PIPETEST_QUERIED_USERS=MANY, PIPETEST_GITHUB_TOKEN="token")
    memory.pass_time(5.0)
    assert len(memory.github.requests) == 55


def test_history_outlives_a_restart_and_stays_short(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(LATEST + 5)])
    begin(memory)
    memory.pass_time(SETTLE_S + SAVE_EVERY_S + 5.0)
    memory.kill()
    running = begin(memory)
    assert len(running.status().latest) == LATEST
    assert all(gist.deal is not None for gist in running.status().latest)
    assert [day.gists for day in running.status().days] == [LATEST + 5]


def test_a_template_that_does_not_fit_is_an_error_until_people_correct_it_and_ask(memory: InMemoryPipeline) -> None:
    memory.write("a")
    running = begin(memory, PIPETEST_QUERIED_USERS="ada", PIPETEST_DEALS="pipeline = 'Community'")
    memory.pass_time(SETTLE_S + 30.0)
    (problem,) = running.status().problems
    assert (problem.id, problem.severity) == ("template-unfit", "error")
    assert "there is no pipeline “Community” (only “Pipeline”)" in problem.text
    memory.world.crm.company.rename_pipeline(1, "Community")
    result_of(running.pipeline.scan())
    memory.pass_time(10.0)
    assert (running.status().problems, len(memory.deals())) == ([], 1)


def test_a_template_in_doubt_is_a_warning_until_its_names_were_looked_up_again(memory: InMemoryPipeline) -> None:
    fields = memory.world.crm.company.deal_fields
    field = fields.add("Gist id")
    memory.write("a")
    running = begin(memory, PIPETEST_QUERIED_USERS="ada", PIPETEST_DEALS="fields = {'Gist id' = '{id}'}")
    memory.pass_time(SETTLE_S + 30.0)
    fields.delete(field.code)
    memory.write("b")
    running.pipeline.scanner.scan_now()
    memory.pass_time(10.0)
    (problem,) = running.status().problems
    assert (problem.id, problem.severity) == ("template-doubted", "warning")
    fields.add("Gist id")
    result_of(running.pipeline.scan())
    memory.pass_time(10.0)
    assert (running.status().problems, len(memory.deals())) == ([], 2)


def test_a_template_that_is_read_again_counts_at_once(memory: InMemoryPipeline) -> None:
    memory.write("a")
    running = begin(memory, PIPETEST_QUERIED_USERS="ada", PIPETEST_DEALS="pipeline = 'Community'")
    memory.pass_time(SETTLE_S + 30.0)
    running.settings.deals.renew(template("title = '{url} {id}'"))
    running.pipeline.settings_renewed()
    memory.pass_time(10.0)
    assert (running.status().problems, memory.deals()) == ([], [("https://gist.github.com/a a", 1)])


def test_a_wrong_key_that_is_read_again_is_told_though_nothing_waits(memory: InMemoryPipeline) -> None:
    running = begin(memory, PIPETEST_QUERIED_USERS="ada")
    memory.pass_time(SETTLE_S)
    assert running.status().problems == []
    running.settings.api_key.renew(Secret("wrong"))
    running.pipeline.settings_renewed()
    memory.pass_time(5.0)
    assert [problem.id for problem in running.status().problems] == ["creation-refused"]
    running.settings.api_key.renew(Secret(KEY))
    running.pipeline.settings_renewed()
    memory.pass_time(60.0)
    assert running.status().problems == []
