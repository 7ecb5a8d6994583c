"""The visitors of ``/getGists``, whom every instance may move on: this needs no lease. All of it blocks."""

from collections.abc import Iterable

from pipetest.domain.model import Visit
from pipetest.store.postgres.connection import Connected, fetch_one

MAX_SESSIONS = 1_000_000
"""Sessions at most: a visitor without a cookie jar begins one at every visit. As many take some 100 MB."""

MOST_RETURNED = MAX_SESSIONS - MAX_SESSIONS // 10
"""Of them those that came more than once: a tenth of the places is for newcomers."""

WORTH = """
    CASE WHEN returned THEN 1 + floor(ln(1 + greatest(0, 1000 * extract(epoch FROM visited_at - begun_at))::float8)
        / ln(2::float8)) ELSE 0 END DESC NULLS LAST, visited_at DESC
"""
"""Their order, those to be kept first: for how long they have been coming, in powers of two, as a stranger can come
twice in a moment, but not for a week; then who came last."""


def visit(connection: Connected, session_id: str, unvisited_since: float) -> Visit:
    """There is no such session where it was last visited before then. One query, as most visits need no other."""
    return Visit(
        *fetch_one(
            connection,
            "SELECT (SELECT shown FROM pipetest.sessions WHERE session_id = %s AND visited_at >= to_timestamp(%s)), "
            "feed_length FROM pipetest.about",
            session_id,
            unvisited_since,
        )
    )


def advance(connection: Connected, session_id: str, position: int, now: float) -> None:
    connection.execute(
        "INSERT INTO pipetest.sessions AS s (session_id, shown, visited_at, begun_at) "
        "VALUES (%s, %s, to_timestamp(%s), to_timestamp(%s)) ON CONFLICT (session_id) DO UPDATE "
        "SET shown = greatest(s.shown, excluded.shown), visited_at = greatest(s.visited_at, excluded.visited_at)",
        [session_id, position, now, now],
    )


def renew(connection: Connected, visits: Iterable[tuple[str, float]]) -> None:
    """Store when these sessions have returned."""
    session_ids, times = zip(*sorted(visits), strict=True)  # sorted, so that two instances don't lock crosswise
    connection.execute(
        "UPDATE pipetest.sessions AS s SET visited_at = greatest(s.visited_at, to_timestamp(v.at)), returned = true, "
        "begun_at = coalesce(s.begun_at, s.visited_at) "
        "FROM unnest(%s::text[], %s::float8[]) AS v (session_id, at) WHERE s.session_id = v.session_id",
        [list(session_ids), list(times)],
    )


def expire(connection: Connected, unvisited_since: float) -> int:
    """Remove the sessions last visited before then. Beyond the bound those seen only once go first, then those that
    have been coming for the shortest time, and among them the longest unvisited. Returns how many went."""
    unvisited = connection.execute(
        "DELETE FROM pipetest.sessions WHERE visited_at < to_timestamp(%s)", [unvisited_since]
    ).rowcount
    returned = _remove_surplus(connection, "returned", MOST_RETURNED)
    return unvisited + returned + _remove_surplus(connection, "true", MAX_SESSIONS)


def _remove_surplus(connection: Connected, which: str, most: int) -> int:
    surplus = f"SELECT session_id FROM pipetest.sessions WHERE {which} ORDER BY {WORTH} OFFSET %s"  # noqa: S608  # no input
    query = f"DELETE FROM pipetest.sessions WHERE session_id IN ({surplus})"  # noqa: S608
    return connection.execute(query.encode(), [most]).rowcount
