"""Pipedrive's API v2 as far as organizations and deals need it. Sources of its behaviour: its API reference, the v2
migration guide, "Core API concepts"; and what others saw when they called it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pipetest.domain.model import Reply
from pipetest.sandbox.calls import Call, number_in
from pipetest.sandbox.pipedrive.answers import field_of, not_permitted, record_of, success, user_of, whole_record
from pipetest.sandbox.pipedrive.bodies import DealChanges, NewDeal, NewOrganization, OrganizationChanges
from pipetest.sandbox.pipedrive.company import Company, SalesPipeline, SalesStage
from pipetest.sandbox.pipedrive.crm import Crm, Record
from pipetest.sandbox.pipedrive.fields import CrmFields
from pipetest.sandbox.pipedrive.paging import Position, page
from pipetest.sandbox.pipedrive.references import check_deal, check_organization
from pipetest.sandbox.pipedrive.requests import (
    MAX_LIMIT,
    DealQuery,
    Invalid,
    NoQuery,
    OrganizationQuery,
    PageQuery,
    PipelineQuery,
    RecordQuery,
    SearchQuery,
    StageQuery,
    body_of,
    codes_in,
    ids_in,
    query_of,
)
from pipetest.sandbox.pipedrive.search import found, hit
from pipetest.sandbox.replies import pipedrive_error

T = TypeVar("T")


class PipedriveApi:
    """The rules. ``key`` is the one valid API key.

    ``page_ceiling`` is how many rows are looked at for one page, whatever limit was asked for. Hidden rows among them
    are left out, so that a page with a cursor may be short or even empty. ``deleted_shown``: whether what is deleted
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
            "PATCH /api/v2/organizations/{id}": self._change_organization,
            "PATCH /api/v2/deals/{id}": self._change_deal,
            "GET /api/v2/organizations": self._organizations,
            "GET /api/v2/organizations/search": self._search,
            "GET /api/v2/organizations/{id}": self._organization,
            "GET /api/v2/deals": self._deals,
            "GET /api/v2/deals/archived": self._archived,
            "GET /api/v2/deals/{id}": self._deal,
            "GET /api/v2/dealFields": self._deal_fields,
            "GET /api/v2/organizationFields": self._organization_fields,
            "GET /api/v2/pipelines": self._pipelines,
            "GET /api/v2/stages": self._stages,
            "GET /api/v1/users": self._users,
            "GET /api/v1/users/me": self._me,
        }

    @property
    def _company(self) -> Company:
        return self.crm.company

    def route(self, call: Call) -> str:
        path = "/".join(segment if number_in(segment) is None else "{id}" for segment in call.path)
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
        if "v1" in call.path[:2] and {"deals", "organizations", "pipelines", "stages"} & set(call.path):
            return pipedrive_error(410, "This endpoint has been removed. Please use API v2.")
        path = self.route(call).partition(" ")[2]
        if any(route.endswith(f" {path}") for route in self._handlers):
            return pipedrive_error(405, "Method not allowed")
        return pipedrive_error(404, "Not found")

    # --- creates and changes ------------------------------------------------------------------------------------------

    def _add_organization(self, call: Call, now: float) -> Reply:
        new = body_of(call, NewOrganization)
        check_organization(new, self.crm)
        if not self.crm.may_add_organizations:
            return not_permitted("add organizations")
        return whole_record(self.crm.add_organization(new, now), self._company.organization_fields)

    def _add_deal(self, call: Call, now: float) -> Reply:
        new = body_of(call, NewDeal)
        check_deal(new, self.crm)
        if not self.crm.may_add_deals:
            return not_permitted("add deals")
        if self.crm.open_deals_reached:
            self.crm.put_on_waiting_list(new)
            reason = "Couldn't add the deal. Open deals limit reached."
            return pipedrive_error(403, reason, code="feature_capping_deals_limit")
        return whole_record(self.crm.add_deal(new, now), self._company.deal_fields)

    def _change_organization(self, call: Call, now: float) -> Reply:
        changes = body_of(call, OrganizationChanges)
        check_organization(changes, self.crm)
        row = _living(self.crm.organizations, call, now)
        if row is None:
            return pipedrive_error(404, "Organization not found")
        self.crm.change_organization(row.id, changes)
        return whole_record(row, self._company.organization_fields)

    def _change_deal(self, call: Call, now: float) -> Reply:
        changes = body_of(call, DealChanges)
        check_deal(changes, self.crm)
        row = _living(self.crm.deals, call, now)
        if row is None:
            return pipedrive_error(404, "Deal not found")
        if row.fields["is_archived"]:
            raise Invalid("an archived deal cannot be changed")
        self.crm.change_deal(row.id, changes)
        return whole_record(row, self._company.deal_fields)

    # --- reads of records ---------------------------------------------------------------------------------------------

    def _organization(self, call: Call, now: float) -> Reply:
        return self._one(self.crm.organizations, self._company.organization_fields, call, now, "Organization")

    def _deal(self, call: Call, now: float) -> Reply:
        return self._one(self.crm.deals, self._company.deal_fields, call, now, "Deal")

    def _one(self, rows: Mapping[int, Record], fields: CrmFields, call: Call, now: float, what: str) -> Reply:
        query = query_of(call, RecordQuery)
        row = rows.get(int(call.path[-1]))
        if row is None or not row.is_readable(now) or (row.deleted_at is not None and not self.deleted_shown):
            return pipedrive_error(404, f"{what} not found")
        return success(record_of(row, _codes(query.custom_fields, fields)))

    def _organizations(self, call: Call, now: float) -> Reply:
        query = query_of(call, OrganizationQuery)
        rows = _with_ids(self.crm.organizations.values(), query.ids)
        fields = self._company.organization_fields
        return self._rows(rows, query, fields, lambda row: row.deleted_at is None and row.is_readable(now))

    def _deals(self, call: Call, now: float, *, archived: bool = False) -> Reply:
        query = query_of(call, DealQuery)
        statuses = query.status.split(",")
        every = self.crm.deals.values() if query.org_id is None else self.crm.deals_of.get(query.org_id, [])
        rows = (row for row in _with_ids(every, query.ids) if row.fields["is_archived"] is archived)
        fields = self._company.deal_fields
        return self._rows(rows, query, fields, lambda row: row.fields["status"] in statuses and row.is_readable(now))

    def _archived(self, call: Call, now: float) -> Reply:
        return self._deals(call, now, archived=True)

    def _rows(
        self, rows: Iterable[Record], query: OrganizationQuery, fields: CrmFields, visible: Callable[[Record], bool]
    ) -> Reply:
        if query.updated_since is not None:
            rows = [row for row in rows if row.fields["update_time"] >= query.updated_since]
        codes = _codes(query.custom_fields, fields)

        def position(row: Record) -> Position:
            return row.fields[query.sort_by], row.id

        window, cursor = self._window(rows, position, query, descending=query.sort_direction == "desc")
        return success([record_of(row, codes) for row in window if visible(row)], cursor)

    def _search(self, call: Call, now: float) -> Reply:
        query = query_of(call, SearchQuery)
        window, cursor = self._window(found(query, self.crm.organizations.values(), now), _by_id, query)
        return success({"items": [{"result_score": 0.3, "item": hit(row)} for row in window]}, cursor)

    # --- reads of what the company has set up -------------------------------------------------------------------------

    def _deal_fields(self, call: Call, now: float) -> Reply:
        return self._fields(call, self._company.deal_fields)

    def _organization_fields(self, call: Call, now: float) -> Reply:
        return self._fields(call, self._company.organization_fields)

    def _fields(self, call: Call, fields: CrmFields) -> Reply:
        query = query_of(call, PageQuery)
        window, cursor = self._window(enumerate(fields.listed), lambda numbered: (numbered[0], 0), query)
        return success([field_of(field) for _, field in window], cursor)

    def _pipelines(self, call: Call, now: float) -> Reply:
        return self._set_up(self._company.pipelines.values(), query_of(call, PipelineQuery))

    def _stages(self, call: Call, now: float) -> Reply:
        query = query_of(call, StageQuery)
        every = self._company.stages.values()
        return self._set_up([stage for stage in every if query.pipeline_id in {None, stage.pipeline_id}], query)

    def _set_up(self, rows: Iterable[SalesPipeline | SalesStage], query: PipelineQuery | StageQuery) -> Reply:
        shown = (row for row in rows if self.deleted_shown or not row.is_deleted)

        def position(row: SalesPipeline | SalesStage) -> Position:
            return getattr(row, query.sort_by), row.id

        window, cursor = self._window(shown, position, query, descending=query.sort_direction == "desc")
        return success(window, cursor)

    def _users(self, call: Call, now: float) -> Reply:
        query_of(call, NoQuery)
        return success([user_of(user) for user in self._company.users.values()])

    def _me(self, call: Call, now: float) -> Reply:
        return success(user_of(self._company.me))

    # --- answers ------------------------------------------------------------------------------------------------------

    def _window(
        self, rows: Iterable[T], position: Callable[[T], Position], query: PageQuery, *, descending: bool = False
    ) -> tuple[Sequence[T], str | None]:
        size = min(query.limit, self.page_ceiling)
        try:
            return page(rows, position, descending=descending, cursor=query.cursor, size=size)
        except ValueError:
            raise Invalid("cursor: Invalid cursor") from None


def _codes(custom_fields: str | None, fields: CrmFields) -> Sequence[str]:
    """The custom fields to show: those that are asked for, or all there are."""
    return list(fields.custom) if custom_fields is None else codes_in(custom_fields, fields.custom)


def _by_id(row: Record) -> Position:
    return row.id, row.id


def _with_ids(rows: Iterable[Record], ids: str | None) -> Iterable[Record]:
    if ids is None:
        return rows
    wanted = ids_in(ids)
    return (row for row in rows if row.id in wanted)


def _living(rows: Mapping[int, Record], call: Call, now: float) -> Record | None:
    row = rows.get(int(call.path[-1]))
    return row if row is not None and row.deleted_at is None and row.is_readable(now) else None
