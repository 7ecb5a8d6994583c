"""One user: read its list, record what is new, and tell how that went."""

from collections.abc import Collection, Mapping
from math import inf
from zlib import crc32

from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.errors import Forbidden, Missing, OtherOwner, PipetestError, Transient
from pipetest.domain.interfaces import ScanListener, Store, Time
from pipetest.domain.model import GistSummary, PassResult, Text, User, key
from pipetest.domain.status import QueriedUser
from pipetest.scanner.list_reader import ListReader
from pipetest.scanner.recorded_users import RecordedUsers, queried_as

TO_END_S = 24 * 3600.0
"""A list is read to its end this often: a gist made public late stands at its old place, far behind the first page."""


def to_end_due_at(user: User) -> float:
    """When the list of ``user`` is to be read to its end next. The times are spread over a fifth of a day, so that a
    thousand users first read together do not fall due together."""
    if user.read_to_end_at is None:
        return -inf
    spread = crc32(f"{key(user.name)} {user.read_to_end_at}".encode()) / 2**32
    return user.read_to_end_at + TO_END_S * (1.0 - spread / 5)


def is_to_end_due(user: User, now_at: float) -> bool:
    """Whether that is so by now. More than a day away it cannot be: the clock was ahead at the last such pass, or is
    behind now."""
    return not now_at < to_end_due_at(user) <= now_at + TO_END_S


class UserScan:
    """The scan of one user: makes the passes over its list.

    ``last_pass_at`` is when one last ended, ``succeeded_at`` when one last went well. ``forbidden``: GitHub last
    answered that it does not show the list; ``unknown``: that it knows no such user, or only a namesake.
    ``recorded_as`` is the name under which its gists are recorded: an earlier one, where the account was renamed.
    ``error`` is why the last pass failed, None while passes go well. ``leaves_out``: GitHub lists something that cannot
    be read, as the last pass to the end saw. ``node_id`` is the account's id in GitHub's GraphQL API, and ``total`` how
    many public gists that told last; None until it has. ``tried`` and ``read``: in this scan a pass has ended, and the
    last one went well.
    """

    _log = Logger()

    tried: bool  # this and what follows: since the scan began
    read: bool
    _stored: User | None
    _returned: Collection[str]
    _earlier_owner: int | None
    _wanted_since: float
    _scan_id: int

    def __init__(
        self,
        name: str,
        recorded: RecordedUsers,
        reader: ListReader,
        store: Store,
        time: Time,
        listener: ScanListener,
    ) -> None:
        self.name = name
        self.recorded_as = name
        self.succeeded_at: float | None = None
        self.last_pass_at = -inf
        self.forbidden = False
        self.unknown = False
        self.error: str | None = None
        self.leaves_out = False
        self.node_id: str | None = None
        self.total: int | None = None
        self._seems_changed = False
        self._account_listed: int | None = None
        self._account_told: int | None = None
        self._recorded = recorded
        self._reader = reader
        self._store = store
        self._time = time
        self._listener = listener

    def listed(self, account_id: int | None) -> None:
        """The list of users tells the number of the account, or does not: None."""
        self._account_listed = account_id

    @property
    def queried_as(self) -> str:
        """As whom it is remembered that it was queried."""
        return queried_as(self.name, self._account_listed)

    @property
    def recorded(self) -> User | None:
        """What the store holds of this user, as far as its account is known by now."""
        return self._recorded.find(self.name, self._account_listed or self._account_told)

    @property
    def may_be_anybody(self) -> bool:
        """Whether it is yet to be told who has this name: not since this process began, and nobody who is recorded
        under another one."""
        stored = self.recorded
        return self._account_told is None and (stored is None or key(stored.name) == key(self.name))

    def begin_scan(self, scan_id: int, *, returned: Collection[str], wanted_since: float) -> None:
        """A scan begins, called ``scan_id`` in the log. ``returned`` are names (:func:`~pipetest.domain.model.key`):
        whoever has one of them now is its user, as if it had never been read. If an account is read for the first time,
        its gists are wanted that were written since ``wanted_since``."""
        stored = self.recorded
        self.tried = self.read = False
        self._returned, self._earlier_owner = returned, None
        self._go_on_from(stored)
        if stored is not None and key(self.name) in returned:
            self._stored = replace(stored, owner_id=None, etag=None, read_to_end_at=None)
            self._earlier_owner = stored.owner_id
        self._wanted_since = wanted_since
        self._scan_id = scan_id

    def end_scan(self) -> None:
        """What the store holds is read anew for the next one."""
        self._stored = None

    # --- one pass -----------------------------------------------------------------------------------------------------

    async def make_pass(self, *, to_end: bool) -> str:
        """Read the list and record what is new in it. Returns the outcome that a metric counts it by: "recorded", or
        "unchanged" where there was nothing to record.

        :raises PipetestError: nothing was recorded.
        """
        user = User(self.name) if self._stored is None else replace(self._stored, name=self.name)
        if user.owner_id is None:
            user = replace(user, owner_id=self._account_listed)
        found = await self._reader.read(user, self._time.wall(), to_end=to_end)
        if found is not None:
            self.leaves_out = found.unreadable > 0 or (self.leaves_out and found.read_to_end_at is None)
        if found is None or (self._stored is not None and _nothing_new(found, self._stored)):
            self._still_queried()
            return "unchanged"
        if self._stored is None and (renamed := self._recorded.find(self.name, found.owner_id)) is not None:
            self._was_renamed(renamed)
        since = self._wanted_since if self._is_first_pass(found) else -inf
        entries = await self._store.add_gists(replace(found, user=self.recorded_as, wanted_since=since))
        self._account_told = found.owner_id or self._account_told
        self._stored = _after(self._stored or user, found, self.recorded_as)
        if entries:
            new = "{user}: 1 new gist" if len(entries) == 1 else "{user}: {gists} new gists"
            self._log.info(new, event="gists_recorded", user=self.name, gists=len(entries), scan=self._scan_id)
        self._listener.user_recorded(self._stored, entries)
        if found.read_to_end_at is not None:
            await self._add_texts(found.texts)
        return "recorded"

    async def _add_texts(self, texts: Mapping[str, Text]) -> None:
        """Of gists that were recorded without theirs; what GitHub no longer shows has none."""
        if entries := await self._store.add_texts(self.recorded_as, texts):
            self._listener.texts_known(entries)

    def _is_first_pass(self, found: PassResult) -> bool:
        """Whether it is the first one over the list of this account."""
        earlier = self._earlier_owner
        other_account = earlier is not None and found.owner_id not in (None, earlier)
        return self._stored is None or other_account

    def _was_renamed(self, stored: User) -> None:
        self._go_on_from(stored)
        renamed = "{user}: is the account that was {earlier}, and goes on where that was"
        self._log.info(renamed, event="user_renamed", user=self.name, earlier=stored.name, scan=self._scan_id)

    def _go_on_from(self, stored: User | None) -> None:
        """An account that was renamed stays recorded under its first name, until people let another account have that.
        Names are shown as configured, whatever their case."""
        self._stored, self.recorded_as = stored, self.name
        if stored is None or key(stored.name) == key(self.name):
            return
        if key(stored.name) in self._returned:
            self._stored = User(self.name, stored.owner_id, read_to_end_at=stored.read_to_end_at)
        else:
            self.recorded_as = stored.name

    def _still_queried(self) -> None:
        """Its organization may be wanted."""
        if self._stored is not None and self.succeeded_at is None:
            self._listener.user_recorded(self._stored, ())

    def succeeded(self) -> None:
        """The pass went well."""
        self.last_pass_at = self.succeeded_at = self._time.wall()
        self.tried = self.read = True
        self._seems_changed = False
        self.forbidden = self.unknown = False
        self.error = None

    def failed(self, error: PipetestError) -> None:
        """The pass failed, for a reason that concerns this user alone."""
        self.last_pass_at = self._time.wall()
        self.tried = True
        if not isinstance(error, Transient):
            self.forbidden = isinstance(error, Forbidden)
            self.unknown = isinstance(error, Missing | OtherOwner)
        self.error = "GitHub knows no such user" if isinstance(error, Missing) else str(error)
        self._log.debug("{user}: {reason}", user=self.name, reason=self.error, scan=self._scan_id)

    def not_read(self) -> None:
        """A pass failed, for a reason that may concern everybody."""
        self.read = False

    # --- what GitHub tells without a pass -----------------------------------------------------------------------------

    @property
    def account_id(self) -> int | None:
        """The number of the account, where a hint could show that a pass would find nothing; None where one has to be
        made in any case."""
        stored = self._stored
        if stored is None or self.error is not None or self.leaves_out or self._seems_changed:
            return None
        return stored.owner_id if self.read_to_end else None

    def told(self, summary: GistSummary, *, changed: bool) -> None:
        """How its gists stand: unless they seem to have changed, no pass is made."""
        self.node_id, self.total = summary.node_id, summary.total
        self._seems_changed = changed

    def unchanged(self) -> None:
        """As far as GitHub tells, a pass would find nothing: none is made."""
        self._still_queried()
        self.succeeded()

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def read_to_end(self) -> bool:
        """Whether the list was ever read to its end."""
        return self._stored is not None and self._stored.read_to_end_at is not None

    @property
    def is_not_shown(self) -> bool:
        """Whether GitHub last answered that there is no such list, or that it does not show it."""
        return self.error is not None and (self.forbidden or self.unknown)

    def to_end_due(self, now_at: float) -> bool:
        """Whether the daily pass to the end is due, which waits while passes fail."""
        return self._stored is not None and self.error is None and is_to_end_due(self._stored, now_at)

    def status(self) -> QueriedUser:
        recorded_as = None if self.recorded_as == self.name else self.recorded_as
        return QueriedUser(name=self.name, recorded_as=recorded_as, succeeded_at=self.succeeded_at, error=self.error)


def _nothing_new(found: PassResult, user: User) -> bool:
    """Whether recording it would change nothing but cost a commit."""
    same = found.etag == user.etag and found.owner_id in (None, user.owner_id)
    return same and not found.gists and found.read_to_end_at is None


def _after(user: User, found: PassResult, recorded_as: str) -> User:
    """The user as it is stored once this was recorded."""
    return replace(
        user,
        name=recorded_as,
        owner_id=found.owner_id or user.owner_id,
        etag=found.etag,
        read_to_end_at=found.read_to_end_at or user.read_to_end_at,
    )
