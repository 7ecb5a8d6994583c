"""What Pipedrive keeps: organizations and deals, and what people do with them.

Names and titles need not be unique, ids grow, deletion only marks a record, and reads may lag behind writes. Times are
seconds since the epoch.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pipetest.sandbox.replies import rfc3339


class NewOrganization(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a create: a name, and whatever else Pipedrive's reference allows."""

    name: Annotated[str, Meta(min_length=1)]
    owner_id: int | UnsetType = UNSET
    add_time: str | UnsetType = UNSET
    visible_to: int | UnsetType = UNSET
    label_ids: list[int] | UnsetType = UNSET
    address: dict[str, str] | UnsetType = UNSET
    website: str | UnsetType | None = UNSET
    linkedin: str | UnsetType | None = UNSET
    industry: int | UnsetType | None = UNSET
    annual_revenue: int | UnsetType | None = UNSET
    employee_count: int | UnsetType | None = UNSET
    custom_fields: dict[str, Any] | UnsetType = UNSET


class NewDeal(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a create: a title, and whatever else Pipedrive's reference allows."""

    title: Annotated[str, Meta(min_length=1, max_length=255)]
    org_id: int | None = None
    person_id: int | UnsetType | None = UNSET
    owner_id: int | UnsetType = UNSET
    pipeline_id: int | UnsetType = UNSET
    stage_id: int | UnsetType = UNSET
    value: float | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    status: Literal["open", "won", "lost"] | UnsetType = UNSET
    probability: float | UnsetType = UNSET
    lost_reason: str | UnsetType = UNSET
    visible_to: int | UnsetType = UNSET
    close_time: str | UnsetType = UNSET
    won_time: str | UnsetType = UNSET
    lost_time: str | UnsetType = UNSET
    expected_close_date: str | UnsetType = UNSET
    label_ids: list[int] | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    archive_time: str | UnsetType | None = UNSET
    is_deleted: Literal[False] | UnsetType = UNSET
    custom_fields: dict[str, Any] | UnsetType = UNSET


class Record(Struct):
    """A record: ``fields`` is its JSON; reads show it from ``readable_at`` on, searches from ``searchable_at`` on."""

    fields: dict[str, Any]
    readable_at: float
    searchable_at: float
    deleted_at: float | None = None

    @property
    def id(self) -> int:
        return int(self.fields["id"])


_ORGANIZATION: Mapping[str, Any] = {
    "owner_id": 1,
    "visible_to": 3,
    "is_deleted": False,
    "address": None,
    "website": None,
    "linkedin": None,
    "industry": None,
    "annual_revenue": None,
    "employee_count": None,
}

_DEAL: Mapping[str, Any] = {
    "creator_user_id": 1,
    "owner_id": 1,
    "person_id": None,
    "pipeline_id": 1,
    "stage_id": 1,
    "value": 0,
    "currency": "EUR",
    "status": "open",
    "visible_to": 3,
    "is_deleted": False,
    "is_archived": False,
    "origin": "API",
    **dict.fromkeys(("probability", "lost_reason", "archive_time", "stage_change_time", "expected_close_date")),
    **dict.fromkeys(("close_time", "won_time", "lost_time")),
    **dict.fromkeys(("origin_id", "channel", "channel_id", "acv", "arr", "mrr")),
}


class Crm:
    """All records of one company. ``wall`` tells the seconds since the epoch.

    ``list_lag`` and ``search_lag`` are the seconds after which reads, and searches, show what is created from now on.
    ``open_deals`` is the limit of open deals, None without one; a deal that it refuses goes to ``waiting_list``.
    ``organization_ids_apart`` is by how much ids of organizations grow, as they do where many were deleted. All of them
    may be changed at any time.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        *,
        list_lag: float = 0.0,
        search_lag: float = 0.0,
        open_deals: int | None = None,
    ) -> None:
        self._wall = wall
        self.list_lag = list_lag
        self.search_lag = search_lag
        self.open_deals = open_deals
        self.organization_ids_apart = 1
        self.organizations: dict[int, Record] = {}
        self.deals: dict[int, Record] = {}
        self.deals_of: dict[int | None, list[Record]] = {}
        self.waiting_list: list[NewDeal] = []

    def add_organization(self, new: NewOrganization, now: float) -> Record:
        apart = self.organization_ids_apart
        row = self._row(max(self.organizations, default=1 - apart) + apart, _ORGANIZATION, new, now)
        self.organizations[row.id] = row
        return row

    def add_deal(self, new: NewDeal, now: float) -> Record:
        row = self._row(len(self.deals) + 1, _DEAL, new, now)
        self.deals[row.id] = row
        self.deals_of.setdefault(new.org_id, []).append(row)
        return row

    def put_on_waiting_list(self, new: NewDeal) -> None:
        self.waiting_list.append(new)

    def _row(self, row_id: int, defaults: Mapping[str, Any], new: Struct, now: float) -> Record:
        at = rfc3339(now)
        own = {"id": row_id, "add_time": at, "update_time": at, "label_ids": [], "custom_fields": {}}
        fields = {**defaults, **own, **msgspec.to_builtins(new)}
        return Record(fields, now + self.list_lag, now + max(self.list_lag, self.search_lag))

    @property
    def open_deals_reached(self) -> bool:
        """Whether the limit of open deals is reached."""
        return self.open_deals is not None and self.open_deals <= sum(
            row.fields["status"] == "open" and not row.fields["is_archived"] for row in self.deals.values()
        )

    # --- what people do ---------------------------------------------------------------------------------------------

    def win_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], status="won", won_time=rfc3339(self._wall()))

    def lose_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], status="lost", lost_time=rfc3339(self._wall()))

    def archive_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], is_archived=True, archive_time=rfc3339(self._wall()))

    def rename_deal(self, deal_id: int, title: str) -> None:
        self._change(self.deals[deal_id], title=title)

    def delete_deal(self, deal_id: int) -> None:
        self._delete(self.deals[deal_id])
        self.deals[deal_id].fields["status"] = "deleted"

    def delete_organization(self, organization_id: int) -> None:
        """Searches still find it, and do not tell that it is deleted; its deals stay as they are."""
        self._delete(self.organizations[organization_id])

    def rename_organization(self, organization_id: int, name: str) -> None:
        self._change(self.organizations[organization_id], name=name)

    def move_deal(self, deal_id: int, organization_id: int) -> None:
        deal = self.deals[deal_id]
        self.deals_of[deal.fields["org_id"]].remove(deal)
        self.deals_of.setdefault(organization_id, []).append(deal)
        self._change(deal, org_id=organization_id)

    def merge_organizations(self, merged_id: int, into_id: int) -> None:
        """One of them is deleted, and its deals are in the other one from now on."""
        for deal in list(self.deals_of.get(merged_id, [])):
            self.move_deal(deal.id, into_id)
        self._change(self.organizations[into_id])
        self.delete_organization(merged_id)

    def import_waiting_list(self) -> None:
        """Create the deals that the limit of open deals had refused."""
        waiting, self.waiting_list = self.waiting_list, []
        for new in waiting:
            self.add_deal(new, self._wall())

    def _delete(self, row: Record) -> None:
        self._change(row, is_deleted=True)
        row.deleted_at = self._wall()

    def _change(self, row: Record, **changes: object) -> None:
        row.fields.update(changes, update_time=rfc3339(self._wall()))
