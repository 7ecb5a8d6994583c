"""What may be asked of the control port, as JSON."""

from msgspec import UNSET, Struct, UnsetType


class FaultOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /faults``: a kind of fault by its name, and the calls it shall meet: see ``Rule``.

    ``delay`` and ``applied`` replace those of the fault.
    """

    fault: str
    service: str | None = None
    method: str | None = None
    path: str = "/"
    times: int | None = 1
    chance: float = 1.0
    delay: float | UnsetType = UNSET
    applied: float | UnsetType = UNSET


class GistOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /gists``: this user, known or new, writes a gist now."""

    user: str
    id: str | None = None
    public: bool = True


class GitHubOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of GitHub's limits and ways, by the names they have there."""

    latency: float | UnsetType = UNSET
    deepest: int | UnsetType | None = UNSET
    per_page_most: int | UnsetType = UNSET
    without_token: int | UnsetType = UNSET
    with_token: int | UnsetType = UNSET
    points: int | UnsetType = UNSET
    primary_status: int | UnsetType = UNSET
    primary_retry_after: bool | UnsetType = UNSET
    secondary_status: int | UnsetType = UNSET
    secondary_retry_after: bool | UnsetType = UNSET


class PipedriveOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of Pipedrive's limits and ways, by the names they have there."""

    latency: float | UnsetType = UNSET
    key: str | UnsetType = UNSET
    page_ceiling: int | UnsetType = UNSET
    deleted_shown: bool | UnsetType = UNSET
    list_lag: float | UnsetType = UNSET
    search_lag: float | UnsetType = UNSET
    open_deals: int | UnsetType | None = UNSET
    burst: int | UnsetType = UNSET
    search_burst: int | UnsetType = UNSET
    daily_tokens: int | UnsetType | None = UNSET
    daily_writes: int | UnsetType | None = UNSET
    daily_retry_after: bool | UnsetType = UNSET
    block_after: int | UnsetType | None = UNSET
    block_s: float | UnsetType = UNSET


class SettingsOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /settings``: only what is named changes."""

    github: GitHubOrder = GitHubOrder()
    pipedrive: PipedriveOrder = PipedriveOrder()
