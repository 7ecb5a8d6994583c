"""The bodies of creates and changes: every key that Pipedrive's reference allows, and no other."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Name = Annotated[str, Meta(min_length=1)]
Title = Annotated[str, Meta(min_length=1, max_length=255)]


class OrganizationChanges(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Only what is named changes."""

    name: Name | UnsetType = UNSET
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


class NewOrganization(OrganizationChanges, frozen=True, forbid_unknown_fields=True):
    """A name, and whatever else."""

    name: Name


class DealChanges(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Only what is named changes."""

    title: Title | UnsetType = UNSET
    org_id: int | UnsetType | None = UNSET
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


class NewDeal(DealChanges, frozen=True, forbid_unknown_fields=True):
    """A title, and whatever else."""

    title: Title
    org_id: int | None = None
