"""What requests may ask for, and how a request that breaks the rules is found out."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from pipetest.domain.errors import UNREADABLE
from pipetest.sandbox.calls import NUMBER, Call

T = TypeVar("T", bound=Struct)

MAX_LIMIT = 500
MAX_IDS = 100
MAX_CUSTOM_FIELDS = 15

_STATUSES = r"^(open|won|lost|deleted)(,(open|won|lost|deleted))*$"
_SEARCHED = r"^(address|custom_fields|notes|name)(,(address|custom_fields|notes|name))*$"

_IDS = rf"^{NUMBER}(,{NUMBER})*$"

_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"
"""Pipedrive refuses fractions of a second. It takes other zones than UTC as well; here they are refused."""

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Direction = Literal["asc", "desc"]


class Invalid(Exception):
    """The request breaks the API's rules: 400."""


# --- queries: Pipedrive knows more parameters; here they are refused --------------------------------------------------


class RecordQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one record may be asked for."""

    custom_fields: str | None = None


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every list may be asked for."""

    limit: Limit = 100
    cursor: str | None = None


class PipelineQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    sort_by: Literal["id", "update_time", "add_time"] = "id"
    sort_direction: Direction = "asc"


class StageQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    pipeline_id: int | None = None
    sort_by: Literal["id", "update_time", "add_time", "order_nr"] = "id"
    sort_direction: Direction = "asc"


class OrganizationQuery(PipelineQuery, frozen=True, forbid_unknown_fields=True):
    custom_fields: str | None = None
    ids: Annotated[str, Meta(pattern=_IDS)] | None = None
    updated_since: Annotated[str, Meta(pattern=_MOMENT)] | None = None


class DealQuery(OrganizationQuery, frozen=True, forbid_unknown_fields=True):
    org_id: int | None = None
    status: Annotated[str, Meta(pattern=_STATUSES)] = "open,won,lost"


class SearchQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    term: Annotated[str, Meta(min_length=1)]
    fields: Annotated[str, Meta(pattern=_SEARCHED)] = "name,address,notes,custom_fields"
    exact_match: bool = False


class NoQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Takes no parameter."""


def ids_in(ids: str) -> Collection[int]:
    """
    :raises Invalid: they are too many.
    """
    wanted = {int(number) for number in ids.split(",")}
    if len(wanted) > MAX_IDS:
        raise Invalid(f"ids: at most {MAX_IDS} are allowed")
    return wanted


def codes_in(custom_fields: str, known: Collection[str]) -> Sequence[str]:
    """Pipedrive's reference does not say what becomes of a key that is unknown; here it is refused.

    :raises Invalid: they are too many, or one of them is unknown.
    """
    codes = custom_fields.split(",")
    if len(codes) > MAX_CUSTOM_FIELDS:
        raise Invalid(f"custom_fields: at most {MAX_CUSTOM_FIELDS} keys are allowed")
    for code in codes:
        if code not in known:
            raise Invalid(f"custom_fields: Unknown key '{code}'")
    return codes


# --- decoding ---------------------------------------------------------------------------------------------------------


def body_of(call: Call, kind: type[T]) -> T:
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise Invalid("body: JSON was expected")
    try:
        return msgspec.json.decode(call.body or b"", type=kind)
    except UNREADABLE as e:
        raise Invalid(_error_text(str(e))) from None


def query_of(call: Call, kind: type[T]) -> T:
    try:
        return msgspec.convert(call.query, kind, strict=False)
    except msgspec.ValidationError as e:
        raise Invalid(_error_text(str(e))) from None


def _error_text(text: str) -> str:
    unknown = re.search("unknown field `(.*)`", text)
    return f"{unknown[1]}: Parameter '{unknown[1]}' is not allowed for this request" if unknown else text
