"""What a template makes of a gist, and of a user: the body of a create. Pure."""

from collections.abc import Mapping
from math import ceil

from pipetest.domain.model import LONG_ID, Gist, Text
from pipetest.domain.status import NextDeal
from pipetest.domain.template import FROM_TEXT, LONGEST_TITLE, Addresses, DealShape, Field, Name, Pattern
from pipetest.domain.text import utc

MORE = "…"
"""Stands where something was cut."""

LONGEST_TEXT = 1_000
"""Of a field of which more is not known, so much is shown."""


def deal(shape: DealShape, gist: Gist, user: str, organization_id: int, addresses: Addresses) -> Mapping[str, object]:
    template, ids = shape.template, shape.ids
    values = _values(gist, user, addresses)
    return {
        "title": title(template.title, values),
        "org_id": organization_id,
        **_given(pipeline_id=ids.pipeline, stage_id=ids.stage, owner_id=ids.owner, label_ids=ids.labels),
        **_custom_fields(template.fields, ids.fields, values),
    }


def preview(shape: DealShape, gist: Gist, user: str, addresses: Addresses) -> NextDeal:
    """What people see of that deal. Fields that were not looked up yet may hold less than is shown."""
    template, values = shape.template, _values(gist, user, addresses)
    lengths = {name: field.length for name, field in shape.ids.fields.items()}
    return NextDeal(
        gist=gist.id,
        user=user,
        title=title(template.title, values),
        pipeline=_told(template.pipeline),
        stage=_told(template.stage),
        labels=tuple(map(str, template.labels)),
        fields={
            name: fitted(pattern, values, lengths.get(name, LONGEST_TEXT)) for name, pattern in template.fields.items()
        },
    )


def _told(name: Name | None) -> str | None:
    return None if name is None else str(name)


def _values(gist: Gist, user: str, addresses: Addresses) -> Mapping[str, str]:
    """Of the placeholders of a deal."""
    text = gist.text or Text()
    return {
        "id": gist.id,
        "user": user,
        "description": text.description,
        "url": f"{addresses.gists}{gist.id}",
        "files": "\n".join(text.files),
        "created": f"{utc(gist.created_at):%Y-%m-%d}",
    }


def organization(shape: DealShape, user: str, account: int | None, addresses: Addresses) -> Mapping[str, object]:
    """``account`` is the user's number at GitHub."""
    template, ids = shape.template.organization, shape.ids.organization
    values = {
        "user": user,
        "profile_url": f"{addresses.profiles}{user}",
        "owner_id": "" if account is None else str(account),
    }
    return {"name": user, **_given(owner_id=ids.owner), **_custom_fields(template.fields, ids.fields, values)}


def title(pattern: Pattern, values: Mapping[str, str]) -> str:
    """One line. A short id is recognised only where no long one is in the title, so nothing else in it may look so.
    Pipedrive refuses an empty title: the id stands for it."""
    values = {**values, "description": values["description"] or values["files"].partition("\n")[0]}
    values["files"] = values["files"].replace("\n", " ")
    if not LONG_ID.fullmatch(values["id"]):
        values = {name: value if name == "id" else LONG_ID.sub(MORE, value) for name, value in values.items()}
    return fitted(pattern, values, LONGEST_TITLE) or values["id"]


def fitted(pattern: Pattern, values: Mapping[str, str], length: int) -> str:
    """What the pattern becomes with these values, of so many characters at most: what comes of the gist's text is cut;
    where that is not enough, the id stays."""
    whole = pattern.filled(values).strip()
    for name in FROM_TEXT:
        if (excess := characters(whole) - length) <= 0:
            return whole
        if times := list(pattern.placeholders).count(name):
            values = {**values, name: cut(values[name], characters(values[name]) - ceil(excess / times))}
            whole = pattern.filled(values).strip()
    if characters(whole) <= length:
        return whole
    return values["id"] if "id" in pattern.placeholders else cut(whole, length)


def cut(text: str, length: int) -> str:
    """Its beginning, of so many characters at most, and a sign that it goes on."""
    if characters(text) <= length:
        return text
    while text and characters(text) > length - len(MORE):
        text = text[:-1]
    return f"{text.rstrip()}{MORE}" if length > 0 else ""


def characters(text: str) -> int:
    """Counted in units of UTF-16, as JavaScript counts them. Nobody says how Pipedrive does; counted as characters of
    Unicode they are never more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _given(**values: object) -> Mapping[str, object]:
    return {name: value for name, value in values.items() if value not in (None, ())}


def _custom_fields(
    patterns: Mapping[str, Pattern], fields: Mapping[str, Field], values: Mapping[str, str]
) -> Mapping[str, object]:
    """Those that are not empty."""
    filled = {fields[name].code: fitted(pattern, values, fields[name].length) for name, pattern in patterns.items()}
    return _given(custom_fields={code: text for code, text in filled.items() if text} or None)
