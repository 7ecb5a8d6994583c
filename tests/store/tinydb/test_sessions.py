"""Visitors cannot fill the database: who goes first, and that every visit costs the same."""

from pipetest.store.tinydb.format import SessionRow
from pipetest.store.tinydb.sessions import Sessions


def known(sessions: Sessions, *session_ids: str) -> list[str]:
    """Who is in it, without a visit."""
    rows = sessions.changes().values()
    return sorted(row.session_id for row in rows if row is not None and row.session_id in session_ids)


def test_those_seen_only_once_go_first_then_the_longest_unvisited() -> None:
    sessions = Sessions(bound=3)
    for session_id in ("old", "once", "new"):
        sessions.advance(session_id, 1, now=1.0)
    sessions.resume("new", now=2.0)
    sessions.resume("old", now=3.0)
    sessions.advance("fourth", 1, now=4.0)
    assert known(sessions, "old", "once", "new", "fourth") == ["fourth", "new", "old"]
    sessions.resume("fourth", now=5.0)
    sessions.advance("fifth", 1, now=6.0)
    assert [sessions.resume(session_id, now=7.0) for session_id in ("new", "old", "fourth", "fifth")] == [None, 1, 1, 1]


def test_a_hundred_thousand_visitors_without_a_cookie_jar_leave_the_returning_one_alone() -> None:
    sessions = Sessions()
    sessions.advance("returning", 5, now=0.0)
    for number in range(100_000):
        if number % 5_000 == 0:
            assert sessions.resume("returning", now=float(number)) == 5
        sessions.advance(str(number), 1, now=float(number))
    rows = [row for row in sessions.changes().values() if row is not None]
    assert len(rows) == 10_000
    assert max(rows, key=lambda row: row.visited_at).session_id == "99999"


def test_only_what_changed_is_handed_to_a_commit() -> None:
    sessions = Sessions(bound=2)
    sessions.advance("a", 1, now=1.0)
    sessions.advance("b", 1, now=2.0)
    assert set(sessions.changes()) == {1, 2}
    assert sessions.changes() == {}
    sessions.advance("c", 1, now=3.0)
    assert sessions.changes() == {1: None, 3: SessionRow("c", 1, 3.0, returned=False)}


def test_a_session_that_came_and_went_between_two_commits_leaves_no_trace() -> None:
    sessions = Sessions(bound=1)
    sessions.advance("a", 1, now=1.0)
    sessions.advance("b", 1, now=2.0)
    assert list(sessions.changes()) == [2]


def test_the_order_of_going_outlives_a_restart() -> None:
    before = Sessions(bound=3)
    for number, session_id in enumerate(("a", "b", "c")):
        before.advance(session_id, number, now=float(number))
    before.resume("a", now=5.0)
    before.advance("b", 1, now=5.0)
    rows = [(doc_id, row) for doc_id, row in before.changes().items() if row is not None]
    after = Sessions(rows, bound=3)
    after.advance("d", 1, now=6.0)
    assert after.changes() == {3: None, 4: SessionRow("d", 1, 6.0, returned=False)}
    assert [after.resume(session_id, now=7.0) for session_id in ("a", "b", "c", "d")] == [0, 1, None, 1]


def test_renewing_a_visit_is_not_worth_a_commit_and_progress_is() -> None:
    sessions = Sessions()
    assert sessions.advance("a", 0, now=1.0)
    assert not sessions.advance("a", 0, now=2.0)
    assert sessions.advance("a", 1, now=3.0)
    assert not sessions.advance("a", 0, now=4.0)


DAY_S = 86_400.0


def test_strangers_who_come_twice_leave_those_alone_who_have_long_been_coming() -> None:
    sessions = Sessions()
    for number in range(100):
        sessions.advance(f"visitor {number}", 5, now=0.0)
        assert sessions.resume(f"visitor {number}", now=DAY_S) == 5
    for number in range(20_000):
        sessions.advance(f"stranger {number}", 1, now=2 * DAY_S + number)
        assert sessions.resume(f"stranger {number}", now=2 * DAY_S + number + 30.0) == 1
    assert [sessions.resume(f"visitor {number}", now=3 * DAY_S) for number in range(100)] == [5] * 100
    assert len([row for row in sessions.changes().values() if row is not None]) <= 10_000


def test_however_many_return_a_newcomer_gets_in_and_pushes_out_none_of_them() -> None:
    sessions = Sessions(bound=20)
    for number in range(30):
        sessions.advance(str(number), 1, now=float(number))
        sessions.resume(str(number), now=DAY_S + number)
    returned = [str(number) for number in range(30) if sessions.resume(str(number), now=2 * DAY_S) == 1]
    assert len(returned) == 18
    for number in range(100):
        sessions.advance(f"stranger {number}", 2, now=3 * DAY_S + number)
    assert [sessions.resume(name, now=4 * DAY_S) for name in returned] == [1] * 18


def test_who_came_twice_at_one_moment_is_the_first_to_go_of_those_who_return() -> None:
    sessions = Sessions(bound=3)
    for session_id, began, at in (("longer", 0.0, 0.5), ("twice", 5.0, 5.0), ("new", 1.0, DAY_S)):
        sessions.advance(session_id, 1, now=began)
        sessions.resume(session_id, now=at)
    assert [sessions.resume(session_id, now=DAY_S) for session_id in ("longer", "twice", "new")] == [1, None, 1]


def test_one_more_who_returns_than_there_are_places_for_pushes_out_no_newcomer() -> None:
    sessions = Sessions(bound=20)
    for number in range(20):
        sessions.advance(str(number), 1, now=0.0)
    for number in range(19):
        sessions.resume(str(number), now=1.0 + number)
    assert known(sessions, "0", "1", "19") == ["1", "19"]


def test_for_how_long_somebody_has_been_coming_outlives_a_restart() -> None:
    before = Sessions(bound=4)
    before.advance("visitor", 7, now=0.0)
    before.resume("visitor", now=DAY_S)
    after = Sessions([(doc_id, row) for doc_id, row in before.changes().items() if row is not None], bound=4)
    for number in range(10):
        after.advance(str(number), 1, now=DAY_S + number)
        after.resume(str(number), now=DAY_S + number + 1.0)
    assert after.resume("visitor", now=2 * DAY_S) == 7
