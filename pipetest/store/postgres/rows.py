"""Between rows and values: how the project's values are stored in the tables' columns.

Times are stored as timestamps, for people, to the microsecond; queries turn them into seconds and back.
"""

from typing import Any

from msgspec import convert, json

from pipetest.domain.model import Done, Entry, Gist, Organization, Quarantined, Sent, Skipped, State, Text, User, Wanted

STATE = "{state}, {id}, reason, extract(epoch FROM since_at)::float8, sent, status, code"
USER = (
    "name, owner_id, etag, extract(epoch FROM read_to_end_at)::float8, "
    "extract(epoch FROM listed_at)::float8, " + STATE.format(state="state::text", id="organization_id")
)
ENTRY = "position, gist, extract(epoch FROM created_at)::float8, text, username, " + STATE.format(
    state="CASE WHEN skipped THEN 'skipped' ELSE state::text END", id="deal_id"
)

WITHOUT_TEXT = "state <> 'done' AND text IS NULL"
"""Of an open gist whose text is not known: as an index has it."""

Columns = tuple[str, int | None, str | None, float | None, bool, int | None, str | None]


def columns(state: State) -> Columns:
    """A state as its columns: its name, the record's id, and of the quarantine the reason, since when, whether an
    earlier request may have been carried out, and the refusal's status and code."""
    match state:
        case Wanted():
            return ("wanted", None, None, None, False, None, None)
        case Sent():
            return ("sent", None, None, None, False, None, None)
        case Done(id):
            return ("done", id, None, None, False, None, None)
        case Skipped():  # with a column of its own besides
            return ("done", None, None, None, False, None, None)
        case Quarantined(reason, since_at, sent, status, code):
            return ("quarantined", None, text(reason), since_at, sent, status, text(code))


def state(
    name: str,
    record_id: int | None,
    reason: str | None,
    since_at: float | None,
    sent: bool,
    status: int | None,
    code: str | None,
) -> State:
    match name:
        case "wanted":
            return Wanted()
        case "sent":
            return Sent()
        case "done":
            return Done(record_id)
        case "skipped":
            return Skipped()
        case _:
            return Quarantined(reason or "", since_at or 0.0, sent, status or 0, code or "")


def user(row: tuple[Any, ...]) -> User:
    """What :data:`USER` selects."""
    name, owner_id, etag, read_to_end_at, reconciled_at, *organization = row
    return User(name, owner_id, etag, read_to_end_at, Organization(state(*organization), reconciled_at))


def entry(row: tuple[Any, ...]) -> Entry:
    """What :data:`ENTRY` selects."""
    position, gist, created_at, text, username, *deal = row
    known = None if text is None else convert(text, Text)
    return Entry(position, Gist(gist, created_at, known), username, state(*deal))


def text_column(text: Text | None) -> str | None:
    """A gist's text as JSON."""
    return None if text is None else json.encode(text).decode()


def text(given: str) -> str:
    """The text as PostgreSQL can hold it: without the character NUL."""
    return given.replace("\0", "\N{REPLACEMENT CHARACTER}")
