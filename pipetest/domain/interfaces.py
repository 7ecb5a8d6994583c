"""The Protocols between packages: what each may ask of another. mypy checks every implementation."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from secrets import token_hex
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from pipetest.domain.model import (
    AccountPage,
    Change,
    Entry,
    Found,
    Gist,
    GistPage,
    GistSummary,
    Outcome,
    PassResult,
    Reply,
    Request,
    Text,
    User,
    UserList,
    Visit,
)
from pipetest.domain.template import DealShape, Ids, Misfit, Template

T = TypeVar("T")

IDENTITY = "identity"
"""The name of the value that tells one database from another: made when it is first opened, and copied with it."""


def new_identity() -> str:
    return token_hex(4)


class Run(Protocol):
    """Runs blocking work elsewhere: one thread in production, at once in tests."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class Time(Struct, frozen=True):
    """The two clocks: ``wall`` in seconds since the epoch, for what is stored or shown; ``monotonic`` in seconds since
    whenever, for every wait within this process."""

    wall: Callable[[], float]
    monotonic: Callable[[], float]


class Command(Struct, frozen=True):
    """What people have asked of whichever instance scans; ``about`` is the gist or the user it concerns, if any."""

    id: int
    what: str
    about: str = ""


class Exchange(Protocol):
    """One whole HTTP exchange, answer body included, within its time limit and size limit: ``http/exchange.py``. In
    front of it stands ``ratelimit/limiter.py``, which is one too.

    :raises Unanswered: no usable answer came back.
    :raises Stopping: the daemon stops; the request was not sent.
    """

    def __call__(self, request: Request, /) -> Awaitable[Reply]: ...


class ClosingExchange(Exchange, Protocol):
    """An exchange that can be ended."""

    async def close(self, grace_s: float, /) -> None:
        """Send nothing more; return when what is under way has ended, or was cut off after ``grace_s`` seconds."""


class GitHub(Protocol):
    """Reads gists, and whom there is to read: ``github/client.py`` does. All of it raises the
    :class:`~pipetest.domain.errors.ServiceError` family and ``Stopping``."""

    def first_page(self, user: str, per_page: int) -> str:
        """The URL of the first page of a user's list. The pages after it hold ``per_page`` gists as well."""

    async def page(self, url: str, etag: str | None = None) -> GistPage | None:
        """The page at ``url``; None when it still has this ``etag``.

        :raises Missing: GitHub knows no such account.
        :raises Forbidden: GitHub does not show it to us.
        :raises Refused: GitHub will not list this far (422).
        """

    def first_page_of_list(self, wanted: UserList, per_page: int) -> str:
        """The URL of the first page of a list of accounts. The pages after it hold ``per_page`` of them as well."""

    async def account_page(self, url: str, etag: str | None = None) -> AccountPage | None:
        """The page of such a list at ``url``; None when it still has this ``etag``. Raises as :meth:`page` does."""


class GistSummaries(Protocol):
    """Tells of a hundred accounts at once how their gists stand. Of an account that is missing, or is no user's, there
    is no summary.

    All of it raises the :class:`~pipetest.domain.errors.ServiceError` family and ``Stopping``. A ``Transient`` without
    a wait may mean that it was too much at once.
    """

    async def by_node(self, node_ids: Sequence[str]) -> Sequence[GistSummary]: ...

    async def by_name(self, names: Sequence[str]) -> Sequence[GistSummary]: ...


class DealList(Protocol):
    """Deals of a company, as many as a page of Pipedrive's holds at a time."""

    @property
    def tokens(self) -> int:
        """What the pages read so far cost."""

    async def next(self) -> Sequence[Found] | None:
        """The next ones, which may be none; None at the end. Where this fails, it can be called again for the same
        ones."""


class Pipedrive(Protocol):
    """Creates records and searches for them: ``pipedrive/client.py`` does.

    A create returns its outcome, and raises :class:`~pipetest.domain.errors.Unsent` if it did not leave. A search
    raises the :class:`~pipetest.domain.errors.ServiceError` family. Both raise ``Stopping``.
    """

    async def look_up(self, template: Template) -> Ids | Misfit:
        """What the names in a template stand for, for 60 tokens at most."""

    async def create_organization(self, shape: DealShape, user: str, account: int | None) -> Outcome:
        """For the GitHub user of this name and number, if that is known."""

    async def create_deal(self, shape: DealShape, gist: Gist, user: str, organization_id: int) -> Outcome: ...

    async def organizations(self, names: Collection[str]) -> Mapping[str, Sequence[Found]]:
        """The organizations with each of these names that are not deleted, smallest id first; by
        :func:`~pipetest.domain.model.key` of the name."""

    async def deals(self, organization_id: int) -> Sequence[Found]:
        """Every deal of an organization: open, won, lost, archived and deleted, smallest id first."""

    def all_deals(self, now_at: float) -> DealList:
        """Every deal of the company: open, won, lost, archived and deleted. One may come several times; none is missed
        that is archived, or taken out of the archive, meanwhile. ``now_at`` is when that begins, by our clock."""

    def newer_deals(self, deal_id: int) -> DealList:
        """Every deal of the company with a larger id."""

    async def newest_deal(self) -> int:
        """The largest id of a deal that is not archived; 0 without one."""

    async def organizations_of(self, deal_ids: Sequence[int]) -> Mapping[int, int | None]:
        """The organizations in which these deals are, by the deals' ids: a hundred at most, archived and deleted ones
        too, without those that are no more."""

    async def check_access(self) -> None:
        """Return if this is our company and our key: the cheapest question that every key may ask."""

    async def sees_organization(self, organization_id: int, name: str, *, deleted: bool) -> bool:
        """Whether our key's user sees it (1 token); with ``deleted``, also where people have deleted it since, as the
        search index tells (20 tokens more)."""

    async def sees_deal(self, deal_id: int, *, deleted: bool) -> bool:
        """Whether our key's user sees it (1 token); with ``deleted``, also where people have deleted it since, as the
        lists tell (30 tokens more)."""

    async def organization_exists(self, organization_id: int) -> bool:
        """Whether it is there, and not deleted."""


class OutboxListener(Protocol):
    """Learns what becomes of gists: ``monitoring/history.py``."""

    def deal_done(self, gist_id: str, deal_id: int) -> None:
        """The gist's deal is in Pipedrive: it was created, or found there."""

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """These gists were skipped, and are wanted or done now."""


class ScanListener(Protocol):
    """Learns what the scanner does, and hands new gists to the outbox: see ``FollowUp`` in the pipeline."""

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        """A pass over the list of ``user`` is stored; ``entries`` are its new gists. The first good pass of a process
        is told in any case."""

    def texts_known(self, entries: Sequence[Entry]) -> None:
        """These gists were recorded without their text, and have it now."""

    def scan_ended(self, *, failed: bool) -> None:
        """``failed``: nobody could be read, or something that concerns everybody has cut the scan short."""


class Controls(Protocol):
    """What an operator may ask of the daemon: carried out here, or passed on to the instance that leads."""

    async def scan(self) -> None:
        """Begin a scan now, unless one is under way."""

    async def set_paused(self, paused: bool) -> None:
        """Create nothing until told otherwise, or create again; returns when that is stored."""

    async def retry(self, name: str) -> bool:
        """Try what is in quarantine again now: the gist of this id, or this user's organization; False when there is no
        such record in quarantine."""

    async def retry_all(self) -> None:
        """Try everything in quarantine again, a few at a time."""

    async def audit(self) -> None:
        """Begin an audit now, unless one is under way."""

    async def backfill(self, user: str) -> bool:
        """Make deals of this user's gists that were skipped; False where no such user was ever scanned."""


class Lease(Protocol):
    """What one instance holds at a time: whoever has it leads. See ``store/tinydb/lease.py`` for one instance, and
    ``store/postgres/writer.py`` for several."""

    @property
    def shared(self) -> bool:
        """Whether other instances can have it too."""

    @property
    def holder(self) -> str | None:
        """The name of the instance that has it, or had it last, as far as we know."""

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called whenever the lease turns out to be lost."""

    def is_fresh(self) -> bool:
        """Whether it was ours a moment ago, so that a create may leave."""

    async def acquire(self) -> bool:
        """Try to get it; whether it is ours."""

    async def renew(self) -> Sequence[Command]:
        """Keep it; returns the commands that wait for whoever holds it."""

    async def acknowledge(self, command: Command) -> None:
        """This command is carried out, and waits no more."""

    async def release(self) -> None:
        """Let others have it."""


class Store(Protocol):
    """Where state lives: ``store/tinydb/store.py``, or ``store/postgres/store.py``. A change is durable once its
    awaitable has returned.

    A change that cannot be written is tried again until it can; meanwhile ``problem`` says why in one line. Closing the
    store ends such waits with :class:`~pipetest.domain.errors.Unstored`.
    """

    @property
    def problem(self) -> str | None:
        """Why the database cannot be written just now."""

    @property
    def unreconciled(self) -> bool:
        """Whether Pipedrive may hold, or soon show, records that are unknown here: the database was opened new, taken
        over from the older service, or from its previous generation, or marked so. Outlives a restart, until
        :meth:`mark_reconciled`."""

    def open(self, before_takeover: Callable[[], None] = lambda: None) -> None:
        """Open it, blocking; called before the reactor runs. Where that changes the database of the older service,
        which may still run, ``before_takeover`` is called first; whatever it raises is passed on.

        :raises DatabaseRefused: it cannot be used as it is; nothing was changed.
        """

    async def close(self) -> None:
        """Write what waits, within a bounded time, and let other processes open it."""

    # the scanner
    async def users(self) -> Sequence[User]:
        """Every user ever scanned, in the order of their first scan."""

    def users_in_parts(self) -> AsyncIterator[Sequence[User]]:
        """The same, some thousand at a time: there may be a million."""

    async def known_users(self, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
        """Those who are recorded under one of these names, or with one of these account numbers, in the same order."""

    async def gist_counts(self) -> Mapping[str, int]:
        """How many gists each user has in the feed, by :func:`~pipetest.domain.model.key`."""

    async def skipped_counts(self) -> Mapping[str, int]:
        """How many gists of each user are skipped, by :func:`~pipetest.domain.model.key`, without users that have
        none."""

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        """Those of ``gist_ids`` that are in the feed."""

    async def add_gists(self, result: PassResult) -> Sequence[Entry]:
        """Store in one commit the user, its ETag, and its new gists at the feed's end; returns the new entries.

        A gist that is in the feed already keeps its place and is left out. The text of one that is done or skipped is
        not kept. A None in the result leaves ``owner_id`` and ``read_to_end_at`` as they were. A gist older than
        ``wanted_since`` is skipped, unless the deal of one among them that is no newer was found in Pipedrive.

        :raises Unstorable: some of it is beyond what a database can hold.
        """

    async def users_without_text(self) -> Collection[str]:
        """Those who have open gists whose text is not known, by :func:`~pipetest.domain.model.key`."""

    async def add_texts(self, user: str, texts: Mapping[str, Text]) -> Sequence[Entry]:
        """Store in one commit the text of each open gist of this user whose text is not known, an empty one where
        ``texts`` has none; returns their entries, by position.

        :raises Unstorable: some of it is beyond what a database can hold.
        """

    # the outbox
    async def open_entries(self) -> Sequence[Entry]:
        """Every entry that is open (:func:`~pipetest.domain.model.is_open`), by position."""

    async def done_entries(self, after: int, most: int) -> Sequence[Entry]:
        """The first entries beyond the position ``after`` whose deal is done, by position: ``most`` of them."""

    async def want_skipped(self, user: str) -> Sequence[Entry]:
        """Store in one commit that all gists of this user that were skipped are wanted; returns their entries."""

    async def save(self, *changes: Change) -> None:
        """Store all these changes in one commit. A deal that is done stays done, and its gist's text is forgotten.

        :raises KeyError: the gist or the user was never recorded.
        :raises Unstorable: a value of theirs is beyond what a database can hold.
        """

    async def adopt(self, deals: Mapping[str, int]) -> Sequence[Entry]:
        """Store in one commit that Pipedrive holds these ``deals``, by the ids of their gists. Gists in the feed are
        done, where they are not yet or their deal's id is unknown; the deals of all others are kept, and each is
        adopted in the commit that records its gist. Where one of the gists was skipped, its user's gists were wanted
        before, in a life that this database does not know: what was skipped and written since the first of those is
        wanted from now on. Returns the entries of all that is skipped no more.

        :raises Unstorable: a value of theirs is beyond what a database can hold.
        """

    async def newest_deal(self) -> int:
        """The largest id of a deal that is known here, kept ones included; 0 without any."""

    async def newest_deals(self, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
        """For each of these users, the largest ids of the deals that are known of its gists, ``most`` of them; by
        :func:`~pipetest.domain.model.key`, without users that have none."""

    async def known_deals(self, gist_ids: Collection[str]) -> Collection[str]:
        """Those of ``gist_ids`` whose deal is known here: they are done, or their deal is kept."""

    async def mark_reconciled(self, reconciled_at: float | None = None) -> None:
        """What Pipedrive may have held unknown to an unreconciled store is known: it is reconciled from now on.

        Where that was found out by reading the whole list, every organization that is done has been reconciled since
        ``reconciled_at``; None: each is still to be.
        """

    async def mark_unreconciled(self) -> None:
        """Pipedrive holds what is unknown here: the store is unreconciled, and so is each organization."""

    # small values
    async def get_value(self, name: str, kind: type[T]) -> T | None:
        """What was last put under ``name``, not to be changed in place. None without it, and where it is of another
        kind, which the log tells."""

    async def put_value(self, name: str, value: Any) -> None:
        """Store a small value that JSON can carry."""

    # visitors
    async def feed(self, start: int, stop: int) -> Sequence[str]:
        """The gist ids at positions ``start + 1`` to ``stop``, as many as there are."""

    async def feed_length(self) -> int: ...

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> Visit:
        """Renew a session's life. There is none where its last visit was more than ``lifetime`` seconds ago, give or
        take a minute."""

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        """Store, or begin, a session that was shown the feed up to ``position``; never moves one backwards.

        Need not be durable on return: it shares the next commit, at the latest a few seconds later.
        """

    async def expire_sessions(self, unvisited_since: float) -> int:
        """Remove sessions last visited before then; returns how many."""
