"""A page of a list of gists or of accounts, read from GitHub's answer. What cannot be read is left out, not the page.
Pure.

Source of what is said about GitHub here: its REST API documentation (gists, followers, organization members).
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Raw, Struct

from pipetest.domain.model import Account, AccountPage, Gist, GistPage, RecordId, Reply
from pipetest.github.links import is_full, next_url
from pipetest.github.responses import SERVICE
from pipetest.github.texts import gist_text
from pipetest.http.bodies import decoded_each

LONGEST_ID = 256
"""Characters of an id; GitHub's have 32 at most."""

LONGEST_NAME = 39
"""Characters of an account's name."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Between them a gist's time is one in every time zone."""

_ETAG = re.compile(r"[\x20-\x7e\xa0-\xff]{1,256}")


class _Owner(Struct):
    id: RecordId


class _Item(Struct):
    """An id is part of addresses and of log lines: nothing in it may have a meaning there. No text of any kind makes an
    item unreadable."""

    id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]+\Z", max_length=LONGEST_ID)]
    created_at: Annotated[datetime, Meta(tz=True)]
    public: bool
    owner: _Owner | None = None
    description: Raw = Raw()
    files: Raw = Raw()

    def __post_init__(self) -> None:
        if not EARLIEST <= self.created_at < LATEST:
            raise ValueError("created_at is no time at which a gist was written")

    def gist(self) -> Gist:
        return Gist(self.id, self.created_at.timestamp(), gist_text(self.description, self.files))


def parsed_gists(reply: Reply, url: str) -> GistPage:
    """The page that was asked for at ``url``. An account's own token also lists its secret gists: they are left out.

    :raises Malformed: it is no such page, or its next one is elsewhere.
    """
    items = decoded_each(SERVICE, reply, _Item)
    readable = [item for item in items if item is not None]
    unreadable = len(items) - len(readable)
    return GistPage(
        gists=tuple(item.gist() for item in readable if item.public),
        owner_id=next((item.owner.id for item in readable if item.owner is not None), None),
        etag=None if unreadable else _etag(reply),
        next_url=next_url(reply.headers.get("link", ""), url, len(items)),
        unreadable=unreadable,
    )


class _Listed(Struct):
    """An account on a list. Its name becomes part of addresses and of log lines."""

    id: RecordId
    login: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]+\Z", max_length=LONGEST_NAME)]


def parsed_accounts(reply: Reply, url: str) -> AccountPage:
    """The page of accounts that was asked for at ``url``. A full one that is the last keeps no ETag: a page that comes
    after it need not change it.

    :raises Malformed: it is no such page, or its next one is elsewhere.
    """
    items = decoded_each(SERVICE, reply, _Listed)
    readable = [item for item in items if item is not None]
    unreadable = len(items) - len(readable)
    following = next_url(reply.headers.get("link", ""), url, len(items))
    may_go_on = following is None and is_full(url, len(items))
    return AccountPage(
        accounts=tuple(Account(item.id, item.login) for item in readable),
        etag=None if unreadable or may_go_on else _etag(reply),
        next_url=following,
        unreadable=unreadable,
    )


def _etag(reply: Reply) -> str | None:
    etag = reply.headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None
