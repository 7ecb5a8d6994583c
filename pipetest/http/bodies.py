"""The body of a reply: decoded as a kind, or an error's own words fit to be quoted. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Reply, Secret

T = TypeVar("T")

LONGEST_QUOTE = 160
"""Characters of a service's own words in an error of ours: one line."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decoded(service: str, reply: Reply, kind: type[T]) -> T:
    """The body as ``kind``; keys that it does not name are left aside.

    :raises Malformed: it is not JSON, or not of that kind.
    """
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except _UNREADABLE:
        raise Malformed(service, f"an answer ({reply.status}) that is not as described") from None


def problem(reply: Reply) -> Mapping[str, Any] | None:
    """An error's body, None where it is no JSON object: that comes from what stands in front of the API."""
    try:
        body = msgspec.json.decode(reply.body)
    except _UNREADABLE:
        return None
    return body if isinstance(body, dict) else None


def quoted(words: object, secret: Secret | None) -> str:
    """``: `` and the service's own words, where they are words: one short printable line without the secret."""
    if not isinstance(words, str):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if secret is not None:
        line = line.replace(secret.reveal(), "…")
    short = line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "…"
    return short and f": {short}"
