"""What Pipedrive keeps: organizations and deals, and what people do with them.

Names and titles need not be unique, ids grow, deletion only marks a record, and reads may lag behind writes. Times are
seconds since the epoch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from pipetest.sandbox.pipedrive.bodies import DealChanges, NewDeal, NewOrganization, OrganizationChanges
from pipetest.sandbox.pipedrive.company import Company
from pipetest.sandbox.replies import rfc3339

PURGED_AFTER_S = 30 * 24 * 3600.0
"""How long deleted records can still be read."""


class Record(Struct):
    """A record: ``fields`` is its JSON; reads show it from ``readable_at`` on, searches from ``searchable_at`` on.
    ``hidden``: the key's user cannot see it."""

    fields: dict[str, Any]
    readable_at: float
    searchable_at: float
    deleted_at: float | None = None
    hidden: bool = False

    @property
    def id(self) -> int:
        return int(self.fields["id"])

    def is_readable(self, now: float) -> bool:
        purged = self.deleted_at is not None and now >= self.deleted_at + PURGED_AFTER_S
        return self.readable_at <= now and not purged and not self.hidden

    def is_searchable(self, now: float) -> bool:
        return self.searchable_at <= now and not self.hidden


_ORGANIZATION: Mapping[str, Any] = {
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
    "person_id": None,
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
    ``organization_ids_apart`` is by how much ids of organizations grow, as they do where many were deleted.
    ``hides_new_…``: whether the key's user cannot see what is created from now on, its own included.
    ``may_add_…``: what that user is permitted to. All of them may be changed at any time.
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
        self.hides_new_organizations = False
        self.hides_new_deals = False
        self.may_add_organizations = True
        self.may_add_deals = True
        self.company = Company(wall)
        self.organizations: dict[int, Record] = {}
        self.deals: dict[int, Record] = {}
        self.deals_of: dict[int | None, list[Record]] = {}
        self.waiting_list: list[NewDeal] = []

    def add_organization(self, new: NewOrganization, now: float) -> Record:
        apart = self.organization_ids_apart
        row = self._row(max(self.organizations, default=1 - apart) + apart, _ORGANIZATION, new, now)
        row.hidden = self.hides_new_organizations
        self.organizations[row.id] = row
        return row

    def add_deal(self, new: NewDeal, now: float) -> Record:
        row = self._row(len(self.deals) + 1, _DEAL, new, now)
        row.hidden = self.hides_new_deals
        place = self._place(row.fields.get("pipeline_id"), row.fields.get("stage_id"))
        row.fields.update(creator_user_id=self.company.me.id, **place)
        self.deals[row.id] = row
        self.deals_of.setdefault(new.org_id, []).append(row)
        return row

    def put_on_waiting_list(self, new: NewDeal) -> None:
        self.waiting_list.append(new)

    def _row(self, row_id: int, defaults: Mapping[str, Any], new: Struct, now: float) -> Record:
        at = rfc3339(now)
        own = {"id": row_id, "owner_id": self.company.me.id, "add_time": at, "update_time": at}
        fields = {**defaults, **own, "label_ids": [], "custom_fields": {}, **msgspec.to_builtins(new)}
        searchable_at = now + max(self.list_lag, self.search_lag)
        return Record(fields, now + self.list_lag, searchable_at)

    def _place(self, pipeline_id: int | None, stage_id: int | None = None) -> Mapping[str, int]:
        """Pipeline and stage of a deal that names these; where one of them is gone, the first that is left."""
        for stage in (
            self.company.stage_for(pipeline_id, stage_id),
            self.company.stage_for(pipeline_id),
            self.company.stage_for(),
        ):
            if stage is not None:
                return {"pipeline_id": stage.pipeline_id, "stage_id": stage.id}
        raise ValueError("no stage is left")

    @property
    def open_deals_reached(self) -> bool:
        """Whether the limit of open deals is reached."""
        return self.open_deals is not None and self.open_deals <= sum(
            row.fields["status"] == "open" and not row.fields["is_archived"] for row in self.deals.values()
        )

    # --- what people do -----------------------------------------------------------------------------------------------

    def win_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], status="won", won_time=rfc3339(self._wall()))

    def lose_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], status="lost", lost_time=rfc3339(self._wall()))

    def archive_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], is_archived=True, archive_time=rfc3339(self._wall()))

    def unarchive_deal(self, deal_id: int) -> None:
        self._change(self.deals[deal_id], is_archived=False, archive_time=None)

    def rename_deal(self, deal_id: int, title: str) -> None:
        self._change(self.deals[deal_id], title=title)

    def change_deal(self, deal_id: int, changes: DealChanges) -> None:
        """A custom field that is set to None is empty from now on."""
        deal = self.deals[deal_id]
        if changes.org_id is not UNSET:
            self.move_deal(deal_id, changes.org_id)
        self._change_to(deal, changes)
        if changes.stage_id is UNSET and changes.pipeline_id is not UNSET:
            deal.fields.update(self._place(changes.pipeline_id))
        deal.fields.update(self._place(None, deal.fields["stage_id"]))

    def hide_deal(self, deal_id: int) -> None:
        """From the key's user."""
        self.deals[deal_id].hidden = True

    def delete_deal(self, deal_id: int) -> None:
        self._delete(self.deals[deal_id])
        self.deals[deal_id].fields["status"] = "deleted"

    def delete_organization(self, organization_id: int) -> None:
        """Searches still find it, and do not tell that it is deleted; its deals stay as they are."""
        self._delete(self.organizations[organization_id])

    def rename_organization(self, organization_id: int, name: str) -> None:
        self._change(self.organizations[organization_id], name=name)

    def change_organization(self, organization_id: int, changes: OrganizationChanges) -> None:
        self._change_to(self.organizations[organization_id], changes)

    def hide_organization(self, organization_id: int) -> None:
        self.organizations[organization_id].hidden = True

    def show_all(self) -> None:
        """From now on the key's user sees everything."""
        self.hides_new_organizations = self.hides_new_deals = False
        for record in (*self.organizations.values(), *self.deals.values()):
            record.hidden = False

    def move_deal(self, deal_id: int, organization_id: int | None) -> None:
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

    def merge_deals(self, merged_id: int, into_id: int) -> None:
        """One of them is deleted. The other one takes from it only what it has no value of its own for."""
        merged, into = self.deals[merged_id], self.deals[into_id]
        if into.fields["org_id"] is None:
            self.move_deal(into_id, merged.fields["org_id"])
        both = {**merged.fields["custom_fields"], **_filled(into.fields["custom_fields"])}
        self._change(into, **{**merged.fields, **_filled(into.fields), "custom_fields": both})
        self.delete_deal(merged_id)

    def delete_stage(self, stage_id: int) -> None:
        """Its deals go to the first stage of their pipeline."""
        self.company.delete_stage(stage_id)
        self._leave_deleted_stages()

    def delete_pipeline(self, pipeline_id: int) -> None:
        """Its deals go to the default pipeline."""
        self.company.delete_pipeline(pipeline_id)
        self._leave_deleted_stages()

    def import_waiting_list(self) -> None:
        """Create the deals that the limit of open deals had refused."""
        waiting, self.waiting_list = self.waiting_list, []
        for new in waiting:
            self.add_deal(new, self._wall())

    def _leave_deleted_stages(self) -> None:
        for deal in self.deals.values():
            if self.company.stages[deal.fields["stage_id"]].is_deleted:
                self._change(deal, **self._place(deal.fields["pipeline_id"]))

    def _delete(self, row: Record) -> None:
        self._change(row, is_deleted=True)
        row.deleted_at = self._wall()

    def _change(self, row: Record, **changes: object) -> None:
        row.fields.update(changes, update_time=rfc3339(self._wall()))

    def _change_to(self, row: Record, changes: DealChanges | OrganizationChanges) -> None:
        named = msgspec.to_builtins(changes)
        if "custom_fields" in named:
            named["custom_fields"] = {**row.fields["custom_fields"], **named["custom_fields"]}
        self._change(row, **named)


def _filled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [])}
