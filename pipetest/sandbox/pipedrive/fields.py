"""The fields of records: those that every record has, and those that a company has added (custom fields)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

_Varchar = Annotated[str, Meta(max_length=255)]
_Text = Annotated[str, Meta(max_length=65_535)]
_Date = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
_Time = Annotated[str, Meta(pattern=r"^\d{2}:\d{2}:\d{2}$")]


class _Money(Struct, forbid_unknown_fields=True):
    value: float
    currency: str


class _Dates(Struct, forbid_unknown_fields=True):
    value: _Date
    until: _Date


class _Moment(Struct):
    value: _Time


class _Times(Struct):
    value: _Time
    until: _Time


class _Address(Struct):
    value: str


VALUES: Mapping[str, Any] = {
    "varchar": _Varchar,
    "varchar_auto": _Varchar,
    "text": _Text,
    "phone": _Varchar,
    "double": float,
    "monetary": _Money,
    "date": _Date,
    "daterange": _Dates,
    "time": _Moment,
    "timerange": _Times,
    "address": _Address,
    "enum": int,
    "set": list[int],
    "user": int,
    "org": int,
    "people": int,
}
"""What a custom field of each type takes. Never null: somebody saw v2 refuse it."""


class FieldOption(Struct, frozen=True):
    """One of those that a field lets people choose from."""

    id: int
    label: str


class CrmField(Struct):
    """``code`` is the field's key in records. ``options`` is None where nothing is chosen from."""

    name: str
    code: str
    type: str
    custom: bool = False
    options: Sequence[FieldOption] | None = None

    def refusal(self, value: object) -> str | None:
        """Why it does not take this value; None where it does."""
        try:
            msgspec.convert(value, VALUES[self.type])
        except msgspec.ValidationError as e:
            return str(e)
        unknown = self.unknown_options(value) if self.options is not None else ()
        return f"Unknown option {unknown[0]}" if unknown else None

    def unknown_options(self, chosen: Any) -> Sequence[int]:
        known = {option.id for option in self.options or ()}
        return [option for option in (chosen if isinstance(chosen, list) else [chosen]) if option not in known]


class CrmFields:
    """The fields of one kind of record. The code of a deleted one never comes back."""

    def __init__(self, kind: str, own: Iterable[CrmField]) -> None:
        self._kind = kind
        self._by_code = {field.code: field for field in own}
        self._codes_made = 0
        self._options_made = 0

    @property
    def listed(self) -> Collection[CrmField]:
        return self._by_code.values()

    @property
    def custom(self) -> Mapping[str, CrmField]:
        return {code: field for code, field in self._by_code.items() if field.custom}

    @property
    def labels(self) -> CrmField:
        return self._by_code["label_ids"]

    def add(self, name: str, field_type: str = "varchar", options: Iterable[str] = ()) -> CrmField:
        """A new custom field; those of types enum and set have ``options``. Names need not be unique."""
        self._codes_made += 1
        code = blake2b(f"{self._kind} {self._codes_made}".encode(), digest_size=20).hexdigest()
        chosen_from = [self._option(label) for label in options] if field_type in {"enum", "set"} else None
        field = self._by_code[code] = CrmField(name, code, field_type, custom=True, options=chosen_from)
        return field

    def add_label(self, label: str) -> int:
        """The id of a new label of these records."""
        option = self._option(label)
        self.labels.options = [*(self.labels.options or ()), option]
        return option.id

    def rename(self, code: str, name: str) -> None:
        self._by_code[code].name = name

    def delete(self, code: str) -> None:
        """What records hold in it is no longer shown."""
        del self._by_code[code]

    def _option(self, label: str) -> FieldOption:
        self._options_made += 1
        return FieldOption(self._options_made, label)


def deal_fields() -> CrmFields:
    """Those of deals, as far as anybody asks for them."""
    return CrmFields(
        "deal",
        [
            CrmField("Title", "title", "varchar"),
            CrmField("Value", "value", "monetary"),
            CrmField("Owner", "owner_id", "user"),
            CrmField("Organization", "org_id", "org"),
            CrmField("Pipeline", "pipeline_id", "int"),
            CrmField("Stage", "stage_id", "stage"),
            CrmField("Status", "status", "status"),
            CrmField("Label", "label_ids", "set", options=[]),
        ],
    )


def organization_fields() -> CrmFields:
    return CrmFields(
        "organization",
        [
            CrmField("Name", "name", "varchar"),
            CrmField("Owner", "owner_id", "user"),
            CrmField("Address", "address", "address"),
            CrmField("Labels", "label_ids", "set", options=[]),
        ],
    )
