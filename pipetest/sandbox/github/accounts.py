"""What GitHub keeps: accounts and their gists, and what people do with them."""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from msgspec import Struct, field

NOTES = ("notes.txt",)


class HostedGist(Struct):
    """A gist as GitHub keeps it, with the names of its ``files``. Times are seconds since the epoch; any change makes a
    new ``revision``."""

    id: str
    created_at: float
    updated_at: float
    public: bool
    description: str | None
    language: str | None
    files: Sequence[str] = NOTES
    revision: int = 0


class HostedAccount(Struct):
    """An account: its id outlives its name. ``gists`` lie oldest first. ``following``: whom it follows, and ``members``
    who says in public that they belong to this organization, by id, the latest first."""

    id: int
    login: str
    gists: list[HostedGist] = field(default_factory=list)
    following: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    version: int = 0
    _listings: dict[bool, Sequence[HostedGist]] = field(default_factory=dict)

    def listing(self, *, include_secret: bool = False) -> Sequence[HostedGist]:
        """The gists as a list call shows them: by creation, newest first."""
        if include_secret not in self._listings:
            self._listings[include_secret] = [gist for gist in reversed(self.gists) if gist.public or include_secret]
        return self._listings[include_secret]

    def rename(self, login: str) -> None:
        self.login = login
        self.changed()

    def changed(self) -> None:
        """Each version of the account has lists and ETags of its own."""
        self.version += 1
        self._listings.clear()


class Accounts:
    """All accounts, by name without case and by id. ``wall`` tells the seconds since the epoch.

    Its methods are what people do; all of it takes effect at once.
    """

    def __init__(self, wall: Callable[[], float], random: Random) -> None:
        self._wall = wall
        self._random = random
        self._by_login: dict[str, HostedAccount] = {}
        self._by_id: dict[int, HostedAccount] = {}
        self._gists: dict[str, tuple[HostedAccount, HostedGist]] = {}
        self._last_id = 1000

    def by_login(self, login: str) -> HostedAccount | None:
        return self._by_login.get(login.lower())

    def by_id(self, account_id: int) -> HostedAccount | None:
        return self._by_id.get(account_id)

    def gist(self, gist_id: str) -> tuple[HostedAccount, HostedGist] | None:
        """The gist and whose it is, None where there is no such one."""
        return self._gists.get(gist_id)

    def public_gists(self) -> Mapping[str, Sequence[str]]:
        """By account, the ids of its public gists, newest first."""
        return {account.login: [gist.id for gist in account.listing()] for account in self._by_id.values()}

    # --- accounts -----------------------------------------------------------------------------------------------------

    def open(self, login: str) -> HostedAccount:
        """A new account, with an id never used before."""
        self._require_free(login)
        self._last_id += self._random.randint(1, 9)
        account = HostedAccount(self._last_id, login)
        self._by_login[login.lower()] = self._by_id[account.id] = account
        return account

    def rename(self, login: str, new: str) -> None:
        """The old name answers 404 from now on, until somebody else opens an account with it."""
        self._require_free(new)
        account = self._by_login.pop(login.lower())
        account.rename(new)
        self._by_login[new.lower()] = account

    def close(self, login: str) -> None:
        account = self._by_login.pop(login.lower())
        del self._by_id[account.id]

    def follow(self, login: str, other: str) -> None:
        self._list(self._by_login[login.lower()].following, other)

    def unfollow(self, login: str, other: str) -> None:
        self._unlist(self._by_login[login.lower()].following, other)

    def join(self, organization: str, login: str) -> None:
        """From now on this account is a public member of that one, which is an organization."""
        self._list(self._by_login[organization.lower()].members, login)

    def leave(self, organization: str, login: str) -> None:
        self._unlist(self._by_login[organization.lower()].members, login)

    def living(self, account_ids: Iterable[int]) -> Sequence[HostedAccount]:
        """Those of them that were not closed."""
        return [account for account in map(self._by_id.get, account_ids) if account is not None]

    def _list(self, listed: list[int], login: str) -> None:
        account_id = self._by_login[login.lower()].id
        if account_id not in listed:
            listed.insert(0, account_id)

    def _unlist(self, listed: list[int], login: str) -> None:
        account_id = self._by_login[login.lower()].id
        if account_id in listed:
            listed.remove(account_id)

    def _require_free(self, login: str) -> None:
        if login.lower() in self._by_login:
            raise ValueError(f"the account name {login} is taken")

    # --- gists --------------------------------------------------------------------------------------------------------

    def write(
        self,
        login: str,
        *,
        gist_id: str | None = None,
        public: bool = True,
        description: str | None = None,
        language: str | None = None,
        files: Sequence[str] = NOTES,
        created_at: float | None = None,
    ) -> HostedGist:
        """A new gist, written just now unless ``created_at`` says otherwise."""
        at = self._wall() if created_at is None else created_at
        new_id = gist_id or f"{self._random.getrandbits(128):032x}"
        gist = HostedGist(new_id, at, at, public, description, language, files)
        account = self._by_login[login.lower()]
        insort(account.gists, gist, key=lambda other: int(other.created_at))  # the API shows whole seconds
        self._gists[gist.id] = account, gist
        account.changed()
        return gist

    def publish(self, gist_id: str) -> None:
        """Make a secret gist public: it appears at the place of its creation, maybe far from the first page."""
        self._gists[gist_id][1].public = True
        self._touch(gist_id)

    def edit(self, gist_id: str, description: str | None) -> None:
        """A later ``updated_at``, and the same place in the list."""
        self._gists[gist_id][1].description = description
        self._touch(gist_id)

    def delete(self, gist_id: str) -> None:
        """The gists after it move up: a client that reads page by page may miss one."""
        account, gist = self._gists.pop(gist_id)
        account.gists.remove(gist)
        account.changed()

    def _touch(self, gist_id: str) -> None:
        account, gist = self._gists[gist_id]
        gist.updated_at = self._wall()
        gist.revision += 1
        account.changed()
