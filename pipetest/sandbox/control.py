"""The control port: a test, or a curious person, changes the sandbox while it runs. JSON over HTTP, loopback only.

``GET /state`` tells what both services hold. ``POST /faults``, ``/gists`` and ``/settings`` take the bodies below.
``POST /release`` releases the held replies; ``DELETE /faults`` forgets the faults that have not happened yet.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from klein import Klein
from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from pipetest.domain.errors import UNREADABLE
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.http import body_of
from pipetest.sandbox.world import World

T = TypeVar("T", bound=Struct)


# --- the bodies -------------------------------------------------------------------------------------------------------


class NewFault(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /faults``: a fault by its name, and which calls meet it, see :class:`~pipetest.sandbox.faults.Rule`.

    ``delay``, and ``applied_after`` by the name ``applied``, replace those that the fault usually has.
    """

    fault: str
    service: str | None = None
    method: str | None = None
    path: str = "/"
    times: int | None = 1
    chance: float = 1.0
    body: str = ""
    delay: float | UnsetType = UNSET
    applied_after: float | UnsetType = field(default=UNSET, name="applied")

    def rule(self) -> Rule:
        """:raises msgspec.ValidationError: there is no such fault."""
        if self.fault not in FAULTS:
            raise msgspec.ValidationError(f"no such fault: {self.fault}; expected one of {', '.join(FAULTS)}")
        usual = FAULTS[self.fault]
        delay = usual.delay if self.delay is UNSET else self.delay
        applied_after = usual.applied_after if self.applied_after is UNSET else self.applied_after
        fault = replace(usual, delay=delay, applied_after=applied_after)
        return Rule(fault, self.service, self.method, self.path, self.times, self.chance, self.body)


class NewGist(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /gists``: this user, known or new, writes a gist now."""

    user: str
    id: str | None = None
    public: bool = True


class GitHubChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What may change about GitHub, by the names it has in ``Service``, ``GitHubApi``, ``GitHubLimits`` and
    ``Quirks``."""

    latency: float | UnsetType = UNSET
    deepest: int | UnsetType | None = UNSET
    per_page_most: int | UnsetType = UNSET
    without_token: int | UnsetType = UNSET
    with_token: int | UnsetType = UNSET
    points: int | UnsetType = UNSET
    graphql_points: int | UnsetType = UNSET
    primary_status: int | UnsetType = UNSET
    primary_retry_after: bool | UnsetType = UNSET
    secondary_status: int | UnsetType = UNSET
    secondary_retry_after: bool | UnsetType = UNSET
    versions: Sequence[str] | UnsetType = UNSET
    links: Literal["plain", "lines", "relative", "none"] | UnsetType = UNSET
    endless: bool | UnsetType = UNSET
    redirects: int | UnsetType = UNSET
    page_status: int | UnsetType = UNSET
    unasked_304: bool | UnsetType = UNSET
    heaviest: int | UnsetType | None = UNSET
    hidden: dict[str, int] | UnsetType = UNSET
    broken: dict[str, str] | UnsetType = UNSET


class PipedriveChanges(Struct, frozen=True, forbid_unknown_fields=True):
    """What may change about Pipedrive, by the names it has in ``Service``, ``PipedriveApi``, ``PipedriveLimits``
    and ``Crm``."""

    latency: float | UnsetType = UNSET
    key: str | UnsetType = UNSET
    page_ceiling: int | UnsetType = UNSET
    deleted_shown: bool | UnsetType = UNSET
    list_lag: float | UnsetType = UNSET
    search_lag: float | UnsetType = UNSET
    open_deals: int | UnsetType | None = UNSET
    hides_new_organizations: bool | UnsetType = UNSET
    hides_new_deals: bool | UnsetType = UNSET
    may_add_organizations: bool | UnsetType = UNSET
    may_add_deals: bool | UnsetType = UNSET
    burst: int | UnsetType = UNSET
    search_burst: int | UnsetType = UNSET
    daily_tokens: int | UnsetType | None = UNSET
    daily_writes: int | UnsetType | None = UNSET
    daily_retry_after: bool | UnsetType = UNSET
    block_after: int | UnsetType | None = UNSET
    block_s: float | UnsetType = UNSET


class Changes(Struct, frozen=True, forbid_unknown_fields=True):
    """``POST /settings``: only what is named changes."""

    github: GitHubChanges = GitHubChanges()
    pipedrive: PipedriveChanges = PipedriveChanges()


# --- the routes -------------------------------------------------------------------------------------------------------


class Control:
    app = Klein()

    def __init__(self, world: World) -> None:
        self._world = world

    @app.route("/state", methods=["GET"])
    def state(self, request: Request) -> bytes:
        return _json(request, self._world.state())

    @app.route("/faults", methods=["POST"])
    def add_fault(self, request: Request) -> bytes:
        self._world.faults.add(_decoded(request, NewFault).rule())
        return _json(request, {"faults": len(self._world.faults)})

    @app.route("/faults", methods=["DELETE"])
    def forget_faults(self, request: Request) -> bytes:
        self._world.faults.clear()
        return _json(request, {"faults": 0})

    @app.route("/gists", methods=["POST"])
    def write_gist(self, request: Request) -> bytes:
        new = _decoded(request, NewGist)
        accounts = self._world.accounts
        if accounts.by_login(new.user) is None:
            accounts.open(new.user)
        return _json(request, {"id": accounts.write(new.user, gist_id=new.id, public=new.public).id})

    @app.route("/release", methods=["POST"])
    def release(self, request: Request) -> bytes:
        return _json(request, {"released": self._world.held_replies.release()})

    @app.route("/settings", methods=["POST"])
    def change_settings(self, request: Request) -> bytes:
        changes = _decoded(request, Changes)
        world = self._world
        _change(changes.github, world.github, world.github_api, world.github_api.quirks, world.github_limits)
        _change(changes.pipedrive, world.pipedrive, world.pipedrive_api, world.pipedrive_limits, world.crm)
        return _json(request, {})

    @app.handle_errors(*UNREADABLE)
    def refuse(self, request: IRequest, failure: Failure) -> bytes:
        request.setResponseCode(400)
        return _json(request, {"error": failure.getErrorMessage()})


def _decoded(request: Request, kind: type[T]) -> T:
    return msgspec.json.decode(body_of(request), type=kind)


def _json(request: IRequest, value: Any) -> bytes:
    request.setHeader("content-type", "application/json")
    return msgspec.json.encode(value)


def _change(changes: Struct, *owners: object) -> None:
    """Set each setting that is named at the one owner that has it."""
    for name in changes.__struct_fields__:
        value = getattr(changes, name)
        if value is not UNSET:
            setattr(next(owner for owner in owners if hasattr(owner, name)), name, value)
