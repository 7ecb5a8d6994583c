"""The people on GitHub: they write, publish, edit and delete gists, and change their names."""

from collections.abc import Callable
from urllib.parse import urlsplit

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import HostedAccount
from tests.simulation.clock import DAY_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import LISTS

CURATOR = "Curator"
"""Whom this account follows is a list of users."""


class GitHubUsers:
    """``published``: for each name in use, the gists that were ever public under it, with their creation time.
    ``published_later``: gists that were secret at first. ``wrote_last``: who published one more gist at the end."""

    def __init__(self, environment: Environment) -> None:
        plan, events = environment.plan, environment.events
        self._environment = environment
        self._random = environment.random
        self._accounts = environment.world.accounts
        self.published: dict[str, dict[str, float]] = {}
        self.published_later: set[str] = set()
        self.wrote_last: list[str] = []
        for user in plan.users:
            account = self._accounts.open(user)
            for _ in range(self._random.randint(0, plan.earlier_gists)):
                self._write(account, self._random.uniform(0.0, 500.0) * DAY_S)
        events.every(plan.gist_every_s, lambda: self._let_somebody(self._write))
        events.every(20.0 * plan.gist_every_s, lambda: self._let_somebody(self._write_many))
        events.every(7200.0, lambda: self._let_somebody(self._change))
        if environment.has(LISTS):
            self._accounts.open(CURATOR)
            self.follow_all()
            events.every(4 * 3600.0, self._change_list)
        if environment.has("renames"):
            events.every(DAY_S, lambda: self._let_somebody(self._rename))

    def write_last(self) -> None:
        """Everybody publishes one more gist."""
        for user in self._environment.plan.users:
            if (account := self._accounts.by_login(user)) is not None:
                self._write(account, public=True)
                self.wrote_last.append(user)

    def follow_all(self) -> None:
        """The list names everybody."""
        for user in self._environment.plan.users:
            self._accounts.follow(CURATOR, user)

    def _change_list(self) -> None:
        """Some leave it, or all for less than a day; then everybody is on it again."""
        users = self._environment.plan.users
        leaving = users if self._environment.chance(0.4) else self._random.sample(users, 1)
        for user in leaving:
            self._accounts.unfollow(CURATOR, user)
        self._environment.clock.callLater(self._random.uniform(0.5, 20.0) * 3600.0, self.follow_all)

    def change_list(self, url: str) -> None:
        """Something changes in the list at ``url``."""
        _, kind, who, *_ = urlsplit(url).path.split("/")
        account = self._accounts.by_login(who) if kind == "users" else self._accounts.by_id(int(who))
        if account is not None:
            self._random.choice((self._delete, self._change))(account)

    # --- what one of them does ----------------------------------------------------------------------------------------

    def _let_somebody(self, act: Callable[[HostedAccount], None]) -> None:
        account = self._accounts.by_login(self._random.choice(self._environment.plan.users))
        if account is not None:
            act(account)

    def _change(self, account: HostedAccount) -> None:
        self._random.choice((self._write, self._publish, self._delete, self._edit))(account)

    def _write(self, account: HostedAccount, age_s: float = 0.0, *, public: bool | None = None) -> None:
        public = self._environment.chance(0.8) if public is None else public
        self._accounts.write(account.login, public=public, created_at=self._environment.clock.seconds() - age_s)
        self._add_published(account)

    def _write_many(self, account: HostedAccount) -> None:
        """More than a page, in no time."""
        for _ in range(10):
            self._write(account)

    def _publish(self, account: HostedAccount) -> None:
        """A secret gist appears in the list, at the place of its creation."""
        if secret := [gist.id for gist in account.gists if not gist.public]:
            gist = self._random.choice(secret)
            self._accounts.publish(gist)
            self.published_later.add(gist)
            self._add_published(account)

    def _delete(self, account: HostedAccount) -> None:
        if account.gists:
            self._accounts.delete(self._random.choice(account.gists).id)

    def _edit(self, account: HostedAccount) -> None:
        if account.gists:
            gist = self._random.choice(account.gists).id
            self._accounts.edit(gist, f"at {self._environment.clock.seconds()}")

    def _rename(self, account: HostedAccount) -> None:
        """Sooner or later somebody else takes the old name, or its owner takes it back."""
        old = account.login
        self._accounts.rename(old, f"{old}-{account.id}")
        self._environment.events.once(7200.0, self._take_name, old, account)

    def _take_name(self, name: str, owner: HostedAccount) -> None:
        if self._environment.chance(0.5):
            self._accounts.rename(owner.login, name)
            self._add_published(owner)
        else:
            self._write(self._accounts.open(name))

    def _add_published(self, account: HostedAccount) -> None:
        self.published.setdefault(key(account.login), {}).update(
            (gist.id, gist.created_at) for gist in account.listing()
        )
