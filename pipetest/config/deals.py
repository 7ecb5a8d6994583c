"""The template of a deal, from TOML. Whatever is wrong with it is one clear line, as far as it shows without asking
Pipedrive. Pure."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from pipetest.domain.model import RecordId, key
from pipetest.domain.template import (
    LONGEST_TITLE,
    OF_DEAL,
    OF_ORGANIZATION,
    CurrentTemplate,
    OrganizationTemplate,
    Pattern,
    Template,
)
from pipetest.domain.text import printable

LONGEST = 20_000
"""Characters of all of it."""

MOST = 50
"""Labels, or fields of one kind."""

LONGEST_NAME = 255

_CONTROL = re.compile("[\0-\x09\x0b-\x1f\x7f]")

_Name = Annotated[str, Meta(max_length=LONGEST_NAME, pattern=r"\S")]


class _Organization(Struct, forbid_unknown_fields=True):
    owner: RecordId | _Name | None = None
    fields: dict[str, Any] = {}


class _Deal(Struct, forbid_unknown_fields=True):
    title: str = "{id}"
    pipeline: RecordId | _Name | None = None
    stage: RecordId | _Name | None = None
    owner: RecordId | _Name | None = None
    labels: Annotated[list[RecordId | _Name], Meta(max_length=MOST)] = []
    fields: dict[str, Any] = {}
    organization: _Organization = msgspec.field(default_factory=_Organization)


def template(text: str) -> CurrentTemplate:
    """
    :raises ValueError: it is no template.
    """
    try:
        return CurrentTemplate(_template(_decoded(text)))
    except ValueError as e:
        raise ValueError(printable(str(e))) from None


def _template(deal: _Deal) -> Template:
    title = _title(deal.title)
    fields = _fields("fields", deal.fields, OF_DEAL)
    if not title.ends_with_id and not any(pattern.is_id_alone for pattern in fields.values()):
        raise ValueError(
            "expected {id} as the last word of the title, or alone in one of [fields]: without its database, pipetest "
            "could not tell which gist a deal is of"
        )
    if isinstance(deal.stage, str) and deal.pipeline is None:
        raise ValueError(f"stage: expected the pipeline of the stage {deal.stage!r} as well, or the stage's id")
    organization = _fields("organization.fields", deal.organization.fields, OF_ORGANIZATION)
    return Template(
        title=title,
        pipeline=deal.pipeline,
        stage=deal.stage,
        owner=deal.owner,
        labels=tuple(deal.labels),
        fields=fields,
        organization=OrganizationTemplate(deal.organization.owner, organization),
    )


def _title(text: str) -> Pattern:
    if len(text.strip().splitlines()) != 1:
        raise ValueError("title: expected one line of text")
    title = _pattern("title", text, OF_DEAL)
    if title.fixed_length > LONGEST_TITLE:
        raise ValueError(f"title: expected at most {LONGEST_TITLE} characters, without what can be cut of descriptions")
    return title


def _fields(where: str, fields: Mapping[str, object], placeholders: Sequence[str]) -> Mapping[str, Pattern]:
    if len(fields) > MOST:
        raise ValueError(f"{where}: expected at most {MOST} fields")
    patterns: dict[str, Pattern] = {}
    for name, text in fields.items():
        if not isinstance(text, str):
            raise ValueError(f"{where}.{name}: expected a text with placeholders, as all values of fields")
        if key(name.strip()) in map(key, patterns):
            raise ValueError(f"{where}.{name}: expected each field once")
        patterns[name.strip()] = _pattern(f"{where}.{name}", text, placeholders)
    return patterns


def _pattern(where: str, text: str, placeholders: Sequence[str]) -> Pattern:
    if _CONTROL.search(where + text):
        raise ValueError(f"{where}: expected a text without control characters")
    try:
        return Pattern.parsed(text, placeholders)
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from None


# --- TOML -------------------------------------------------------------------------------------------------------------

_WORDS: Mapping[str, str] = {
    "`int | str | null`": "a name or a number",
    "`int | str`": "a name or a number",
    "`str`": "a text",
    "`int`": "a number",
    "`float`": "a decimal",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    r" matching regex '\\S'": " that is not blank",
    "`": "",
}
"""What msgspec's words mean in TOML."""


def _decoded(text: str) -> _Deal:
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST:,} characters")
    try:
        return msgspec.convert(tomllib.loads(text), _Deal)
    except msgspec.ValidationError as e:
        raise ValueError(_in_words(str(e))) from None
    except ValueError as e:  # no TOML, or a number of thousands of digits
        hint = "with texts in straight quotes" if "=" in text else "and not a path, which PIPETEST_DEALS_FILE takes"
        raise ValueError(f"expected TOML {hint}: {e}") from None
    except RecursionError:
        raise ValueError("expected TOML without lists in lists") from None


def _in_words(error: str) -> str:
    what, _, where = error.partition(" - at `$")
    where = where.strip(".`")
    if (unknown := re.fullmatch("Object contains unknown field `(.*)`", what, re.DOTALL)) is not None:
        known = (_Organization if where else _Deal).__struct_fields__
        return f"{where + '.' if where else ''}{unknown[1]}: expected one of {', '.join(known)}"
    for theirs, ours in _WORDS.items():
        what = what.replace(theirs, ours)
    return f"{where}: {what[:1].lower()}{what[1:]}"
