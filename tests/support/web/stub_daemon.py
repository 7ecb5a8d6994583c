"""Stands behind the site in place of a daemon."""

from collections.abc import Sequence

from pipetest.domain.status import QueriedUser, Status
from tests.support.web.sample import QUIET


class StubDaemon:
    """Has the ``status`` that a test gives it, and ``all_users`` where there are more than that names; remembers the
    ``calls`` of the admin routes."""

    def __init__(self) -> None:
        self.status: Status = QUIET
        self.all_users: Sequence[QueriedUser] = ()
        self.calls: list[tuple[str, object]] = []

    async def scan(self) -> None:
        self.calls.append(("scan", None))

    async def set_paused(self, paused: bool) -> None:
        self.calls.append(("pause", paused))

    async def retry_all(self) -> None:
        self.calls.append(("retry_all", None))

    async def retry(self, gist_id: str) -> bool:
        self.calls.append(("retry", gist_id))
        return any(gist_id == quarantined.id for quarantined in self.status.quarantine)

    async def audit(self) -> None:
        self.calls.append(("audit", None))

    async def backfill(self, user: str) -> bool:
        self.calls.append(("backfill", user))
        return any(user == queried.name for queried in self.status.users)
