"""One user: read its list, record what is new, and tell how that went."""

from collections.abc import Collection, Mapping
from math import inf
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.errors import Forbidden, Missing, OtherOwner, PipetestError, Transient
from pipetest.domain.interfaces import ScanListener, Store, Time
from pipetest.domain.model import GistSummary, PassResult, Text, User, key
from pipetest.scanner.list_reader import ListReader
from pipetest.scanner.recorded_users import RecordedUsers
from pipetest.scanner.standing import LastPass, Standing

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


class Terms(Struct, frozen=True):
    """What holds for everybody in one scan: its ``number`` since this process began, and its ``id`` in the log.
    ``returned`` are names (:func:`~pipetest.domain.model.key`): whoever has one of them now is its user, as if it had
    never been read. ``without_text`` are the names under which gists are recorded that lack their texts."""

    number: int = 0
    id: int = 0
    returned: Collection[str] = ()
    without_text: Collection[str] = ()


class UserScan:
    """The scan of one ``user``: makes the passes over its list.

    ``stored`` is what the store holds of it. If its account is read for the first time, its gists are wanted that were
    written since ``wanted_since``. ``unchanged`` is what counts as its last pass where none need be made.
    """

    _log = Logger()

    _stored: User | None

    def __init__(
        self,
        user: Standing,
        stored: User | None,
        wanted_since: float,
        unchanged: LastPass,
        terms: Terms,
        reader: ListReader,
        store: Store,
        time: Time,
        listener: ScanListener,
    ) -> None:
        self.user = user
        self._wanted_since = wanted_since
        self._terms = terms
        self._reader = reader
        self._store = store
        self._time = time
        self._listener = listener
        self._unchanged = unchanged
        self._total: int | None = None
        self._leaves_out = user.last_pass.leaves_out
        self._earlier_owner: int | None = None
        self._go_on_from(stored)
        if stored is not None and user.identity.told is None and key(user.name) in terms.returned:
            self._stored = replace(stored, owner_id=None, etag=None, read_to_end_at=None)
            self._earlier_owner = stored.owner_id

    # --- one pass -----------------------------------------------------------------------------------------------------

    async def make_pass(self, *, to_end: bool) -> str:
        """Read the list and record what is new in it. Returns the outcome that a metric counts it by: "recorded", or
        "unchanged" where there was nothing to record.

        :raises PipetestError: nothing was recorded.
        """
        user = User(self.name) if self._stored is None else replace(self._stored, name=self.name)
        if user.owner_id is None:
            user = replace(user, owner_id=self.user.identity.listed)
        found = await self._reader.read(user, self._time.wall(), to_end=to_end or self._has_to_reach_end)
        if found is not None:
            self._leaves_out = found.unreadable > 0 or (self._leaves_out and found.read_to_end_at is None)
        if found is None or (self._stored is not None and _nothing_new(found, self._stored)):
            self._still_queried()
            return "unchanged"
        if self._stored is None and found.owner_id is not None:
            await self._find_renamed(found.owner_id)
        since = self._wanted_since if self._is_first_pass(found) else -inf
        entries = await self._store.add_gists(replace(found, user=self._recorded_as, wanted_since=since))
        self.user.told(found.owner_id)
        self._stored = _after(self._stored or user, found, self._recorded_as)
        if entries:
            new = "{user}: 1 new gist" if len(entries) == 1 else "{user}: {gists} new gists"
            self._log.info(new, event="gists_recorded", user=self.name, gists=len(entries), scan=self._terms.id)
        self._listener.user_recorded(self._stored, entries)
        if found.read_to_end_at is not None:
            await self._add_texts(found.texts)
        return "recorded"

    async def _add_texts(self, texts: Mapping[str, Text]) -> None:
        """Of gists that were recorded without theirs; what GitHub no longer shows has none."""
        if entries := await self._store.add_texts(self._recorded_as, texts):
            self._listener.texts_known(entries)

    def _is_first_pass(self, found: PassResult) -> bool:
        """Whether it is the first one over the list of this account."""
        earlier = self._earlier_owner
        other_account = earlier is not None and found.owner_id not in (None, earlier)
        return self._stored is None or other_account

    async def _find_renamed(self, account_id: int) -> None:
        """The account may be recorded under another name."""
        recorded = RecordedUsers(await self._store.known_users([], {account_id}))
        if (stored := recorded.find(self.name, account_id)) is not None:
            self._go_on_from(stored)
            renamed = "{user}: is the account that was {earlier}, and goes on where that was"
            self._log.info(renamed, event="user_renamed", user=self.name, earlier=stored.name, scan=self._terms.id)

    def _go_on_from(self, stored: User | None) -> None:
        """An account that was renamed stays recorded under its first name, until people let another account have that.
        Names are shown as configured, whatever their case."""
        self._stored = stored
        self._recorded_as = self.name
        if stored is not None and key(stored.name) != key(self.name):
            if key(stored.name) in self._terms.returned:
                self._stored = User(self.name, stored.owner_id, read_to_end_at=stored.read_to_end_at)
            else:
                self._recorded_as = stored.name
        self.user.recorded_as(self._recorded_as)

    def _still_queried(self) -> None:
        """Its organization may be wanted."""
        if self._stored is not None and self.user.succeeded_at is None:
            self._listener.user_recorded(self._stored, ())

    def succeeded(self) -> None:
        """The pass went well."""
        now_at = self._time.wall()
        self._read_well(LastPass(now_at, self._terms.number, now_at, leaves_out=self._leaves_out))

    def _read_well(self, last_pass: LastPass) -> None:
        if self._total is not None:
            self.user.total_told(self._total)
        self.user.pass_ended(last_pass)

    def failed(self, error: PipetestError) -> None:
        """The pass failed, for a reason that concerns this user alone."""
        last = self.user.last_pass
        forbidden, unknown = isinstance(error, Forbidden), isinstance(error, Missing | OtherOwner)
        if isinstance(error, Transient):
            forbidden, unknown = last.forbidden, last.unknown
        text = "GitHub knows no such user" if isinstance(error, Missing) else str(error)
        self.user.pass_ended(
            LastPass(
                self._time.wall(),
                self._terms.number,
                last.succeeded_at,
                text,
                forbidden=forbidden,
                unknown=unknown,
                leaves_out=self._leaves_out,
            )
        )
        self._log.debug("{user}: {reason}", user=self.name, reason=text, scan=self._terms.id)

    # --- what GitHub tells without a pass -----------------------------------------------------------------------------

    @property
    def account_id(self) -> int | None:
        """The number of the account, where a hint could show that a pass would find nothing; None where one has to be
        made in any case."""
        last = self.user.last_pass
        if self._stored is None or last.error is not None or last.leaves_out or self._has_to_reach_end:
            return None
        return self._stored.owner_id

    def told(self, summary: GistSummary) -> None:
        """How its gists stand. How many they are is remembered when what has changed was read."""
        self.user.node_told(summary.node_id)
        self._total = summary.total

    def unchanged(self) -> None:
        """As far as GitHub tells, a pass would find nothing: none is made."""
        self._still_queried()
        self._read_well(self._unchanged)

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def tried(self) -> bool:
        """Whether a pass has ended in this scan."""
        return self.user.last_pass.scan == self._terms.number

    @property
    def _has_to_reach_end(self) -> bool:
        """Whether every pass does: the list was never read to its end, or has gists that wait for their text."""
        never = self._stored is None or self._stored.read_to_end_at is None
        return never or key(self._recorded_as) in self._terms.without_text

    def to_end_due(self, now_at: float) -> bool:
        """Whether the daily pass to the end is due, which waits while passes fail."""
        return self._stored is not None and self.user.error is None and is_to_end_due(self._stored, now_at)


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
