"""Where the pages of a list are: Link headers, relative addresses, and one origin for all of them. Pure.

The regular expressions look at each character once, whatever a header holds.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urldefrag, urlencode, urljoin, urlsplit

from twisted.web.client import URI

from pipetest.domain.errors import Malformed
from pipetest.github.responses import SERVICE

DEFAULT_PER_PAGE = 30
"""What GitHub puts on a page that was asked for without ``per_page``."""

LONGEST_NUMBER = 10
"""Digits; no page has a longer one."""

_TOKEN = re.compile(r'<(?P<target>[^<>]*)>|(?P<separator>[;,=])|(?P<value>"[^"]*"|[^\s<>";,=]+)')
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def next_url(link: str, asked: str, items: int) -> str | None:
    """Where the page after the one at ``asked`` is, on which there were so many items; None where the list ends.

    A full page ends the list only where its links say so: a Link header may have got lost on the way.

    :raises Malformed: it is elsewhere than ``asked``; the token would go there too.
    """
    targets = links(link)
    if "next" in targets:
        target = on_same_origin(targets["next"], asked)
        if target is None:
            raise Malformed(SERVICE, "the next page is said to be on another server than the first")
        return target
    if is_full(asked, items) and targets.keys().isdisjoint({"first", "prev"}):
        return _page_after(asked)
    return None


def is_full(asked: str, items: int) -> bool:
    """Whether the page at ``asked`` holds no fewer items than were asked for."""
    return items >= _number(_query(asked), "per_page", DEFAULT_PER_PAGE)


def links(header: str) -> Mapping[str, str]:
    """The targets in a Link header by their relations (RFC 8288), of several with one relation the first."""
    targets: dict[str, str] = {}
    target, name, is_value = "", "", False
    for token in _TOKEN.finditer(header):
        if token["target"] is not None:
            target, name, is_value = token["target"], "", False
        elif token["separator"]:
            is_value = token["separator"] == "="
        elif not is_value:
            name = token["value"].lower()
        elif name == "rel":
            for relation in token["value"].strip('"').lower().split():
                targets.setdefault(relation, target)
    return targets


def on_same_origin(reference: str, base: str) -> str | None:
    """The URL that ``reference`` means at ``base``; None where it is no URL, or has another scheme, host or port."""
    if not _VISIBLE.fullmatch(reference):
        return None
    try:
        url, _ = urldefrag(urljoin(base, reference))
    except ValueError:
        return None
    return url if _origin(url) == _origin(base) else None


def _origin(url: str) -> tuple[bytes, bytes, int]:
    """Parsed as the HTTP client parses it: the token could get out where two parsers see different hosts."""
    uri = URI.fromBytes(url.encode("ascii"))
    return uri.scheme, uri.host.lower(), uri.port


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    value = query.get(name, "")
    return int(value) if value.isdecimal() and len(value) <= LONGEST_NUMBER else otherwise


def _page_after(url: str) -> str:
    query = _query(url)
    query["page"] = str(_number(query, "page", 1) + 1)
    return urlsplit(url)._replace(query=urlencode(query)).geturl()
