"""The lease of a daemon that works alone: the lock of its database's file."""

from collections.abc import Callable, Sequence

from pipetest.domain.interfaces import Command


class FileLease:
    """A :class:`~pipetest.domain.interfaces.Lease` that is never lost: the store takes the lock when it is opened, and
    keeps it until it is closed."""

    shared = False
    holder: str | None = None

    def on_lost(self, callback: Callable[[], None]) -> None:
        """It never is."""

    def is_fresh(self) -> bool:
        return True

    async def acquire(self) -> bool:
        return True

    async def renew(self) -> Sequence[Command]:
        return ()

    async def acknowledge(self, command: Command) -> None:
        """No command comes by way of a file."""

    async def release(self) -> None:
        """The store does, when it is closed."""
