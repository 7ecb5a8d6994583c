"""The people on GitHub: they write gists, publish, edit and delete them, and change their names."""

from collections.abc import Callable
from urllib.parse import urlsplit

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import Account
from tests.simulation.environment import Environment
from tests.simulation.run_plan import DAY_S


class GitHubUsers:
    """``published`` holds, for each name in use, the gists that were ever public under it, with their creation time;
    ``late`` are those that were secret at first; ``last`` are those who published one at the very end."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._accounts = environment.world.accounts
        self.published: dict[str, dict[str, float]] = {}
        self.late: set[str] = set()
        self.last: list[str] = []
        for user in environment.plan.users:
            account = self._accounts.open(user)
            for _ in range(environment.random.randint(0, environment.plan.earlier_gists)):
                self._write(account, environment.random.uniform(0.0, 500.0) * DAY_S)
        environment.events.every(environment.plan.gist_every, lambda: self._let_somebody(self._write))
        environment.events.every(20.0 * environment.plan.gist_every, lambda: self._let_somebody(self._write_many))
        environment.events.every(7200.0, lambda: self._let_somebody(self._change))
        if environment.has("renames"):
            environment.events.every(DAY_S, lambda: self._let_somebody(self._rename))

    def write_each(self) -> None:
        """Everybody publishes one more gist."""
        for user in self._environment.plan.users:
            if (account := self._accounts.by_login(user)) is not None:
                self._write(account, public=True)
                self.last.append(user)

    def shift(self, url: str) -> None:
        """Something changes in the list at ``url``."""
        _, kind, who, *_ = urlsplit(url).path.split("/")
        account = self._accounts.by_login(who) if kind == "users" else self._accounts.by_id(int(who))
        if account is not None:
            self._environment.random.choice((self._delete, self._change))(account)

    # --- what one of them does ----------------------------------------------------------------------------------------

    def _let_somebody(self, act: Callable[[Account], None]) -> None:
        account = self._accounts.by_login(self._environment.random.choice(self._environment.plan.users))
        if account is not None:
            act(account)

    def _change(self, account: Account) -> None:
        self._environment.random.choice((self._write, self._publish, self._delete, self._edit))(account)

    def _write(self, account: Account, age: float = 0.0, *, public: bool | None = None) -> None:
        public = self._environment.chance(0.8) if public is None else public
        self._accounts.write(account.login, public=public, created_at=self._environment.clock.seconds() - age)
        self._note(account)

    def _write_many(self, account: Account) -> None:
        """More than a page, in no time."""
        for _ in range(10):
            self._write(account)

    def _publish(self, account: Account) -> None:
        """A secret gist appears at the place of its creation."""
        if secret := [gist.id for gist in account.gists if not gist.public]:
            gist = self._environment.random.choice(secret)
            self._accounts.publish(gist)
            self.late.add(gist)
            self._note(account)

    def _delete(self, account: Account) -> None:
        if account.gists:
            self._accounts.delete(self._environment.random.choice(account.gists).id)

    def _edit(self, account: Account) -> None:
        if account.gists:
            self._accounts.edit(
                self._environment.random.choice(account.gists).id, f"at {self._environment.clock.seconds()}"
            )

    def _rename(self, account: Account) -> None:
        """Sooner or later the old name is taken by somebody else, or taken back."""
        old = account.login
        self._accounts.rename(old, f"{old}-{account.id}")
        self._environment.clock.callLater(self._environment.random.expovariate(1.0 / 7200.0), self._take, old, account)

    def _take(self, name: str, before: Account) -> None:
        if self._environment.chance(0.5):
            self._accounts.rename(before.login, name)
            self._note(before)
        else:
            self._write(self._accounts.open(name))

    def _note(self, account: Account) -> None:
        self.published.setdefault(key(account.login), {}).update(
            (gist.id, gist.created_at) for gist in account.listing()
        )
