"""What people ask of whichever instance scans, by way of the database: its holder of the lock obeys within a second."""

from attrs import frozen

from pipetest.store.postgres.store import PostgresStore


@frozen
class CommandQueue:
    """Each returns when it is stored."""

    _store: PostgresStore

    async def scan(self) -> None:
        await self._store.order("scan")

    async def pause(self, paused: bool) -> None:
        await self._store.order("pause" if paused else "resume")

    async def retry(self, gist_id: str) -> bool:
        """False when there is no such gist in quarantine."""
        if not await self._store.quarantined(gist_id):
            return False
        await self._store.order("retry", gist_id)
        return True
