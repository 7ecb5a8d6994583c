"""``python -m benchmarks.support.sandbox_server …``: GitHub and Pipedrive, with so many users and gists.

Like ``python -m pipetest.sandbox`` it prints one line of JSON that says where it serves. It has one more address,
``progress``, which says in a few bytes what was created and when, so that watching costs next to nothing.
"""

import sys
import time
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.usage import Options as UsageOptions
from twisted.web.server import Request

from pipetest.sandbox.control import Control
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.pipedrive.crm import Crm
from pipetest.sandbox.server import IReactor, Sandbox, SandboxSettings
from pipetest.sandbox.world import World

BETWEEN_GISTS_S = 60.0
DAYS_S = 10 * 24 * 3600.0


class Options(UsageOptions):
    optParameters: ClassVar = [
        ["users", None, 1, "How many users.", int],
        ["gists", None, 0, "How many gists each of them has.", int],
        ["deals", None, 0, "How many deals Pipedrive holds of each of them.", int],
        ["latency", None, 0.0, "Seconds that every answer takes.", float],
        ["burst", None, None, "Requests that Pipedrive allows in two seconds.", int],
    ]


class Progress:
    """``first`` and ``last``: when Pipedrive created its first and its last record, in seconds since the epoch."""

    app = Klein()

    def __init__(self, world: World) -> None:
        self._tables = (world.crm.organizations, world.crm.deals)

    @app.route("/")
    def progress(self, _: Request) -> bytes:
        organizations, deals = self._tables
        ends = [table[number].readable_at for table in self._tables for number in (1, len(table)) if table]
        first, last = min(ends, default=None), max(ends, default=None)
        created = {"organizations": len(organizations), "deals": len(deals), "first": first, "last": last}
        return msgspec.json.encode(created)


CURATOR = "curator"
"""Follows all users."""


def populate(world: World, users: int, gists: int) -> list[str]:
    """Open the accounts and write their gists, a minute apart; one more follows them. Returns the names of those who
    are followed."""
    names = [f"user{number}" for number in range(users)]
    for name in names:
        world.accounts.open(name)
        for age in range(gists, 0, -1):
            world.accounts.write(name, created_at=time.time() - age * BETWEEN_GISTS_S)
    world.accounts.open(CURATOR).following.extend(
        account.id for account in map(world.accounts.by_login, names) if account
    )
    return names


def add_deals(crm: Crm, users: Sequence[str], deals: int) -> None:
    """Organizations, and deals with their gist's id in a custom field, as people have left them long ago: with titles
    of their own, a tenth archived, a twentieth moved to the next organization."""
    now, stamp = time.time() - DAYS_S, crm.company.deal_fields.add("Gist id").code
    for user in users:
        crm.add_organization(NewOrganization(user), now)
    for number in range(deals * len(users)):
        home = number % len(users) + 1
        place = home % len(users) + 1 if number % 20 == 0 else home
        fields = {stamp: f"{number:032x}"}
        crm.add_deal(NewDeal(f"Call {number}", place, is_archived=number % 10 == 1, custom_fields=fields), now)


async def main(reactor: IReactor, options: Options) -> None:
    settings = SandboxSettings(gist_every=0.0, latency=options["latency"])
    sandbox = Sandbox(reactor, time.time, Random(0), settings)
    world = sandbox.world
    users = populate(world, options["users"], options["gists"])
    if options["deals"]:
        add_deals(world.crm, users, options["deals"])
    if options["burst"] is not None:
        world.pipedrive_limits.burst = options["burst"]
    sandbox.start()
    addresses = {
        "github": sandbox.github_url,
        "pipedrive": sandbox.pipedrive_url,
        "control": sandbox.serve(Control(world).app.resource(), 0),
        "progress": sandbox.serve(Progress(world).app.resource(), 0),
        "key": sandbox.key,
        "users": users,
    }
    print(msgspec.json.encode(addresses).decode(), flush=True)
    await Deferred()


if __name__ == "__main__":
    options = Options()
    options.parseOptions(sys.argv[1:])
    react(main, [options])
