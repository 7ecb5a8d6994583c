"""From the names in a template to what Pipedrive knows them by, or what doesn't fit. Pure.

Source of what is said about Pipedrive here: its API reference (pipelines, stages, users, deal and organization fields).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pipetest.domain.model import key
from pipetest.domain.template import Field, Ids, Misfit, Name, OrganizationIds, Pattern, Template
from pipetest.domain.text import printable

LENGTHS: Mapping[str, int] = {"varchar": 255, "varchar_auto": 255, "text": 65_000}
"""Characters that fields of these types hold: those of text."""

LABELS = ("label_ids", "label")
"""The code of the field whose options are the labels, in v2 and as it was in v1."""

_CODE = re.compile(r"[0-9A-Za-z_]{1,100}")

MOST_TOLD = 20
"""An error names so many of those that there are."""


class CatalogRow(Struct):
    """A pipeline, a stage or a user. Of it nothing is taken for granted: one without an id or a name is nobody's."""

    id: Any = None
    name: Any = None
    email: Any = None
    pipeline_id: Any = None
    is_deleted: Any = None
    active_flag: Any = None


class FieldRow(Struct):
    field_name: Any = None
    field_code: Any = None
    field_type: Any = None
    is_custom_field: Any = None
    options: Any = None

    @property
    def id(self) -> Any:
        return self.field_code


class Catalog(Struct, frozen=True):
    """What there is in Pipedrive, as far as a template asks for it."""

    pipelines: Sequence[CatalogRow] = ()
    stages: Sequence[CatalogRow] = ()
    users: Sequence[CatalogRow] = ()
    deal_fields: Sequence[FieldRow] = ()
    organization_fields: Sequence[FieldRow] = ()


def resolved(template: Template, catalog: Catalog) -> Ids | Misfit:
    """What each name stands for; else all that doesn't fit."""
    wrong: list[str] = []
    users = _Records("user", [_user(row) for row in catalog.users if row.active_flag is not False], wrong)
    labels = _Records("label", list(_labels(catalog.deal_fields)), wrong)
    pipeline, stage = _stage(template, catalog, wrong)
    answer = Ids(
        pipeline=pipeline,
        stage=stage,
        owner=users.find(template.owner),
        labels=tuple({found: None for label in template.labels if (found := labels.find(label)) is not None}),
        fields=_fields("deal field", template.fields, catalog.deal_fields, wrong),
        organization=OrganizationIds(
            owner=users.find(template.organization.owner),
            fields=_fields("organization field", template.organization.fields, catalog.organization_fields, wrong),
        ),
    )
    return Misfit(printable("; ".join(dict.fromkeys(wrong)))) if wrong else answer


class _Record(Struct, frozen=True):
    """What people call it, the name that is told first."""

    id: Any
    names: Sequence[str]


class _Records:
    """All of a ``kind`` that may be meant; ``where`` they are, in words. What is looked for and not found is added to
    what is ``wrong``."""

    def __init__(self, kind: str, records: Sequence[_Record], wrong: list[str], where: str = "") -> None:
        self._kind = kind
        self._where = where
        self._records = [record for record in records if record.id is not None and record.names]
        self._wrong = wrong

    def find(self, name: Name | None) -> Any:
        """The id of the one that is meant; None where nothing is, or it is not known."""
        if name is None:
            return None
        match self._meant(name):
            case [record]:
                return record.id
            case []:
                self._wrong.append(f"there is no {self._kind} {_shown(name)}{self._where} (only {self._told()})")
            case several:
                found = f"{len(several)} {self._kind}s {_shown(name)}{self._where}"
                self._wrong.append(f"there are {found} ({_remedy(several)})")
        return None

    def _meant(self, name: Name) -> Sequence[_Record]:
        """By a name as it is written, else in whatever case."""
        if isinstance(name, int):
            return [record for record in self._records if record.id == name]
        return [record for record in self._records if name in record.names] or [
            record for record in self._records if _folded(name) in map(_folded, record.names)
        ]

    def _told(self) -> str:
        """What there is."""
        names = list(dict.fromkeys(record.names[0] for record in self._records))
        told = ", ".join(map(_shown, names[:MOST_TOLD])) or "none"
        return f"{told} and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else told


def _remedy(several: Sequence[_Record]) -> str:
    """How to name one of them: by its id, where that is a number. Fields are named by what people see alone."""
    ids = [str(record.id) for record in several[:MOST_TOLD] if isinstance(record.id, int)]
    return f"write the id of one instead: {', '.join(ids)}" if ids else "rename one of them"


def _shown(name: Name) -> str:
    return f"“{name}”" if isinstance(name, str) else str(name)


def _folded(name: str) -> str:
    return key(name.strip())


def _texts(*values: object) -> Sequence[str]:
    return [value for value in values if isinstance(value, str) and value.strip()]


def _user(row: CatalogRow) -> _Record:
    return _Record(_number(row.id), _texts(row.name, row.email))


def _labels(fields: Iterable[FieldRow]) -> Iterator[_Record]:
    for field in fields:
        if field.field_code in LABELS and isinstance(field.options, list):
            for option in field.options:
                if isinstance(option, dict):
                    yield _Record(_number(option.get("id")), _texts(option.get("label")))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


# --- pipelines and stages ---------------------------------------------------------------------------------------------


def _stage(template: Template, catalog: Catalog, wrong: list[str]) -> tuple[int | None, int | None]:
    """The ids of the pipeline and of the stage in it. A stage tells its pipeline."""
    pipelines = _Records("pipeline", _living(catalog.pipelines), wrong)
    pipeline = pipelines.find(template.pipeline)
    if template.stage is None or (pipeline is None and template.pipeline is not None):
        return pipeline, None
    rows = [row for row in catalog.stages if pipeline is None or row.pipeline_id == pipeline]
    where = "" if template.pipeline is None else f" in pipeline {_shown(template.pipeline)}"
    stage = _Records("stage", _living(rows), wrong, where).find(template.stage)
    return next((_number(row.pipeline_id) for row in rows if row.id == stage), None), stage


def _living(rows: Iterable[CatalogRow]) -> Sequence[_Record]:
    return [_Record(_number(row.id), _texts(row.name)) for row in rows if row.is_deleted is not True]


# --- fields -----------------------------------------------------------------------------------------------------------


def _fields(
    kind: str, patterns: Mapping[str, Pattern], rows: Sequence[FieldRow], wrong: list[str]
) -> Mapping[str, Field]:
    """By name, those that are to be filled."""
    custom = {row.field_code: row for row in rows if row.is_custom_field is True and _is_code(row.field_code)}
    records = _Records(kind, [_Record(code, _texts(row.field_name)) for code, row in custom.items()], wrong)
    fields: dict[str, Field] = {}
    for name, pattern in patterns.items():
        if (code := records.find(name)) is None:
            continue
        length = LENGTHS.get(str(custom[code].field_type))
        if length is None:
            wrong.append(f"{kind} {_shown(name)} is of type {custom[code].field_type}, but only text can be filled in")
        elif pattern.fixed_length > length:
            wrong.append(f"{kind} {_shown(name)} has room for {length} characters, which is too little")
        else:
            fields[name] = Field(code, length)
    return fields


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None
