"""Rows and values: how the words of the project stand in the tables' columns.

Times stand there as timestamps, for people, to the microsecond; queries turn them into seconds and back.
"""

from typing import Any

from pipetest.model import Done, Entry, Gist, Organization, Quarantined, Sent, State, User, Wanted

STATE = "state::text, {id}, reason, extract(epoch FROM since_at)::float8"
USER = (
    "name, owner_id, etag, extract(epoch FROM read_to_end_at)::float8, "
    "extract(epoch FROM listed_at)::float8, " + STATE.format(id="organization_id")
)
ENTRY = "position, gist, extract(epoch FROM created_at)::float8, username, " + STATE.format(id="deal_id")

Columns = tuple[str, int | None, str | None, float | None]


def columns(state: State) -> Columns:
    """A state as its columns: its name, the record's id, the reason, since when."""
    match state:
        case Wanted():
            return ("wanted", None, None, None)
        case Sent():
            return ("sent", None, None, None)
        case Done(id):
            return ("done", id, None, None)
        case Quarantined(reason, since_at):
            return ("quarantined", None, text(reason), since_at)


def state(name: str, record_id: int | None, reason: str | None, since_at: float | None) -> State:
    match name:
        case "wanted":
            return Wanted()
        case "sent":
            return Sent()
        case "done":
            return Done(record_id)
        case _:
            return Quarantined(reason or "", since_at or 0.0)


def user(row: tuple[Any, ...]) -> User:
    """What :data:`USER` selects."""
    name, owner_id, etag, read_to_end_at, listed_at, *organization = row
    return User(name, owner_id, etag, read_to_end_at, Organization(state(*organization), listed_at))


def entry(row: tuple[Any, ...]) -> Entry:
    """What :data:`ENTRY` selects."""
    position, gist, created_at, username, *deal = row
    return Entry(position, Gist(gist, created_at), username, state(*deal))


def text(given: str) -> str:
    """What PostgreSQL can hold: any text but for the character NUL."""
    return given.replace("\0", "\N{REPLACEMENT CHARACTER}")
