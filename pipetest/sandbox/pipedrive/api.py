"""Pipedrive's API v2 as far as organizations and deals need it. Sources of its behaviour: its API reference, the v2
migration guide, "Core API concepts"; and what others saw when they called it."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import EllipsisType
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from pipetest.domain.model import Reply
from pipetest.sandbox.calls import Call
from pipetest.sandbox.pipedrive.crm import Crm, NewDeal, NewOrganization, Record
from pipetest.sandbox.pipedrive.paging import page
from pipetest.sandbox.replies import as_json, pipedrive_error

T = TypeVar("T", bound=Struct)

PURGED_AFTER_S = 30 * 24 * 3600.0
"""How long deleted records can still be read."""

MAX_LIMIT = 500
MAX_IDS = 100
_STATUSES = r"^(open|won|lost|deleted)(,(open|won|lost|deleted))*$"

_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"
"""Pipedrive refuses fractions of a second. It takes other zones than UTC as well; here they are refused."""

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]


class OrganizationQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """What a list of organizations may be asked for. Pipedrive knows more parameters; here they are refused."""

    limit: Limit = 100
    cursor: str | None = None
    ids: Annotated[str, Meta(pattern=r"^\d+(,\d+)*$")] | None = None
    sort_by: Literal["id", "update_time", "add_time"] = "id"
    sort_direction: Literal["asc", "desc"] = "asc"
    updated_since: Annotated[str, Meta(pattern=_MOMENT)] | None = None


class DealQuery(OrganizationQuery, frozen=True, forbid_unknown_fields=True):
    org_id: int | None = None
    status: Annotated[str, Meta(pattern=_STATUSES)] = "open,won,lost"


class SearchQuery(Struct, frozen=True, forbid_unknown_fields=True):
    term: Annotated[str, Meta(min_length=1)]
    fields: Annotated[
        str, Meta(pattern="^(address|custom_fields|notes|name)(,(address|custom_fields|notes|name))*$")
    ] = "name,address,notes,custom_fields"
    exact_match: bool = False
    limit: Limit = 100
    cursor: str | None = None


class Invalid(Exception):
    """The request breaks the API's rules: 400."""


class PipedriveApi:
    """The rules. ``key`` is the one valid API key.

    ``page_ceiling`` is how many rows are looked at for one page, whatever limit was asked for. Hidden rows among them
    are left out, so that a page with a cursor may be short or even empty. ``deleted_shown``: whether a deleted record
    can be read by id, marked ``is_deleted``, or is 404; the real one is said to do either. All may be changed at any
    time.
    """

    name = "Pipedrive"

    def __init__(self, crm: Crm, key: str, *, page_ceiling: int = MAX_LIMIT, deleted_shown: bool = False) -> None:
        self.crm = crm
        self.key = key
        self.page_ceiling = page_ceiling
        self.deleted_shown = deleted_shown
        self._handlers: Mapping[str, Callable[[Call, float], Reply]] = {
            "POST /api/v2/organizations": self._add_organization,
            "POST /api/v2/deals": self._add_deal,
            "GET /api/v1/users/me": self._me,
            "GET /api/v2/organizations": self._organizations,
            "GET /api/v2/organizations/search": self._search,
            "GET /api/v2/organizations/{id}": self._organization,
            "GET /api/v2/deals": self._deals,
            "GET /api/v2/deals/archived": self._archived,
            "GET /api/v2/deals/{id}": self._deal,
        }

    def route(self, call: Call) -> str:
        path = "/".join("{id}" if segment.isdecimal() else segment for segment in call.path)
        return f"{call.method} /{path}"

    def identify(self, call: Call) -> str | Reply:
        key = call.headers.get("x-api-token")
        if key != self.key:
            return pipedrive_error(401, "unauthorized access", errorCode=401)
        return key

    def answer(self, call: Call, client: str, now: float) -> Reply:
        handler = self._handlers.get(self.route(call))
        if handler is None:
            return self._not_handled(call)
        try:
            return handler(call, now)
        except Invalid as e:
            return pipedrive_error(400, f"Validation failed: {e}", code="ERR_SCHEMA_VALIDATION_FAILED")

    def _not_handled(self, call: Call) -> Reply:
        """A route that the sandbox does not have; or one of v1, which had these records once."""
        if "v1" in call.path[:2] and ("deals" in call.path or "organizations" in call.path):
            return pipedrive_error(410, "This endpoint has been removed. Please use API v2.")
        path = self.route(call).partition(" ")[2]
        if any(route.endswith(f" {path}") for route in self._handlers):
            return pipedrive_error(405, "Method not allowed")
        return pipedrive_error(404, "Not found")

    # --- creates ------------------------------------------------------------------------------------------------------

    def _add_organization(self, call: Call, now: float) -> Reply:
        return _success(self.crm.add_organization(_body(call, NewOrganization), now).fields)

    def _add_deal(self, call: Call, now: float) -> Reply:
        new = _body(call, NewDeal)
        if new.org_id is not None:
            organization = self.crm.organizations.get(new.org_id)
            if organization is None or organization.deleted_at is not None:
                raise Invalid(f"org_id: Organization with id {new.org_id} was not found")
        if self.crm.open_deals_reached:
            self.crm.put_on_waiting_list(new)
            reason = "Couldn't add the deal. Open deals limit reached."
            return pipedrive_error(403, reason, code="feature_capping_deals_limit")
        return _success(self.crm.add_deal(new, now).fields)

    # --- reads --------------------------------------------------------------------------------------------------------

    def _me(self, call: Call, now: float) -> Reply:
        return _success(
            {"id": 1, "name": "Sandbox", "email": "sandbox@example.com", "active_flag": True, "is_admin": 1}
        )

    def _organization(self, call: Call, now: float) -> Reply:
        return self._one(self.crm.organizations, call, now, "Organization")

    def _deal(self, call: Call, now: float) -> Reply:
        return self._one(self.crm.deals, call, now, "Deal")

    def _one(self, rows: Mapping[int, Record], call: Call, now: float, what: str) -> Reply:
        row = rows.get(int(call.path[-1]))
        if row is None or not _readable(row, now) or (row.deleted_at is not None and not self.deleted_shown):
            return pipedrive_error(404, f"{what} not found")
        return _success(row.fields)

    def _organizations(self, call: Call, now: float) -> Reply:
        query = _query(call, OrganizationQuery)
        rows = _with_ids(self.crm.organizations.values(), query.ids)
        return self._page(rows, query, lambda row: row.deleted_at is None and _readable(row, now))

    def _deals(self, call: Call, now: float, *, archived: bool = False) -> Reply:
        query = _query(call, DealQuery)
        statuses = query.status.split(",")
        every = self.crm.deals.values() if query.org_id is None else self.crm.deals_of.get(query.org_id, [])

        rows = (row for row in _with_ids(every, query.ids) if row.fields["is_archived"] is archived)
        return self._page(rows, query, lambda row: row.fields["status"] in statuses and _readable(row, now))

    def _archived(self, call: Call, now: float) -> Reply:
        return self._deals(call, now, archived=True)

    def _page(self, rows: Iterable[Record], query: OrganizationQuery, visible: Callable[[Record], bool]) -> Reply:
        descending = query.sort_direction == "desc"
        if query.updated_since is not None:
            rows = [row for row in rows if row.fields["update_time"] >= query.updated_since]
        window, cursor = self._window(rows, query.limit, query.cursor, query.sort_by, descending=descending)
        return _success([row.fields for row in window if visible(row)], cursor)

    def _search(self, call: Call, now: float) -> Reply:
        """Searches know of a record later than lists do; they find deleted ones, too, and do not tell that they are."""
        query = _query(call, SearchQuery)
        if len(query.term) < 2 and not query.exact_match:
            raise Invalid("term: length must be at least 2 characters long")
        hits = (
            row
            for row in self.crm.organizations.values()
            if row.searchable_at <= now and any(_matches(query, text) for text in _searched(query, row))
        )
        window, cursor = self._window(hits, query.limit, query.cursor)
        return _success({"items": [{"result_score": 0.3, "item": _hit(row)} for row in window]}, cursor)

    def _window(
        self, rows: Iterable[Record], limit: int, cursor: str | None, sort_by: str = "id", *, descending: bool = False
    ) -> tuple[Sequence[Record], str | None]:
        size = min(limit, self.page_ceiling)
        try:
            return page(rows, sort_by=sort_by, descending=descending, cursor=cursor, size=size)
        except ValueError:
            raise Invalid("cursor: Invalid cursor") from None


def _success(data: object, next_cursor: str | EllipsisType | None = ...) -> Reply:
    """Success. A list adds its next cursor, or None on its last page."""
    more = {} if next_cursor is ... else {"additional_data": {"next_cursor": next_cursor}}
    return as_json(200, {"success": True, "data": data, **more})


# --- bodies and queries -----------------------------------------------------------------------------------------------


def _body(call: Call, kind: type[T]) -> T:
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise Invalid("body: JSON was expected")
    try:
        return msgspec.json.decode(call.body or b"", type=kind)
    except msgspec.DecodeError as e:
        raise Invalid(_error_text(str(e))) from None


def _query(call: Call, kind: type[T]) -> T:
    try:
        return msgspec.convert(call.query, kind, strict=False)
    except msgspec.ValidationError as e:
        raise Invalid(_error_text(str(e))) from None


def _error_text(text: str) -> str:
    unknown = re.search("unknown field `(.*)`", text)
    return f"{unknown[1]}: Parameter '{unknown[1]}' is not allowed for this request" if unknown else text


def _with_ids(rows: Iterable[Record], ids: str | None) -> Iterable[Record]:
    if ids is None:
        return rows
    wanted = {int(number) for number in ids.split(",")}
    if len(wanted) > MAX_IDS:
        raise Invalid(f"ids: at most {MAX_IDS} are allowed")
    return (row for row in rows if row.id in wanted)


def _readable(row: Record, now: float) -> bool:
    return row.readable_at <= now and (row.deleted_at is None or now < row.deleted_at + PURGED_AFTER_S)


# --- search -----------------------------------------------------------------------------------------------------------


def _searched(query: SearchQuery, row: Record) -> Iterable[str]:
    if "name" in query.fields:
        yield row.fields["name"]
    if "address" in query.fields and row.fields["address"] is not None:
        yield row.fields["address"]["value"]


def _matches(query: SearchQuery, text: str) -> bool:
    term, text = query.term.casefold(), text.casefold()
    return term == text if query.exact_match else term in text


def _hit(row: Record) -> dict[str, Any]:
    address = row.fields["address"]
    return {
        "id": row.id,
        "type": "organization",
        "name": row.fields["name"],
        "address": address and address["value"],
        "visible_to": row.fields["visible_to"],
        "owner": {"id": row.fields["owner_id"]},
        "custom_fields": [],
        "notes": [],
    }
