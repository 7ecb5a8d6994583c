"""``python -m benchmarks.support.sandbox_server …``: GitHub and Pipedrive, with so many users and gists.

Like ``python -m pipetest.sandbox`` it prints one line of JSON that says where it serves. It has one more address,
``progress``, which says in a few bytes what was created and when, so that watching costs next to nothing.
"""

import sys
import time
from random import Random
from typing import ClassVar

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.usage import Options as UsageOptions
from twisted.web.server import Request

from pipetest.sandbox.control import Control
from pipetest.sandbox.server import IReactor, Sandbox, SandboxSettings
from pipetest.sandbox.world import World

BETWEEN_GISTS_S = 60.0


class Options(UsageOptions):
    optParameters: ClassVar = [
        ["users", None, 1, "How many users.", int],
        ["gists", None, 0, "How many gists each of them has.", int],
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


def populate(world: World, users: int, gists: int) -> list[str]:
    """Open the accounts and write their gists, a minute apart. Returns the names of the accounts."""
    names = [f"user{number}" for number in range(users)]
    for name in names:
        world.accounts.open(name)
        for age in range(gists, 0, -1):
            world.accounts.write(name, created_at=time.time() - age * BETWEEN_GISTS_S)
    return names


async def main(reactor: IReactor, options: Options) -> None:
    settings = SandboxSettings(gist_every=0.0, latency=options["latency"])
    sandbox = Sandbox(reactor, time.time, Random(0), settings)
    world = sandbox.world
    users = populate(world, options["users"], options["gists"])
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
