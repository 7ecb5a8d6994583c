"""A GitHub that is not as described: some of it for the whole run, some of it for a while."""

from collections.abc import Callable
from random import Random

from pipetest.sandbox.github.quirks import BROKEN_FIELDS
from tests.simulation.clock import HOUR_S
from tests.simulation.environment import Environment

HIDDEN = (403, 451)
"""With which status a list is refused."""


class GitHubQuirks:
    """``found_later`` gets each gist that was ever listed as something that cannot be read: it may have to wait for the
    daily pass to the end."""

    def __init__(self, environment: Environment, found_later: set[str]) -> None:
        self._environment = environment
        self._quirks = quirks = environment.world.github_api.quirks
        self._found_later = found_later
        self._random = random = Random(f"quirks {environment.plan.seed}")
        if not environment.has("quirks"):
            return
        quirks.versions = quirks.versions[:1]
        quirks.links = random.choice(("plain", "lines", "relative", "none"))
        quirks.redirects = random.choice((0, 0, 1, 3))
        quirks.page_status = random.choice((200, 203))
        quirks.heaviest = random.choice((None, environment.plan.page_sizes[1]))
        for act in (self._answer_304, self._list_without_end, self._hide_somebody, self._break_a_gist):
            environment.events.every(6 * HOUR_S, act)

    def end(self) -> None:
        """From now on only that is odd which always was."""
        self._quirks.unasked_304 = self._quirks.endless = False
        self._quirks.hidden.clear()
        self._quirks.broken.clear()

    # --- what lasts for a while ---------------------------------------------------------------------------------------

    def _later(self, mean_s: float, act: Callable[..., object], *args: object) -> None:
        self._environment.clock.callLater(self._random.expovariate(1.0 / mean_s), act, *args)

    def _answer_304(self) -> None:
        self._quirks.unasked_304 = True
        self._later(HOUR_S, setattr, self._quirks, "unasked_304", False)

    def _list_without_end(self) -> None:
        self._quirks.endless = True
        self._later(HOUR_S / 4, setattr, self._quirks, "endless", False)

    def _hide_somebody(self) -> None:
        user = self._random.choice(self._environment.plan.users).lower()
        self._quirks.hidden[user] = self._random.choice(HIDDEN)
        self._later(3 * HOUR_S, self._quirks.hidden.pop, user, None)

    def _break_a_gist(self) -> None:
        account = self._environment.world.accounts.by_login(self._random.choice(self._environment.plan.users))
        if account is not None and account.gists:
            gist = self._random.choice(account.gists).id
            self._quirks.broken[gist] = self._random.choice(("null", *BROKEN_FIELDS))
            self._found_later.add(gist)
            self._later(12 * HOUR_S, self._quirks.broken.pop, gist, None)
