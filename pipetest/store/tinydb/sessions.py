"""The visitors of ``/getGists``: bounded, in memory, and handed to the next commit when they have changed."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from math import inf

from msgspec import Struct

from pipetest.store.tinydb.format import SessionRow

MAX_SESSIONS = 10_000
"""Sessions at most: a visitor without a cookie jar begins one at every visit, and each is written at each commit. As
many take 2 MB of memory and 1 MB of file."""


class _Session(Struct, eq=False):
    """``doc_id``: its place in the table; ``stored``: the table may hold it."""

    doc_id: int
    shown: int
    visited_at: float
    stored: bool = False


class Sessions:
    """Sessions by id. Beyond the bound those seen only once go first, then the longest unvisited.

    Every visit costs the same, however many there are.
    """

    def __init__(self, rows: Iterable[tuple[int, SessionRow]] = (), bound: int = MAX_SESSIONS) -> None:
        self._bound = bound
        self._once: OrderedDict[str, _Session] = OrderedDict()
        self._returned: OrderedDict[str, _Session] = OrderedDict()
        self._changed: dict[int, str | None] = {}
        self._last_doc_id = 0
        for doc_id, row in sorted(rows, key=lambda numbered: numbered[1].visited_at):
            among = self._returned if row.returned else self._once
            among[row.session_id] = _Session(doc_id, row.shown, row.visited_at, stored=True)
            self._last_doc_id = max(self._last_doc_id, doc_id)

    def resume(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        """The position shown to a known session, which has now returned; None where its ``lifetime`` is over."""
        session = self._once.pop(session_id, None) or self._returned.pop(session_id, None)
        if session is None:
            return None
        if now - session.visited_at > lifetime:
            self._drop(session)
            return None
        self._returned[session_id] = session
        self._touch(session_id, session, now)
        return session.shown

    def advance(self, session_id: str, position: int, now: float) -> bool:
        """Move a session on, or begin it; whether that is worth a commit."""
        session = self._returned.get(session_id) or self._once.get(session_id) or self._begin(session_id)
        moved = position > session.shown
        session.shown = max(session.shown, position)
        self._touch(session_id, session, now)
        return moved

    def expire(self, unvisited_since: float) -> int:
        """Remove sessions last visited before then; how many."""
        expired = [
            (among, session_id)
            for among in (self._once, self._returned)
            for session_id, session in among.items()
            if session.visited_at < unvisited_since
        ]
        for among, session_id in expired:
            self._drop(among.pop(session_id))
        return len(expired)

    def changes(self) -> Mapping[int, SessionRow | None]:
        """What has changed since this was last asked: rows by document id, None for those to be removed."""
        changed, self._changed = self._changed, {}
        return {doc_id: None if session_id is None else self._row(session_id) for doc_id, session_id in changed.items()}

    def _touch(self, session_id: str, session: _Session, now: float) -> None:
        session.visited_at = now
        self._changed[session.doc_id] = session_id

    def _begin(self, session_id: str) -> _Session:
        if len(self._once) + len(self._returned) >= self._bound:
            self._drop((self._once or self._returned).popitem(last=False)[1])
        self._last_doc_id += 1
        session = self._once[session_id] = _Session(self._last_doc_id, -1, 0.0)
        return session

    def _drop(self, session: _Session) -> None:
        if session.stored:
            self._changed[session.doc_id] = None
        else:
            self._changed.pop(session.doc_id, None)

    def _row(self, session_id: str) -> SessionRow:
        returned = session_id in self._returned
        session = (self._returned if returned else self._once)[session_id]
        session.stored = True
        return SessionRow(session_id, session.shown, session.visited_at, returned)
