"""How it stands with each queried user, from one scan to the next. There may be a million, so this is all that is kept
of them in memory, and what most have in common is one object for all."""

from math import inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import key
from pipetest.domain.status import QueriedUser


class Identity(Struct, frozen=True, gc=False):
    """Whose a name is: the number of the account, as the list of users tells it (``listed``), and as GitHub has told it
    since this process began (``told``). ``recorded_as`` is the name under which its gists are recorded, where that is
    another one: the account was renamed."""

    listed: int | None = None
    told: int | None = None
    recorded_as: str | None = None

    @property
    def account_id(self) -> int | None:
        return self.listed or self.told


class LastPass(Struct, frozen=True, gc=False):
    """How the last pass went: when it ``ended_at`` and in the ``scan`` of which number, and when one ``succeeded_at``
    last. Whoever need not be read, as GraphQL shows, counts as read.

    ``error`` is why it failed, None where it did not. ``forbidden``: GitHub last answered that it does not show the
    list; ``unknown``: that it knows no such user, or only a namesake. ``leaves_out``: it lists something that cannot be
    read, as the last pass to the end saw.
    """

    ended_at: float = -inf
    scan: int = 0
    succeeded_at: float | None = None
    error: str | None = None
    forbidden: bool = False
    unknown: bool = False
    leaves_out: bool = False


NOBODY_KNOWN = Identity()
NO_PASS = LastPass()


class Standing(Struct, eq=False, gc=False):
    """How it stands with the user of this ``name``.

    ``node_id`` is the account's id in GitHub's GraphQL API, None until that has told it. ``total`` is how many public
    gists the account had, as GraphQL told, when what was new of them had been read.
    """

    name: str
    identity: Identity = NOBODY_KNOWN
    last_pass: LastPass = NO_PASS
    node_id: str | None = None
    total: int | None = None

    # --- what changes -------------------------------------------------------------------------------------------------

    def listed(self, account_id: int | None) -> None:
        """The list of users tells the number of the account, or does not: None."""
        if account_id != self.identity.listed:
            self.identity = replace(self.identity, listed=account_id)

    def told(self, account_id: int | None) -> None:
        """GitHub tells the number of the account, or does not: None."""
        if account_id not in (None, self.identity.told):
            self.identity = replace(self.identity, told=account_id)

    def recorded_as(self, name: str) -> None:
        """Its gists are recorded under this name."""
        other = None if name == self.name else name
        if other != self.identity.recorded_as:
            self.identity = replace(self.identity, recorded_as=other)

    def node_told(self, node_id: str) -> None:
        """GraphQL calls the account so."""
        self.node_id = node_id

    def total_told(self, total: int) -> None:
        """Of so many public gists GraphQL told, and nothing else is new."""
        self.total = total

    def pass_ended(self, last_pass: LastPass) -> None:
        self.last_pass = last_pass

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def succeeded_at(self) -> float | None:
        """When a pass last went well."""
        return self.last_pass.succeeded_at

    @property
    def error(self) -> str | None:
        """Why the last pass failed, None while passes go well."""
        return self.last_pass.error

    @property
    def recorded_key(self) -> str:
        """The name under which its gists are recorded, as it compares."""
        return key(self.identity.recorded_as or self.name)

    @property
    def is_shown(self) -> bool:
        """Whether GitHub has shown the list since this process began, and has not refused it since then."""
        return self.succeeded_at is not None and not self.last_pass.forbidden

    @property
    def is_not_shown(self) -> bool:
        """Whether GitHub last answered that there is no such list, or that it does not show it."""
        return self.error is not None and (self.last_pass.forbidden or self.last_pass.unknown)

    def was_read_in(self, scan: int) -> bool:
        """Whether its last pass in the scan of this number went well."""
        return self.last_pass.scan == scan and self.error is None

    def status(self) -> QueriedUser:
        return QueriedUser(
            name=self.name,
            recorded_as=self.identity.recorded_as,
            succeeded_at=self.succeeded_at,
            error=self.error,
        )
