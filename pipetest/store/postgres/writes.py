"""What is written of feed and outbox, each in a transaction on the connection with the lease. All of it blocks."""

from collections.abc import Mapping, Sequence
from math import inf

from msgspec.structs import replace

from pipetest.domain.model import (
    Change,
    DealChange,
    Done,
    Entry,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Skipped,
    State,
    Text,
    Wanted,
    is_open,
    key,
)
from pipetest.store.postgres import rows
from pipetest.store.postgres.connection import Connected, fetch_one
from pipetest.store.postgres.reads import known_gists

EVERY_USER = "SET LOCAL statement_timeout = 0"
"""Before a change of every user: of a million it takes longer than others may, and cut off it would be made again for
ever."""


def add_gists(connection: Connected, result: PassResult) -> Sequence[Entry]:
    """What a pass over a user's list found; its new gists take the next positions."""
    unique = {gist.id: gist for gist in result.gists}
    known = known_gists(connection, unique)
    gists = [gist for gist_id, gist in unique.items() if gist_id not in known]
    connection.execute(
        "INSERT INTO pipetest.users AS u (key, name, owner_id, etag, read_to_end_at, gists) "
        "VALUES (%s, %s, %s, %s, to_timestamp(%s), %s) ON CONFLICT (key) DO UPDATE SET name = excluded.name, "
        "etag = excluded.etag, owner_id = coalesce(excluded.owner_id, u.owner_id), "
        "read_to_end_at = coalesce(excluded.read_to_end_at, u.read_to_end_at), gists = u.gists + excluded.gists",
        [key(result.user), result.user, result.owner_id, result.etag, result.read_to_end_at, len(gists)],
    )
    if not gists:
        return []
    (length,) = fetch_one(
        connection, "UPDATE pipetest.about SET feed_length = feed_length + %s RETURNING feed_length", len(gists)
    )
    first = length - len(gists) + 1
    connection.execute(
        "INSERT INTO pipetest.gists (position, gist, username, created_at, text) "
        "SELECT %s + n - 1, gist, %s, to_timestamp(at), text::json "
        "FROM unnest(%s::text[], %s::float8[], %s::text[]) WITH ORDINALITY AS new (gist, at, text, n)",
        [
            first,
            result.user,
            [gist.id for gist in gists],
            [gist.created_at for gist in gists],
            [rows.text_column(gist.text) for gist in gists],
        ],
    )
    deals = _adopted(connection, list(unique))
    since_at = min([result.wanted_since, *(gist.created_at for gist in gists if gist.id in deals)])
    entries = [
        Entry(position, gist, result.user, _state(gist, deals, since_at)) for position, gist in enumerate(gists, first)
    ]
    skipped = [entry.position for entry in entries if isinstance(entry.deal, Skipped)]
    if skipped:
        connection.execute(
            "UPDATE pipetest.gists SET state = 'done', skipped = true, text = NULL WHERE position = ANY(%s)", [skipped]
        )
    return entries


def add_texts(connection: Connected, user: str, texts: Mapping[str, Text]) -> Sequence[Entry]:
    """Those of this user's open gists that have none; an empty one where ``texts`` has none."""
    without = connection.execute(
        b"SELECT gist FROM pipetest.gists WHERE lower(username) = %%s AND %b" % rows.WITHOUT_TEXT.encode(), [key(user)]
    )
    if not (gists := [gist for (gist,) in without]):
        return []
    added = connection.execute(
        b"UPDATE pipetest.gists SET text = added.known::json FROM unnest(%%s::text[], %%s::text[]) "
        b"AS added (id, known) WHERE gist = added.id RETURNING %b" % rows.ENTRY.encode(),
        [gists, [rows.text_column(texts.get(gist, Text())) for gist in gists]],
    )
    return sorted(map(rows.entry, added), key=lambda entry: entry.position)


def _state(gist: Gist, deals: Mapping[str, int], since_at: float) -> State:
    if gist.id in deals:
        return Done(deals[gist.id])
    return Wanted() if gist.created_at >= since_at else Skipped()


def _adopted(connection: Connected, gist_ids: Sequence[str]) -> Mapping[str, int]:
    """Of gists that were just recorded those that had been found in Pipedrive: they are done."""
    adopted = connection.execute(
        "WITH found AS (DELETE FROM pipetest.found_deals WHERE gist = ANY(%s) RETURNING gist, deal_id) "
        "UPDATE pipetest.gists AS g SET state = 'done', deal_id = found.deal_id, text = NULL FROM found "
        "WHERE g.gist = found.gist RETURNING g.gist, g.deal_id",
        [gist_ids],
    )
    return dict(adopted.fetchall())


def save(connection: Connected, changes: Sequence[Change]) -> None:
    """
    :raises KeyError: the gist or the user was never recorded.
    """
    for change in changes:
        match change:
            case DealChange(gist_id, state):
                _save_deal(connection, gist_id, state)
            case OrganizationChange(user, organization):
                _save_organization(connection, user, organization)


def _save_deal(connection: Connected, gist_id: str, state: State) -> None:
    changed = connection.execute(
        "UPDATE pipetest.gists SET state = %s, deal_id = %s, reason = %s, since_at = to_timestamp(%s), sent = %s, "
        "status = %s, code = %s, skipped = false, text = CASE WHEN %s THEN text END "
        "WHERE gist = %s AND (state <> 'done' OR %s)",
        [*rows.columns(state), is_open(state), gist_id, isinstance(state, Done)],
    ).rowcount
    if not changed and not known_gists(connection, [gist_id]):
        raise KeyError(gist_id)


def _save_organization(connection: Connected, user: str, organization: Organization) -> None:
    changed = connection.execute(
        "UPDATE pipetest.users SET state = %s, organization_id = %s, reason = %s, since_at = to_timestamp(%s), "
        "sent = %s, status = %s, code = %s, listed_at = to_timestamp(%s) WHERE key = %s",
        [*rows.columns(organization.state), organization.reconciled_at, key(user)],
    ).rowcount
    if not changed:
        raise KeyError(user)


def put_value(connection: Connected, name: str, value: bytes) -> None:
    """The value is JSON."""
    connection.execute(
        "INSERT INTO pipetest.notes VALUES (%s, %s::json) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value.decode()],
    )


def adopt(connection: Connected, deals: Mapping[str, int]) -> Sequence[Entry]:
    found = [list(deals), list(deals.values())]
    skipped = connection.execute(
        b"SELECT %b FROM pipetest.gists WHERE skipped AND gist = ANY(%%s) ORDER BY position" % rows.ENTRY.encode(),
        [list(deals)],
    ).fetchall()
    adopted = [replace(entry, deal=Done(deals[entry.gist.id])) for entry in map(rows.entry, skipped)]
    connection.execute(
        "UPDATE pipetest.gists AS g SET state = 'done', deal_id = f.deal_id, reason = NULL, since_at = NULL, "
        "sent = false, status = NULL, code = NULL, skipped = false, text = NULL "
        "FROM unnest(%s::text[], %s::bigint[]) AS f (gist, deal_id) "
        "WHERE g.gist = f.gist AND (g.state <> 'done' OR g.deal_id IS NULL)",
        found,
    )
    connection.execute(
        "INSERT INTO pipetest.found_deals SELECT f.gist, f.deal_id FROM unnest(%s::text[], %s::bigint[]) "
        "AS f (gist, deal_id) WHERE NOT EXISTS (SELECT FROM pipetest.gists AS g WHERE g.gist = f.gist) "
        "ON CONFLICT DO NOTHING",
        found,
    )
    since: dict[str, float] = {}
    for entry in adopted:
        since[key(entry.user)] = min(entry.gist.created_at, since.get(key(entry.user), inf))
    wanted = [entry for user, since_at in since.items() for entry in want_skipped(connection, user, since_at)]
    return [*adopted, *wanted]


def want_skipped(connection: Connected, user: str, since_at: float = -inf) -> Sequence[Entry]:
    """This user's gists that are skipped and were written since then are wanted."""
    wanted = connection.execute(
        b"UPDATE pipetest.gists SET state = 'wanted', skipped = false "
        b"WHERE skipped AND lower(username) = %%s AND created_at >= to_timestamp(%%s) RETURNING %b"
        % rows.ENTRY.encode(),
        [key(user), since_at],
    )
    return sorted((rows.entry(row) for row in wanted), key=lambda entry: entry.position)


def mark_reconciled(connection: Connected, reconciled_at: float | None) -> None:
    """Organizations that are done are reconciled since then, if that is told."""
    connection.execute("UPDATE pipetest.about SET unmarked = false")
    if reconciled_at is not None:
        connection.execute(EVERY_USER)
        connection.execute(
            "UPDATE pipetest.users SET listed_at = to_timestamp(%s) WHERE state = 'done'", [reconciled_at]
        )


def mark_unreconciled(connection: Connected) -> None:
    connection.execute("UPDATE pipetest.about SET unmarked = true")
    no_organization_is_reconciled(connection)


def no_organization_is_reconciled(connection: Connected) -> None:
    connection.execute(EVERY_USER)
    connection.execute("UPDATE pipetest.users SET listed_at = NULL WHERE listed_at IS NOT NULL")
