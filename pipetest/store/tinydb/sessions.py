"""The visitors of ``/getGists``: bounded, in memory, and handed to the next commit when they have changed."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from math import inf

from msgspec import Struct

from pipetest.store.tinydb.format import SessionRow

MAX_SESSIONS = 10_000
"""Sessions at most: a visitor without a cookie jar begins one at every visit, and each is written at each commit. As
many take 2 MB of memory and 1 MB of file."""


class _Session(Struct, eq=False, gc=False):
    """``doc_id``: its place in the table; ``stored``: the table may hold it."""

    doc_id: int
    shown: int
    begun_at: float
    visited_at: float
    returned: bool = False
    stored: bool = False
    rank: int = 0


def _rank(session: _Session) -> int:
    """For how long it has been coming, in powers of two: a stranger can come twice in a moment, but not for a week. 0
    where it came once."""
    if not session.returned:
        return 0
    return 1 + int(max(0.0, session.visited_at - session.begun_at) * 1000).bit_length()


class Sessions:
    """Sessions by id. Beyond the bound those that came once go first, then those that have been coming for the
    shortest time, and among them the longest unvisited. A tenth of the places is for newcomers, so that they have no
    need to push out those who return.

    Every visit costs the same, however many there are.
    """

    def __init__(self, rows: Iterable[tuple[int, SessionRow]] = (), bound: int = MAX_SESSIONS) -> None:
        self._bound = bound
        self._bound_of_returned = bound - max(1, bound // 10)
        self._sessions: dict[str, _Session] = {}
        self._ranks: defaultdict[int, OrderedDict[str, _Session]] = defaultdict(OrderedDict)
        self._changed: dict[int, str | None] = {}
        self._last_doc_id = 0
        for doc_id, row in sorted(rows, key=lambda numbered: numbered[1].visited_at):
            begun_at = row.visited_at if row.begun_at is None else row.begun_at
            self._place(
                row.session_id, _Session(doc_id, row.shown, begun_at, row.visited_at, row.returned, stored=True)
            )
            self._last_doc_id = max(self._last_doc_id, doc_id)

    def resume(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        """The position shown to a known session, which has now returned; None where its ``lifetime`` is over."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        if now - session.visited_at > lifetime:
            self._remove(session_id)
            return None
        session.returned = True
        self._touch(session_id, session, now)
        if len(self._sessions) - len(self._ranks[0]) > self._bound_of_returned:
            self._remove_lowest(1)
        return session.shown

    def advance(self, session_id: str, position: int, now: float) -> bool:
        """Move a session on, or begin it; whether that is worth a commit."""
        session = self._sessions.get(session_id)
        if session is None:
            self._begin(session_id, position, now)
            return True
        moved = position > session.shown
        session.shown = max(session.shown, position)
        self._touch(session_id, session, now)
        return moved

    def expire(self, unvisited_since: float) -> int:
        """Remove sessions last visited before then; how many."""
        expired = [name for name, session in self._sessions.items() if session.visited_at < unvisited_since]
        for session_id in expired:
            self._remove(session_id)
        return len(expired)

    def changes(self) -> Mapping[int, SessionRow | None]:
        """What has changed since this was last asked: rows by document id, None for those to be removed."""
        changed, self._changed = self._changed, {}
        return {doc_id: None if session_id is None else self._row(session_id) for doc_id, session_id in changed.items()}

    def _touch(self, session_id: str, session: _Session, now: float) -> None:
        del self._ranks[session.rank][session_id]
        session.visited_at = now
        self._place(session_id, session)
        self._changed[session.doc_id] = session_id

    def _begin(self, session_id: str, position: int, now: float) -> None:
        if len(self._sessions) >= self._bound:
            self._remove_lowest(0)
        self._last_doc_id += 1
        self._place(session_id, _Session(self._last_doc_id, position, now, now))
        self._changed[self._last_doc_id] = session_id

    def _place(self, session_id: str, session: _Session) -> None:
        session.rank = _rank(session)
        self._sessions[session_id] = self._ranks[session.rank][session_id] = session

    def _remove_lowest(self, least: int) -> None:
        """The longest unvisited of the lowest rank from this one on."""
        lowest = min(rank for rank, sessions in self._ranks.items() if sessions and rank >= least)
        self._remove(next(iter(self._ranks[lowest])))

    def _remove(self, session_id: str) -> None:
        session = self._sessions.pop(session_id)
        del self._ranks[session.rank][session_id]
        if session.stored:
            self._changed[session.doc_id] = None
        else:
            self._changed.pop(session.doc_id, None)

    def _row(self, session_id: str) -> SessionRow:
        session = self._sessions[session_id]
        session.stored = True
        begun_at = session.begun_at if session.returned else None
        return SessionRow(session_id, session.shown, session.visited_at, session.returned, begun_at)
