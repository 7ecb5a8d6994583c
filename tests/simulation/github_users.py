"""The people on GitHub: they write, publish, edit and delete gists, and change their names."""

from collections.abc import Callable, Sequence
from math import inf
from urllib.parse import urlsplit

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import HostedAccount
from tests.simulation.clock import DAY_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import FOLLOWED, LISTS

CURATOR = "Curator"
"""Whom this account follows is a list of users."""


class GitHubUsers:
    """``published``: for each name in use, the gists that were ever public under it, with their creation time; for an
    account on a list that has had several, by the first of them. ``published_later``: gists that were secret at first,
    and those that could not be read for a while; ``published_at``: when the former became public. ``wrote_last``: who
    published one more gist at the end."""

    def __init__(self, environment: Environment) -> None:
        plan, events = environment.plan, environment.events
        self._environment = environment
        self._random = environment.random
        self._accounts = environment.world.accounts
        self.published: dict[str, dict[str, float]] = {}
        self.published_later: set[str] = set()
        self.published_at: dict[str, float] = {}
        self.wrote_last: list[str] = []
        self._followed: dict[str, HostedAccount] = {}
        self._first_names: dict[str, str] = {}
        self._followed_since: dict[str, float] = {}
        for user in plan.users:
            self._open(user)
        events.every(plan.gist_every_s, lambda: self._let_somebody(self._write))
        events.every(20.0 * plan.gist_every_s, lambda: self._let_somebody(self._write_many))
        events.every(7200.0, lambda: self._let_somebody(self._change))
        if environment.has(LISTS):
            self._accounts.open(CURATOR)
            self.follow_all()
            events.every(4 * 3600.0, self._change_list)
        if environment.has(FOLLOWED):
            events.every(DAY_S / 4, self._rename_followed)
        if environment.has("renames"):
            events.every(DAY_S, lambda: self._let_somebody(self._rename))

    def _open(self, user: str) -> None:
        account = self._accounts.open(user)
        if self._environment.has(FOLLOWED):
            self._followed[user] = account
        for _ in range(self._random.randint(0, self._environment.plan.earlier_gists)):
            self._write(account, self._random.uniform(0.0, 500.0) * DAY_S)

    def account(self, user: str) -> HostedAccount | None:
        """Who is read as this user: on a list, the account that had the name first; else whoever has it now."""
        return self._followed.get(user) or self._accounts.by_login(user)

    def known_as(self, name: str) -> str:
        """The name that the account on the list had first, as it compares; else this one."""
        return self._first_names.get(key(name), key(name))

    def write_last(self) -> None:
        """Everybody publishes one more gist."""
        for user in self._environment.plan.users:
            if (account := self.account(user)) is not None:
                self._write(account, public=True)
                self.wrote_last.append(user)

    # --- the list -----------------------------------------------------------------------------------------------------

    def follow_all(self) -> None:
        """The list names everybody."""
        for user in self._environment.plan.users:
            if (account := self.account(user)) is not None:
                self._accounts.follow(CURATOR, account.login)
                self._followed_since.setdefault(key(user), self._environment.clock.seconds())

    def followed_since(self, user: str) -> float:
        """Since when this user, who is compared by the first name, is on the list without a break."""
        return self._followed_since.get(user, inf)

    def _unfollow(self, user: str) -> None:
        if (account := self.account(user)) is not None:
            self._accounts.unfollow(CURATOR, account.login)
            self._followed_since.pop(key(user), None)

    def _change_list(self) -> None:
        """Some leave it, or all for less than a day; then everybody is on it again."""
        users = self._environment.plan.users
        self._leave(users if self._environment.chance(0.4) else self._random.sample(users, 1))

    def _leave(self, users: Sequence[str]) -> None:
        for user in users:
            self._unfollow(user)
        self._environment.clock.callLater(self._random.uniform(0.5, 20.0) * 3600.0, self.follow_all)

    def _rename_followed(self) -> None:
        """To a name that is free, its first one included. Sometimes a stranger, whom nobody follows, has the old one
        from then on."""
        user = self._random.choice(self._environment.plan.users)
        account, names = self._followed[user], [user, *(f"{user}-{number}" for number in range(1, 9))]
        free = [name for name in names if self._accounts.by_login(name) is None]
        if not free:
            return
        old, new = account.login, self._random.choice(free)
        self._accounts.rename(old, new)
        self._first_names[key(new)] = key(user)
        if self._environment.chance(0.3):
            self._accounts.open(old)
            self._accounts.write(old, created_at=self._environment.clock.seconds())

    def change_list(self, url: str) -> None:
        """Something changes in the list at ``url``."""
        match urlsplit(url).path.split("/"):
            case [*_, "following"] if self._environment.has(FOLLOWED):
                self._leave(self._random.sample(self._environment.plan.users, 1))
            case ["", "users", name, *_]:
                self._change_while_read(self._accounts.by_login(name))
            case ["", "user", number, *_]:
                self._change_while_read(self._accounts.by_id(int(number)))

    def _change_while_read(self, account: HostedAccount | None) -> None:
        if account is not None:
            self._random.choice((self._delete, self._change))(account)

    # --- what one of them does ----------------------------------------------------------------------------------------

    def _let_somebody(self, act: Callable[[HostedAccount], None]) -> None:
        account = self.account(self._random.choice(self._environment.plan.users))
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
            self.published_at[gist] = self._environment.clock.seconds()
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
        self.published.setdefault(self.known_as(account.login), {}).update(
            (gist.id, gist.created_at) for gist in account.listing()
        )
