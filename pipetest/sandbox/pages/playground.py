"""The playground: whoever plays with the demonstration breaks things here, and mends them again.

It works without JavaScript. Everything else that is asked of its port is for the control port's routes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from klein import Klein
from msgspec import Struct
from msgspec.structs import replace
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import Request

from pipetest.sandbox.control import Control
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.pages.html import missing, page, static_file
from pipetest.sandbox.pages.pipedrive import state_of
from pipetest.sandbox.pipedrive.crm import Record
from pipetest.sandbox.world import World

LOST = FAULTS["applied-reset"]

BREAKABLE: Mapping[str, Rule] = {
    "answer": Rule(LOST, "Pipedrive", "POST", "/api/v2/deals", times=1),
    "pipedrive": Rule(FAULTS["refused"], "Pipedrive"),
    "key": Rule(FAULTS["401"], "Pipedrive"),
    "github": Rule(FAULTS["refused"], "GitHub"),
}
"""What can be broken, by its name on the page."""

MOST_DEALS = 10
"""So many are shown, the newest."""


class Tally(Struct, frozen=True):
    """How many public gists there are, how many of them ``wait`` for a deal, and how many have more than one."""

    gists: int
    wait: int
    doubled: int


class ShownDeal(Struct, frozen=True):
    url: str
    title: str
    organization: str
    state: str


class Playground:
    """``write_gist`` makes somebody write one. ``pipedrive_url`` is where Pipedrive's pages are, ``daemon_url`` the
    daemon's, None where nobody knows."""

    app = Klein()

    def __init__(
        self, world: World, write_gist: Callable[[], None], pipedrive_url: str, daemon_url: str | None = None
    ) -> None:
        self._world = world
        self._write_gist = write_gist
        self._pipedrive_url = pipedrive_url
        self._daemon_url = daemon_url
        self._control = Control(world).app.resource()
        self._broken: dict[str, Rule] = {}

    @app.route("/", methods=["GET"])
    def show(self, request: IRequest) -> bytes:
        return page(
            request,
            "playground.html",
            daemon_url=self._daemon_url,
            tally=tally(self._world),
            broken={name for name in BREAKABLE if self._is_broken(name)},
            lost=self._world.pipedrive.injected[LOST.name],
            deals=list(self._deals()),
        )

    @app.route("/break/<name>", methods=["POST"])
    def break_(self, request: Request, name: str) -> bytes:
        if name not in BREAKABLE:
            return missing(request, "thing to break")
        if not self._is_broken(name):
            rule = self._broken[name] = replace(BREAKABLE[name])
            self._world.faults.add(rule)
        return _back(request, name)

    @app.route("/mend/<name>", methods=["POST"])
    def mend(self, request: Request, name: str) -> bytes:
        if self._is_broken(name):
            self._world.faults.remove(self._broken[name])
        return _back(request, name)

    @app.route("/write", methods=["POST"])
    def write(self, request: Request) -> bytes:
        self._write_gist()
        return _back(request, "now")

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: IRequest, name: str) -> bytes:
        return static_file(request, name)

    @app.route("/", branch=True)
    def control(self, request: IRequest) -> IResource:
        return self._control

    def _is_broken(self, name: str) -> bool:
        return name in self._broken and self._broken[name] in self._world.faults

    def _deals(self) -> Iterable[ShownDeal]:
        crm = self._world.crm
        for deal in list(crm.deals.values())[: -MOST_DEALS - 1 : -1]:
            organization = crm.organizations.get(deal.fields["org_id"])
            yield ShownDeal(
                url=f"{self._pipedrive_url}/deal/{deal.id}",
                title=deal.fields["title"],
                organization=organization.fields["name"] if organization else "",
                state=state_of(deal),
            )


def tally(world: World) -> Tally:
    gists = {gist for written in world.accounts.public_gists().values() for gist in written}
    made = [gist for deal in world.crm.deals.values() for gist in gists_of(deal, gists)]
    return Tally(len(gists), len(gists - set(made)), len(made) - len(set(made)))


def gists_of(deal: Record, gists: Collection[str]) -> Collection[str]:
    """Those of these gists of which the deal is: it says so in a custom field, or as the last word of its title."""
    said: Sequence[Any] = [*deal.fields["custom_fields"].values(), deal.fields["title"].rpartition(" ")[2]]
    return {text for text in said if isinstance(text, str) and text in gists}


def _back(request: Request, part: str) -> bytes:
    """To this part of the page, so that the keyboard stays where it was."""
    request.setHeader("location", f"/#{part}")
    request.setResponseCode(303)
    return b""
