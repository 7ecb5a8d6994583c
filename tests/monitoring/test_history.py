"""What is shown of the days and gists before: it outlives a restart and stays short."""

import pytest
from twisted.internet.task import Clock

from pipetest.domain.model import Entry, Gist
from pipetest.monitoring.history import DAYS, LATEST, SAVE_EVERY_S, STORED_AS, History
from pipetest.store.tinydb.store import TinyStore
from tests.support.in_memory import START_AT, InMemoryPipeline
from tests.support.results import result_of

DAY_S = 24 * 3600.0


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(START_AT)
    return clock


@pytest.fixture
def store() -> TinyStore:
    memory = InMemoryPipeline()
    memory.wire()
    return memory.store


@pytest.fixture
def history(store: TinyStore, clock: Clock) -> History:
    history = History(store, clock.seconds, clock)
    result_of(history.start())
    return history


def entries(*gists: str) -> list[Entry]:
    return [Entry(number, Gist(gist, START_AT), "Ada") for number, gist in enumerate(gists, start=1)]


def test_gists_are_counted_by_user_whatever_the_case_of_the_name(history: History) -> None:
    history.gists_recorded(entries("a", "b"))
    assert (history.gists_of("ada"), history.gists_of("bob"), history.gists()) == (2, 0, 2)


def test_of_the_latest_gists_the_newest_come_first_with_their_deals(history: History) -> None:
    history.gists_recorded(entries(*[f"gist-{number}" for number in range(LATEST + 5)]))
    history.deal_done("gist-0", 1)
    history.deal_done("gist-24", 2)
    shown = [(latest.gist.id, latest.deal) for latest in history.latest()]
    assert shown == [("gist-24", 2), *[(f"gist-{number}", None) for number in range(23, 4, -1)]]


def test_days_are_counted_by_utc_and_the_oldest_are_dropped(history: History, clock: Clock) -> None:
    for _ in range(DAYS + 2):
        history.gists_recorded(entries("a"))
        history.deal_done("a", 1)
        history.deal_done("b", 2)
        clock.advance(DAY_S)
    days = history.days()
    assert len(days) == DAYS
    assert (days[0].day, days[-1].day) == ("2023-11-16", "2023-12-15")
    assert {(day.gists, day.deals) for day in days} == {(1, 2)}


def test_gists_are_latest_by_when_they_were_written_and_count_on_that_day(history: History) -> None:
    ages = {"old": DAYS + 1, "yesterday": 1, "ahead": -0.001, "today": 0, "before": 3}
    for gist, age in ages.items():
        history.gists_recorded([Entry(1, Gist(gist, START_AT - age * DAY_S), "Ada")])
    assert [latest.gist.id for latest in history.latest()] == ["ahead", "today", "yesterday", "before", "old"]
    assert [(day.day, day.gists, day.written) for day in history.days()] == [
        ("2023-11-11", 0, 1), ("2023-11-13", 0, 1), ("2023-11-14", 5, 2),
    ]  # fmt: skip


def test_days_of_before_have_been_written_as_they_were_recorded(store: TinyStore, clock: Clock) -> None:
    """1.0.0 did not count by the day on which a gist was written."""
    result_of(store.put_value(STORED_AS, {"days": {"2023-11-14": {"gists": 7, "deals": 2}}}))
    history = History(store, clock.seconds, clock)
    result_of(history.start())
    history.gists_recorded(entries("a"))
    assert [(day.gists, day.written) for day in history.days()] == [(8, 8)]


def test_deals_of_the_last_hour_are_counted_over_a_restart_too(
    store: TinyStore, history: History, clock: Clock
) -> None:
    for number in range(3):
        history.deal_done("a", number)
        clock.advance(1800)
    assert history.deals_last_hour() == 1
    history.deal_done("a", 4)
    result_of(history.stop())
    later = History(store, clock.seconds, clock)
    result_of(later.start())
    assert later.deals_last_hour() == 2


def test_deals_of_a_clock_that_was_ahead_are_none_of_the_last_hour(store: TinyStore, clock: Clock) -> None:
    ahead = History(store, lambda: clock.seconds() + 365 * DAY_S, clock)
    result_of(ahead.start())
    ahead.deal_done("a", 1)
    result_of(ahead.stop())
    history = History(store, clock.seconds, clock)
    result_of(history.start())
    history.deal_done("b", 2)
    assert history.deals_last_hour() == 1


def test_it_outlives_a_crash_but_for_its_last_minute(store: TinyStore, history: History, clock: Clock) -> None:
    history.gists_recorded(entries("a"))
    clock.advance(SAVE_EVERY_S)
    history.deal_done("a", 1)
    later = History(store, clock.seconds, clock)
    result_of(later.start())
    assert [(latest.gist.id, latest.deal) for latest in later.latest()] == [("a", None)]
    assert [(day.gists, day.deals) for day in later.days()] == [(1, 0)]


def test_an_ordered_stop_saves_all_of_it(store: TinyStore, history: History, clock: Clock) -> None:
    history.gists_recorded(entries("a"))
    history.deal_done("a", 1)
    result_of(history.stop())
    later = History(store, clock.seconds, clock)
    result_of(later.start())
    assert [latest.deal for latest in later.latest()] == [1]


def test_what_never_started_leaves_what_is_stored(store: TinyStore, clock: Clock) -> None:
    result_of(store.put_value(STORED_AS, {"days": {"2023-11-14": {"gists": 7}}}))
    result_of(History(store, clock.seconds, clock).stop())
    assert result_of(store.get_value(STORED_AS, object)) == {"days": {"2023-11-14": {"gists": 7}}}


def test_one_that_cannot_be_read_starts_anew(store: TinyStore, clock: Clock) -> None:
    result_of(store.put_value(STORED_AS, {"latest": 7}))
    history = History(store, clock.seconds, clock)
    result_of(history.start())
    assert (history.latest(), history.days()) == ([], [])
