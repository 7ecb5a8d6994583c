"""The body of a reply: decoded into a type, or an error's own words in a form that can be quoted. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Reply, Secret

T = TypeVar("T")

LONGEST_QUOTE = 160
"""Characters of a service's own words in an error of ours: one line."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_HALF_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)"  # an even number of backslashes: the next one begins an escape
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


def decoded(service: str, reply: Reply, as_type: type[T]) -> T:
    """The body as a value of this type; keys that it does not name are ignored. Half a surrogate, of which no text can
    be made, counts as U+FFFD.

    :raises Malformed: it is not JSON, or not of that type.
    """
    try:
        return msgspec.json.decode(reply.body, type=as_type)
    except _UNREADABLE:
        mended = _HALF_SURROGATE.sub(rb"\1\\ufffd", reply.body)
    try:
        return msgspec.json.decode(mended, type=as_type)
    except _UNREADABLE:
        raise Malformed(service, f"an answer ({reply.status}) that is not as described") from None


def decoded_each(service: str, reply: Reply, as_type: type[T]) -> Sequence[T | None]:
    """The items of a list in the body, each as a value of this type, and None for each that is not of it.

    :raises Malformed: it is no list.
    """
    return [_decoded_or_none(item, as_type) for item in decoded(service, reply, list[msgspec.Raw])]


def _decoded_or_none(item: msgspec.Raw, as_type: type[T]) -> T | None:
    try:
        return msgspec.json.decode(item, type=as_type)
    except _UNREADABLE:
        return None


def error_body(reply: Reply) -> Mapping[str, Any] | None:
    """An error's JSON object, None where there is none: that comes from what stands in front of the API."""
    try:
        body = msgspec.json.decode(reply.body)
    except _UNREADABLE:
        return None
    return body if isinstance(body, dict) else None


def quoted(words: object, secret: Secret | None) -> str:
    """``: `` and the service's own words as one short printable line without the secret; empty where they are no
    words."""
    if not isinstance(words, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if secret is not None:
        line = line.replace(secret.reveal(), "…")
    short = line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "…"
    return short and f": {short}"
