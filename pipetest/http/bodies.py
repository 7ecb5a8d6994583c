"""The body of a reply: decoded into a type, or an error's own words in a form that can be quoted. Pure."""

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from pipetest.domain.errors import UNREADABLE, Malformed
from pipetest.domain.model import Reply, Secret

T = TypeVar("T")

MOST_ITEMS = 1_000
"""Items of a list in one answer: twice as many as any page holds."""

Items: Any = msgspec.defstruct(
    "Items",
    [(f"_{number}", Raw | UnsetType, UNSET) for number in range(MOST_ITEMS)],
    array_like=True,
    forbid_unknown_fields=True,
)
"""A list as a type for :func:`decoded`. One that is longer is refused as soon as that shows, before any item is made; a
limit of a ``list`` is checked when all of it is in memory."""

LONGEST_QUOTE = 160
"""Characters of a service's own words in an error of ours: one line."""

MOST_HALVES = 1_000
"""Half surrogates that are repaired in one answer."""

_HALF_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)


def decoded(service: str, reply: Reply, as_type: type[T]) -> T:
    """The body as a value of this type; keys that it does not name are ignored. Half a surrogate, of which no text can
    be made, counts as U+FFFD. A byte order mark may come first, as gateways add one (RFC 8259, 8.1).

    :raises Malformed: it is not JSON, or not of that type.
    """
    body = reply.body.removeprefix(BOM_UTF8)
    try:
        return msgspec.json.decode(body, type=as_type)
    except UNREADABLE:
        repaired = _repaired(body)
    try:
        return msgspec.json.decode(repaired, type=as_type)
    except UNREADABLE:
        raise Malformed(service, f"an answer ({reply.status}) that is not as described") from None


def _repaired(body: bytes) -> bytes:
    if b"\\u" not in body:
        return body
    # Once no backslash is a text's own, each of them begins an escape.
    return _HALF_SURROGATE.sub(rb"\\ufffd", body.replace(rb"\\", rb"\u005c"), MOST_HALVES)


def decoded_items(service: str, reply: Reply, items: Any, as_type: type[T]) -> Sequence[T]:
    """The items of :data:`Items` in this reply as values of this type.

    :raises Malformed: one of them is not of it.
    """
    try:
        return [msgspec.json.decode(_repaired(bytes(item)), type=as_type) for item in each(items)]
    except UNREADABLE:
        raise Malformed(service, f"an answer ({reply.status}) that is not as described") from None


def decoded_each(service: str, reply: Reply, as_type: type[T]) -> Sequence[T | None]:
    """The items of a list in the body, each as a value of this type, and None for each that is not of it.

    :raises Malformed: it is no list.
    """
    return [decoded_or_none(item, as_type) for item in each(decoded(service, reply, Items))]


def decoded_or_none(item: Raw, as_type: type[T]) -> T | None:
    """As a value of this type, where it is one."""
    try:
        return msgspec.json.decode(item, type=as_type)
    except UNREADABLE:
        return None


def each(items: Any) -> Sequence[Raw]:
    """Those of :data:`Items`, or of another such type, that are there."""
    return [item for item in msgspec.structs.astuple(items) if item is not UNSET]


class ErrorBody(Struct):
    """What GitHub (``message``) and Pipedrive (the others) say of an error, as JSON: nothing is made of the
    rest."""

    success: bool | None = None
    message: Raw = Raw()
    error: Raw = Raw()
    code: Raw = Raw()


def error_body(reply: Reply) -> ErrorBody | None:
    """An error's JSON object, None where there is none: that comes from what stands in front of the API."""
    try:
        return decoded("", reply, ErrorBody)
    except Malformed:
        return None


def text_of(field: Raw) -> str:
    """A field that is expected to be a text; empty where it is none."""
    try:
        return msgspec.json.decode(_repaired(bytes(field)), type=str)
    except UNREADABLE:
        return ""


def keys_of(field: Raw) -> Collection[str]:
    """The keys of a field that is expected to be an object; none where it is none."""
    try:
        return msgspec.json.decode(_repaired(bytes(field)), type=dict[str, Raw]).keys()
    except UNREADABLE:
        return ()


def quoted(words: str, secret: Secret | None) -> str:
    """``: `` and the service's own words as one short printable line without the secret and the full stop, as our own
    sentence goes on; empty where there are none."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split()).removesuffix(".")
    if secret is not None:
        line = line.replace(secret.reveal(), "…")
    short = line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "…"
    return short and f": {short}"
