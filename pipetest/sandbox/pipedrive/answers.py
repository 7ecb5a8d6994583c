"""How Pipedrive's answers look."""

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any

import msgspec

from pipetest.domain.model import Reply
from pipetest.sandbox.pipedrive.company import CrmUser
from pipetest.sandbox.pipedrive.crm import Record
from pipetest.sandbox.pipedrive.fields import CrmField, CrmFields
from pipetest.sandbox.replies import as_json, pipedrive_error


def success(data: object, next_cursor: str | EllipsisType | None = ...) -> Reply:
    """Success. A list adds its next cursor, or None on its last page."""
    more = {} if next_cursor is ... else {"additional_data": {"next_cursor": next_cursor}}
    return as_json(200, {"success": True, "data": data, **more})


def whole_record(row: Record, fields: CrmFields) -> Reply:
    """Success, with the record and all its custom fields."""
    return success(record_of(row, list(fields.custom)))


def not_permitted(what: str) -> Reply:
    return pipedrive_error(403, f"You do not have permissions to {what}.")


def record_of(row: Record, codes: Iterable[str]) -> Mapping[str, Any]:
    """Its JSON with these custom fields, null where the record holds nothing."""
    values = row.fields["custom_fields"]
    return {**row.fields, "custom_fields": {code: values.get(code) for code in codes}}


def field_of(field: CrmField) -> Mapping[str, Any]:
    """``is_writable`` is not described; somebody has seen it."""
    return {
        "field_name": field.name,
        "field_code": field.code,
        "field_type": field.type,
        "options": msgspec.to_builtins(field.options),
        "subfields": None,
        "is_custom_field": field.custom,
        "is_optional_response_field": False,
        "is_writable": True,
    }


def user_of(user: CrmUser) -> Mapping[str, Any]:
    return {"id": user.id, "name": user.name, "email": user.email, "active_flag": user.active, "is_admin": 1}
