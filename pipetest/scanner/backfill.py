"""From when on a user's gists become deals: decided at the first whole pass over its list, and never again.

What appears later is wanted whatever its date. So is what was written after the user was first queried: that moment is
stored at once, so that nothing is lost where its first pass takes days to come.
"""

from collections.abc import Collection, Mapping
from math import floor, inf

from pipetest.domain.interfaces import Store
from pipetest.scanner.recorded_users import recorded_among

STORED_AS = "first queried"


class FirstQueried:
    """When each user was first queried, by :func:`~pipetest.scanner.recorded_users.queried_as`; kept until the first
    pass is made, and a little longer. Gists that were written since ``backfill_since`` are wanted, even if that is
    earlier."""

    def __init__(self, store: Store, backfill_since: float) -> None:
        self._store = store
        self._backfill_since = backfill_since
        self._moments: Mapping[str, float] | None = None

    async def note(self, new: Mapping[str, float]) -> None:
        """The users in ``new`` are yet to have the first pass, and were queried since then; of the others, whoever is
        recorded has had it, and can be forgotten. Returns when the former is stored; the latter is stored along with
        it.

        :raises Unavailable: the database cannot be asked.
        """
        moments = await self._loaded()
        if moments.keys() >= new.keys():
            return
        passed = await recorded_among(self._store, moments.keys() - new.keys())
        needed = {user: moment for user, moment in moments.items() if user not in passed}
        await self._keep({**new, **needed})

    async def forget(self, users: Collection[str]) -> None:
        """These have had their first pass and are queried no more: whoever has one of the names later is queried anew.
        Returns when that is stored."""
        moments = await self._loaded()
        if moments.keys() & {*users}:
            await self._keep({user: moment for user, moment in moments.items() if user not in users})

    def wanted_since(self, user: str) -> float:
        """Gists that this user wrote since then are wanted. GitHub tells whole seconds."""
        since = min(self._backfill_since, (self._moments or {}).get(user, inf))
        return floor(since) if -inf < since < inf else since

    async def _loaded(self) -> Mapping[str, float]:
        if self._moments is None:
            self._moments = await self._store.get_value(STORED_AS, dict[str, float]) or {}
        return self._moments

    async def _keep(self, moments: Mapping[str, float]) -> None:
        await self._store.put_value(STORED_AS, moments)
        self._moments = moments
